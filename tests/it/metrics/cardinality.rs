//! Bounded cardinality: ten thousand different client inputs create no more series than one.

use http::uri::{PathAndQuery, Scheme};
use http::{Request, Uri, Version};
use opentelemetry::trace::TraceContextExt as _;
use tower_api_span::SpanHandle;

use super::endings::{ALL, Ending, GRPC, Reply, head, head_with};
use super::{CALL_DURATION, DURATION};
use crate::support::body::Step::{self, Data, Silent, Trailers};
use crate::support::meters::{Meters, Series};

/// More than the SDK's default cardinality limit of 2,000. The SDK would record an overflow series.
const REQUESTS: usize = 10_000;

/// Returns the number of series of `metric` after this many requests.
fn count_series(
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
fn different_methods_hosts_paths_and_schemes_create_one_series() {
    for (what, request) in [
        ("methods", method as fn(usize) -> Request<()>),
        ("hosts", host),
        ("paths", path),
        ("schemes", scheme),
    ] {
        assert_eq!(
            count_series(DURATION, REQUESTS, &ALL[0], request),
            1,
            "{what}"
        );
    }
}

#[test]
fn different_hosts_behind_a_trusted_proxy_create_one_series() {
    let meters = Meters::new();
    let layer = meters.layer().trusted_proxies(1).active_requests(true);
    for id in 0..REQUESTS {
        ALL[0].run_with(host(id), &layer);
    }
    assert_eq!(meters.of(DURATION).len(), 1);
    assert_eq!(meters.of("http.server.active_requests").len(), 1);
}

/// The reply of a server to an unknown method.
const UNIMPLEMENTED: Ending = Ending {
    name: "UNIMPLEMENTED in the trailers",
    reply: head_with(200, GRPC, &[Trailers(&[("grpc-status", "12")])]),
    ..ALL[0]
};
const UNIMPLEMENTED_IN_HEAD: Ending = Ending {
    name: "UNIMPLEMENTED in the head",
    reply: head_with(
        200,
        &[("content-type", "application/grpc"), ("grpc-status", "12")],
        &[],
    ),
    ..ALL[0]
};
const UNIMPLEMENTED_UNREAD: Ending = Ending {
    name: "UNIMPLEMENTED in the head, and the client left",
    polls: 0,
    ..UNIMPLEMENTED_IN_HEAD
};
const LEFT_BEFORE_TRAILERS: Ending = Ending {
    name: "left before the UNIMPLEMENTED trailers",
    polls: 0,
    ..UNIMPLEMENTED
};
/// Returns the reply of a middleware, which does not depend on the method.
const fn rejected(name: &'static str, trailers: &'static [Step]) -> Ending {
    Ending {
        name,
        reply: head_with(200, GRPC, trailers),
        ..ALL[0]
    }
}
const RESOURCE_EXHAUSTED: Ending =
    rejected("RESOURCE_EXHAUSTED", &[Trailers(&[("grpc-status", "8")])]);
const PERMISSION_DENIED: Ending =
    rejected("PERMISSION_DENIED", &[Trailers(&[("grpc-status", "7")])]);
const UNAVAILABLE: Ending = rejected("UNAVAILABLE", &[Trailers(&[("grpc-status", "14")])]);
const UNAUTHENTICATED: Ending = rejected("UNAUTHENTICATED", &[Trailers(&[("grpc-status", "16")])]);
const NO_STATUS: Ending = Ending {
    name: "no status",
    reply: head_with(200, GRPC, &[Data(1)]),
    error_type: Some("missing_grpc_status"),
    ..ALL[0]
};
const SERVICE_ERROR: Ending = Ending {
    name: "service error",
    reply: Reply::Fails,
    ..ALL[0]
};
const LEFT_BEFORE_HEAD: Ending = Ending {
    name: "left before the head",
    reply: Reply::Never,
    ..ALL[0]
};
const HTTP_RESPONSE: Ending = Ending {
    name: "plain HTTP response",
    reply: head(404, &[]),
    ..ALL[0]
};

#[test]
fn different_grpc_methods_create_one_series_unless_the_server_confirms_them() {
    for (ending, metric) in [
        (UNIMPLEMENTED, CALL_DURATION),
        (UNIMPLEMENTED_IN_HEAD, CALL_DURATION),
        (UNIMPLEMENTED_UNREAD, CALL_DURATION),
        (LEFT_BEFORE_TRAILERS, CALL_DURATION),
        (RESOURCE_EXHAUSTED, CALL_DURATION),
        (PERMISSION_DENIED, CALL_DURATION),
        (UNAVAILABLE, CALL_DURATION),
        (UNAUTHENTICATED, CALL_DURATION),
        (NO_STATUS, CALL_DURATION),
        (SERVICE_ERROR, CALL_DURATION),
        (LEFT_BEFORE_HEAD, CALL_DURATION),
        (HTTP_RESPONSE, DURATION),
    ] {
        assert_eq!(
            count_series(metric, REQUESTS, &ending, call),
            1,
            "{}",
            ending.name
        );
    }
}

/// The handler records the model name from the request before it has checked it.
const MODEL: Ending = Ending {
    name: "404",
    use_handle: |handle| {
        handle
            .gen_ai()
            .operation_name("chat")
            .request_model(format!("model-{:?}", handle.context()));
    },
    reply: head(404, &[Data(1)]),
    ..ALL[0]
};

/// Returns a request with its own caller: the handler makes the name of the model from it.
fn called(id: usize) -> Request<()> {
    let mut request = path(id);
    let caller = format!("00-{:032x}-{:016x}-01", id + 1, id + 1);
    let caller = caller.parse().expect("a header");
    request.headers_mut().insert("traceparent", caller);
    request
}

#[test]
fn different_models_of_failed_requests_create_one_series() {
    for ending in [
        MODEL,
        Ending {
            name: "left before the head",
            reply: Reply::Never,
            ..MODEL
        },
        Ending {
            name: "service error",
            reply: Reply::Fails,
            ..MODEL
        },
        Ending {
            name: "200, and a body that fails",
            reply: head(200, &[Data(1), Step::Error]),
            polls: 2,
            ..MODEL
        },
        Ending {
            name: "200, and the client left",
            reply: head(200, &[Data(1), Silent]),
            polls: 2,
            ..MODEL
        },
    ] {
        let meters = Meters::new();
        let layer = meters.layer().gen_ai_metrics(true);
        for id in 0..REQUESTS {
            ending.run_with(called(id), &layer);
        }
        let all = meters.of("gen_ai.server.request.duration");
        assert_eq!(all.len(), 1, "{}", ending.name);
    }
}

/// A server that answers any model, and repeats its name.
#[test]
fn different_models_of_answered_requests_create_a_bounded_number_of_series() {
    const MODELS: usize = 3_000;
    fn set_model(handle: &SpanHandle) {
        let trace = handle.context().span().span_context().trace_id();
        handle
            .gen_ai()
            .operation_name("chat")
            .request_model(format!("model-{trace}"));
    }
    fn set_both(handle: &SpanHandle) {
        let trace = handle.context().span().span_context().trace_id();
        set_model(handle);
        handle.gen_ai().response_model(format!("model-{trace}"));
    }
    for (case, use_handle) in [
        ("of requests", set_model as fn(&SpanHandle)),
        ("of answers, too", set_both),
    ] {
        let meters = Meters::new();
        let layer = meters.layer().gen_ai_metrics(true);
        let ending = Ending {
            use_handle,
            ..ALL[0]
        };
        for id in (0..MODELS).chain(0..MODELS) {
            ending.run_with(called(id), &layer);
        }
        let all = meters.of("gen_ai.server.request.duration");
        assert_eq!(all.len(), 1_024 + 1, "{case}");
        let other = Some("_OTHER".to_owned());
        let others = all
            .iter()
            .filter(|series| series.attribute("gen_ai.request.model") == other);
        let counted: Vec<_> = others.map(Series::count).collect();
        assert_eq!(counted, [2 * (MODELS as u64 - 1_024)], "{case}");
        assert!(
            all.iter().filter(|series| series.count() == 2).count() == 1_024,
            "{case}"
        );
    }
}

#[test]
fn a_model_that_has_answered_keeps_its_name_when_its_answer_fails() {
    fn set_model(handle: &SpanHandle) {
        handle.gen_ai().operation_name("chat").request_model("m");
    }
    let success = Ending {
        use_handle: set_model,
        ..ALL[0]
    };
    let failure = Ending {
        reply: head(200, &[Data(1), Step::Error]),
        polls: 2,
        ..success
    };
    let meters = Meters::new();
    let layer = meters.layer().gen_ai_metrics(true);
    let models = || {
        let all = meters.of("gen_ai.server.request.duration");
        let failed = all
            .into_iter()
            .filter(|series| series.attribute("error.type").is_some());
        let mut models: Vec<_> = failed
            .map(|series| series.attribute("gen_ai.request.model"))
            .collect();
        models.sort();
        models
    };
    failure.run_with(path(0), &layer);
    assert_eq!(models(), [Some("_OTHER".to_owned())]);
    success.run_with(path(1), &layer);
    failure.run_with(path(2), &layer);
    assert_eq!(
        models(),
        ["_OTHER", "m"].map(|model| Some(model.to_owned()))
    );
}

#[test]
fn only_known_rpc_methods_have_series_of_their_own() {
    let meters = Meters::new();
    let listed = ["pkg.Service1/Method1", "pkg.Service2/Method2"];
    let layer = meters.layer().known_rpc_methods(listed);
    let left_midway = Ending {
        reply: head_with(200, GRPC, &[Data(1), Silent]),
        ..ALL[0]
    };
    for id in 0..REQUESTS {
        for ending in [&LEFT_BEFORE_HEAD, &UNIMPLEMENTED, &left_midway] {
            ending.run_with(call(id), &layer);
        }
    }
    // CANCELLED and UNIMPLEMENTED, for each listed method and `_OTHER`.
    assert_eq!(meters.of(CALL_DURATION).len(), 3 * 2);
}
