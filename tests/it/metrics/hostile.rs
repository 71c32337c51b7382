//! A client sends ten thousand of everything, and there are as many series as before.

use http::uri::{PathAndQuery, Scheme};
use http::{Request, Uri, Version};

use super::endings::{ALL, Answer, Ending, GRPC, head, headed};
use super::{CALL_DURATION, DURATION};
use crate::support::body::Step::{self, Data, Silent, Trailers};
use crate::support::meters::{Meters, Series};

/// More than the SDK keeps apart by default, which is 2,000: it would say so.
const REQUESTS: usize = 10_000;

/// How many series there are of `metric` after so many requests.
fn series(
    metric: &str,
    requests: usize,
    ending: &Ending,
    request: fn(usize) -> Request<()>,
) -> usize {
    let meters = Meters::new();
    let layer = meters
        .layer()
        .active_requests(true)
        .body_sizes(true)
        .response_times(true)
        .gen_ai_metrics(true);
    for id in 0..requests {
        ending.run_with(request(id), &layer);
    }
    let active = meters.of("http.server.active_requests");
    assert_eq!(active.len(), 1, "{active:#?}");
    let all = meters.of(metric);
    let counted: u64 = all.iter().map(Series::count).sum();
    assert_eq!(counted, requests as u64);
    all.len()
}

fn uri(scheme: &str, host: &str, path: &str) -> Uri {
    Uri::builder()
        .scheme(Scheme::try_from(scheme).expect("a scheme"))
        .authority(host)
        .path_and_query(PathAndQuery::try_from(path).expect("a path"))
        .build()
        .expect("a URI")
}

fn method(id: usize) -> Request<()> {
    let request = Request::builder().method(&*format!("M{id}")).uri("/");
    request.body(()).expect("a request")
}

fn path(id: usize) -> Request<()> {
    let request = Request::get(format!("/{id}?{id}"));
    request.body(()).expect("a request")
}

fn host(id: usize) -> Request<()> {
    let request = Request::get(uri("http", &format!("h{id}.example.com:{id}"), "/"))
        .header("host", format!("h{id}.example.com"))
        .header("user-agent", format!("ua{id}"))
        .header("x-forwarded-proto", format!("p{id}"))
        .header("forwarded", format!("proto=p{id};host=h{id}"));
    request.body(()).expect("a request")
}

fn scheme(id: usize) -> Request<()> {
    let request = Request::get(uri(&format!("s{id}"), "example.com", "/"));
    let request = request.version(Version::HTTP_2);
    request.body(()).expect("a request")
}

fn call(id: usize) -> Request<()> {
    let request = Request::post(format!("/pkg.Service{id}/Method{id}"))
        .header("content-type", "application/grpc");
    request.body(()).expect("a request")
}

#[test]
fn methods_hosts_paths_and_schemes_make_one_series() {
    for (what, request) in [
        ("methods", method as fn(usize) -> Request<()>),
        ("hosts", host),
        ("paths", path),
        ("schemes", scheme),
    ] {
        assert_eq!(series(DURATION, REQUESTS, &ALL[0], request), 1, "{what}");
    }
}

#[test]
fn hosts_make_one_series_behind_a_proxy_that_is_trusted() {
    let meters = Meters::new();
    let layer = meters.layer().trusted_proxies(1).active_requests(true);
    for id in 0..REQUESTS {
        ALL[0].run_with(host(id), &layer);
    }
    assert_eq!(meters.of(DURATION).len(), 1);
    assert_eq!(meters.of("http.server.active_requests").len(), 1);
}

/// What a server answers to a call of a method that it may not have.
const DENIED: Ending = Ending {
    name: "UNIMPLEMENTED in the trailers",
    answer: headed(200, GRPC, &[Trailers(&[("grpc-status", "12")])]),
    ..ALL[0]
};
const DENIED_AT_ONCE: Ending = Ending {
    name: "UNIMPLEMENTED in the head",
    answer: headed(
        200,
        &[("content-type", "application/grpc"), ("grpc-status", "12")],
        &[],
    ),
    ..ALL[0]
};
const DENIED_UNREAD: Ending = Ending {
    name: "UNIMPLEMENTED in the head, and left",
    polls: 0,
    ..DENIED_AT_ONCE
};
const DENIED_TOO_LATE: Ending = Ending {
    name: "left before the trailers that say so",
    polls: 0,
    ..DENIED
};
/// What stands before a server answers so, whatever is called.
const fn turned_away(name: &'static str, trailers: &'static [Step]) -> Ending {
    Ending {
        name,
        answer: headed(200, GRPC, trailers),
        ..ALL[0]
    }
}
const EXHAUSTED: Ending = turned_away("RESOURCE_EXHAUSTED", &[Trailers(&[("grpc-status", "8")])]);
const FORBIDDEN: Ending = turned_away("PERMISSION_DENIED", &[Trailers(&[("grpc-status", "7")])]);
const UNAVAILABLE: Ending = turned_away("UNAVAILABLE", &[Trailers(&[("grpc-status", "14")])]);
const STRANGER: Ending = turned_away("UNAUTHENTICATED", &[Trailers(&[("grpc-status", "16")])]);
const NO_STATUS: Ending = Ending {
    name: "no status",
    answer: headed(200, GRPC, &[Data(1)]),
    error_type: Some("missing_grpc_status"),
    ..ALL[0]
};
const FAILS: Ending = Ending {
    name: "service error",
    answer: Answer::Fails,
    ..ALL[0]
};
const NEVER: Ending = Ending {
    name: "left before the head",
    answer: Answer::Never,
    ..ALL[0]
};
const IN_HTTP: Ending = Ending {
    name: "answered in HTTP",
    answer: head(404, &[]),
    ..ALL[0]
};

#[test]
fn grpc_methods_make_one_series() {
    for (ending, metric) in [
        (DENIED, CALL_DURATION),
        (DENIED_AT_ONCE, CALL_DURATION),
        (DENIED_UNREAD, CALL_DURATION),
        (DENIED_TOO_LATE, CALL_DURATION),
        (EXHAUSTED, CALL_DURATION),
        (FORBIDDEN, CALL_DURATION),
        (UNAVAILABLE, CALL_DURATION),
        (STRANGER, CALL_DURATION),
        (NO_STATUS, CALL_DURATION),
        (FAILS, CALL_DURATION),
        (NEVER, CALL_DURATION),
        (IN_HTTP, DURATION),
    ] {
        assert_eq!(
            series(metric, REQUESTS, &ending, call),
            1,
            "{}",
            ending.name
        );
    }
}

/// A handler tells the model's name as the client has sent it, which is before it knows better.
const MODEL: Ending = Ending {
    name: "refused",
    tell: |handle| {
        handle
            .gen_ai()
            .operation_name("chat")
            .request_model(format!("model-{:?}", handle.context()));
    },
    answer: head(404, &[Data(1)]),
    ..ALL[0]
};

#[test]
fn models_of_requests_that_are_refused_or_left_make_one_series() {
    for ending in [
        MODEL,
        Ending {
            name: "left before the head",
            answer: Answer::Never,
            ..MODEL
        },
        Ending {
            name: "service error",
            answer: Answer::Fails,
            ..MODEL
        },
    ] {
        let meters = Meters::new();
        let layer = meters.layer().gen_ai_metrics(true);
        for id in 0..REQUESTS {
            // The context, which the handler tells as the model, is the caller's.
            let mut request = path(id);
            let caller = format!("00-{:032x}-{:016x}-01", id + 1, id + 1);
            let caller = caller.parse().expect("a header");
            request.headers_mut().insert("traceparent", caller);
            ending.run_with(request, &layer);
        }
        let all = meters.of("gen_ai.server.request.duration");
        assert_eq!(all.len(), 1, "{}", ending.name);
    }
}

#[test]
fn grpc_methods_that_the_operator_lists_are_told_and_no_others() {
    let meters = Meters::new();
    let listed = ["pkg.Service1/Method1", "pkg.Service2/Method2"];
    let layer = meters.layer().known_rpc_methods(listed);
    let left = Ending {
        answer: headed(200, GRPC, &[Data(1), Silent]),
        ..ALL[0]
    };
    for id in 0..REQUESTS {
        for ending in [&NEVER, &DENIED, &left] {
            ending.run_with(call(id), &layer);
        }
    }
    // Of each method one that the client has left, and one that the server denies.
    assert_eq!(meters.of(CALL_DURATION).len(), 3 * 2);
}
