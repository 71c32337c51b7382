//! Names, routes, and the methods that are known.

use std::process::Command;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{Method, Request, Response, request};
use tower::{Service as _, ServiceExt as _};
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::{Asked, serve, unchecked};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Trailers;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, grpc, handle_of, read, ready, response};

/// What the settings, axum and the handler say, and what the span is called.
struct Case {
    rule: &'static str,
    set: fn(ApiSpanLayer) -> ApiSpanLayer,
    /// axum has matched `/users/{id}`.
    is_matched: bool,
    /// The handler's `set_route`.
    told: Option<&'static str>,
    /// What the sampler sees.
    at_start: (&'static str, Option<&'static str>),
    /// Name and route.
    at_end: (&'static str, Option<&'static str>),
}

/// Of what the rule is about, nothing is said.
const PLAIN: Case = Case {
    rule: "",
    set: |layer| layer,
    is_matched: false,
    told: None,
    at_start: ("GET", None),
    at_end: ("GET", None),
};

/// A name or route that nobody says.
fn nothing(_: &request::Parts) -> Option<&'static str> {
    None
}

const MATCHED: (&str, Option<&str>) = ("GET /users/{id}", Some("/users/{id}"));
const GIVEN: (&str, Option<&str>) = ("GET /given", Some("/given"));
const TOLD: (&str, Option<&str>) = ("GET /told", Some("/told"));

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let matched = Case {
        is_matched: true,
        at_start: MATCHED,
        at_end: MATCHED,
        ..PLAIN
    };
    vec![
        Case {
            rule: "nobody says anything",
            ..PLAIN
        },
        Case {
            rule: "the framework's route",
            ..matched
        },
        Case {
            rule: "the handler's, where there is none at the start",
            told: Some("/told"),
            at_end: TOLD,
            ..PLAIN
        },
        Case {
            rule: "the handler's is empty, and none",
            told: Some(""),
            ..PLAIN
        },
        Case {
            rule: "the framework's before the handler's",
            told: Some("/told"),
            ..matched
        },
        Case {
            rule: "the function's before both",
            set: |layer| layer.route_fn(|_| Some("/given")),
            told: Some("/told"),
            at_start: GIVEN,
            at_end: GIVEN,
            ..matched
        },
        Case {
            rule: "the function's without a framework",
            set: |layer| layer.route_fn(|_| Some("/given".to_owned())),
            told: Some("/told"),
            at_start: GIVEN,
            at_end: GIVEN,
            ..PLAIN
        },
        Case {
            rule: "a function that says no route leaves the framework's",
            set: |layer| layer.route_fn(nothing),
            ..matched
        },
        Case {
            rule: "a function that says an empty route leaves the framework's",
            set: |layer| layer.route_fn(|_| Some("")),
            ..matched
        },
        Case {
            rule: "a function that panics leaves the framework's",
            set: |layer| layer.route_fn(|_| -> Option<&str> { panic!("no route") }),
            ..matched
        },
        Case {
            rule: "a function that says no route leaves the handler's",
            set: |layer| layer.route_fn(nothing),
            told: Some("/told"),
            at_end: TOLD,
            ..PLAIN
        },
        Case {
            rule: "a name, and the route is an attribute still",
            set: |layer| layer.span_name("its"),
            at_start: ("its", MATCHED.1),
            at_end: ("its", MATCHED.1),
            ..matched
        },
        Case {
            rule: "a name stays, whatever route is told",
            set: |layer| layer.span_name("its"),
            told: Some("/told"),
            at_start: ("its", None),
            at_end: ("its", TOLD.1),
            ..PLAIN
        },
        Case {
            rule: "an empty name is none",
            set: |layer| layer.span_name("its").span_name(""),
            ..matched
        },
        Case {
            rule: "the function's name before the other",
            set: |layer| layer.span_name("other").span_name_fn(|_| Some("its")),
            told: Some("/told"),
            at_start: ("its", None),
            at_end: ("its", TOLD.1),
            ..PLAIN
        },
        Case {
            rule: "the function's name alone",
            set: |layer| layer.span_name_fn(|_| Some("its".to_owned())),
            at_start: ("its", MATCHED.1),
            at_end: ("its", MATCHED.1),
            ..matched
        },
        Case {
            rule: "a function that says no name leaves the other",
            set: |layer| layer.span_name("its").span_name_fn(nothing),
            at_start: ("its", None),
            at_end: ("its", None),
            ..PLAIN
        },
        Case {
            rule: "a function that says an empty name leaves the conventions'",
            set: |layer| layer.span_name_fn(|_| Some("")),
            ..matched
        },
        Case {
            rule: "a function that panics leaves the conventions'",
            set: |layer| layer.span_name_fn(|_| -> Option<&str> { panic!("no name") }),
            told: Some("/told"),
            at_end: TOLD,
            ..PLAIN
        },
        Case {
            rule: "a name and a route of functions",
            set: |layer| {
                layer
                    .route_fn(|_| Some("/given"))
                    .span_name_fn(|_| Some("its"))
            },
            at_start: ("its", GIVEN.1),
            at_end: ("its", GIVEN.1),
            ..matched
        },
    ]
}

#[tokio::test]
async fn a_name_is_by_who_knows_best_and_samplers_see_what_is_known_at_the_start() {
    for case in cases() {
        let (at, asked) = Asked::recorder();
        let handler = any(async move |span: SpanHandle| {
            if let Some(told) = case.told {
                span.set_route(told);
            }
        });
        let app = if case.is_matched {
            Router::new().route("/users/{id}", handler)
        } else {
            Router::new().fallback_service(handler)
        };
        let app = app.layer((case.set)(at.layer()));
        let request = Request::get("/users/7").body(Body::empty());
        let request = request.expect("a request");
        let response = app.oneshot(request).await.expect("a response");
        drop(response);
        let (name, route) = case.at_start;
        assert_eq!(asked.only().0, name, "{}: at the start", case.rule);
        let seen = asked.attribute("http.route");
        assert_eq!(seen.as_deref(), route, "{}: at the start", case.rule);
        let (name, route) = case.at_end;
        let span = at.only();
        assert_eq!(span.0.name, name, "{}", case.rule);
        assert_eq!(
            span.attribute("http.route").as_deref(),
            route,
            "{}",
            case.rule
        );
    }
}

#[test]
fn what_functions_say_is_cut_between_characters() {
    // A character of two bytes is across the limit.
    let endless = || Some(format!("/{}", "ü".repeat(5_000)));
    let cut = format!("/{}", "ü".repeat(511));
    let at = Recorder::new();
    serve(&at.layer().route_fn(move |_| endless()), get(), |_| {});
    let span = at.only();
    assert_eq!(span.0.name, format!("GET {cut}"));
    assert_eq!(span.attribute("http.route"), Some(cut.clone()));

    let at = Recorder::new();
    serve(&at.layer().span_name_fn(move |_| endless()), get(), |_| {});
    assert_eq!(unchecked(&at).0.name, cut);
}

/// Serves a call that is answered with this code of gRPC, or in plain HTTP.
fn call(layer: &ApiSpanLayer, code: Option<&'static str>) {
    let mut service = answering(layer, move |request| {
        handle_of(&request).set_route("/told");
        let mut answer = match code {
            Some(_) => response(200, ScriptedBody::new([Trailers(&[("grpc-status", "12")])])),
            None => response(200, ScriptedBody::full(3)),
        };
        if let Some(code) = code {
            let headers = answer.headers_mut();
            headers.insert("content-type", "application/grpc".parse().expect("a value"));
            if code == "0" {
                headers.insert("grpc-status", "0".parse().expect("a value"));
                *answer.body_mut() = ScriptedBody::full(0);
            }
        }
        answer
    });
    let mut body = ready(service.call(grpc())).expect("a response").into_body();
    read(&mut body).expect("bytes");
}

const METHOD: &str = "pkg.Service/Method";

#[test]
fn a_call_has_the_name_of_its_method_unless_the_settings_or_the_server_know_better() {
    let known: fn(ApiSpanLayer) -> ApiSpanLayer = |layer| layer.known_rpc_methods([METHOD]);
    for (rule, set, code, at_start, at_end, method) in [
        (
            "a method that is there",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            "0",
            METHOD,
            METHOD,
            METHOD,
        ),
        (
            "a method that is not there",
            |layer| layer,
            "12",
            METHOD,
            "grpc",
            METHOD,
        ),
        ("a known one", known, "0", METHOD, METHOD, METHOD),
        (
            "a known one, which the server does not have all the same",
            known,
            "12",
            METHOD,
            METHOD,
            METHOD,
        ),
        (
            "one that is not known",
            |layer| layer.known_rpc_methods(["pkg.Service/Other"]),
            "0",
            "grpc",
            "grpc",
            "_OTHER",
        ),
        (
            "a name by the settings stays",
            |layer| layer.span_name_fn(|_| Some("its")),
            "12",
            "its",
            "its",
            METHOD,
        ),
        (
            "a call has no route",
            |layer| layer.route_fn(|_| Some("/given")),
            "0",
            METHOD,
            METHOD,
            METHOD,
        ),
    ] {
        let (at, asked) = Asked::recorder();
        call(&set(at.layer()), Some(code));
        let spans = at.exported();
        let span = Seen(spans[0].clone());
        assert_eq!(asked.only().0, at_start, "{rule}");
        assert_eq!(span.0.name, at_end, "{rule}");
        let is = |key: &str| span.attribute(key);
        assert_eq!(is("rpc.method").as_deref(), Some(method), "{rule}");
        let original = (method == "_OTHER").then_some(METHOD);
        assert_eq!(is("rpc.method_original").as_deref(), original, "{rule}");
        assert_eq!(is("http.route"), None, "{rule}");
    }
}

#[test]
fn where_there_are_no_methods_a_call_is_a_request_of_http() {
    let (at, asked) = Asked::recorder();
    let layer = at
        .layer()
        .known_rpc_methods([""; 0])
        .route_fn(|_| Some("/given"));
    call(&layer, Some("0"));
    let span = at.only();
    assert_eq!(asked.only().0, "POST /given");
    assert_eq!(span.0.name, "POST /given");
    for (key, expected) in [
        ("http.request.method", Some("POST")),
        ("http.route", Some("/given")),
        ("url.path", Some("/pkg.Service/Method")),
        ("http.response.status_code", Some("200")),
        ("rpc.system.name", None),
        ("rpc.method", None),
        ("rpc.status_code", None),
    ] {
        assert_eq!(span.attribute(key).as_deref(), expected, "{key}");
    }
}

#[test]
fn what_claims_to_be_a_call_is_named_by_the_settings_of_http() {
    for (rule, set, name) in [
        (
            "no setting",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            "POST /told",
        ),
        ("a name stays", |layer| layer.span_name("its"), "its"),
        (
            "a method that is not known",
            |layer| layer.known_http_methods(["GET"]),
            "HTTP /told",
        ),
    ] {
        let at = Recorder::new();
        call(&set(at.layer()), None);
        // The recorder knows the standard methods only.
        let span = unchecked(&at);
        assert_eq!(span.0.name, name, "{rule}");
        let is = |key: &str| span.attribute(key);
        let is_known = name != "HTTP /told";
        let (method, original) = if is_known {
            ("POST", None)
        } else {
            ("_OTHER", Some("POST"))
        };
        assert_eq!(is("http.request.method").as_deref(), Some(method), "{rule}");
        let told = is("http.request.method_original");
        assert_eq!(told.as_deref(), original, "{rule}");
    }
}

#[test]
fn methods_are_known_by_the_list_and_by_no_other() {
    let webdav = ["GET", "PROPFIND"];
    for (rule, known, method, is_known) in [
        ("a standard one", None, "PATCH", true),
        ("none that is standard", None, "PROPFIND", false),
        ("case matters", None, "get", false),
        ("on the list", Some(&webdav[..]), "PROPFIND", true),
        ("on both lists", Some(&webdav), "GET", true),
        (
            "a standard one that is not on the list",
            Some(&webdav),
            "POST",
            false,
        ),
        ("an empty list", Some(&[]), "GET", false),
        (
            "an unknown one by the name of what stands for it",
            None,
            "_OTHER",
            false,
        ),
    ] {
        let at = Recorder::new();
        let layer = match known {
            Some(known) => at.layer().known_http_methods(known.iter().copied()),
            None => at.layer(),
        };
        let mut request = get();
        *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        serve(&layer.route_fn(|_| Some("/r")), request, |_| {});
        // The recorder knows the standard methods only.
        let span = unchecked(&at);
        let (name, shown, original) = if is_known {
            (method, method, None)
        } else {
            ("HTTP", "_OTHER", Some(method))
        };
        assert_eq!(span.0.name, format!("{name} /r"), "{rule}");
        let is = |key: &str| span.attribute(key);
        assert_eq!(is("http.request.method").as_deref(), Some(shown), "{rule}");
        let told = is("http.request.method_original");
        assert_eq!(told.as_deref(), original, "{rule}");
    }
}

const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
const IN_ANOTHER_PROCESS: &str = "settings::names::what_the_environment_knows_is_written";

/// The environment is the whole process's, so this runs in one of its own.
#[test]
#[ignore = "run by the test below, with a variable set"]
fn what_the_environment_knows_is_written() {
    for method in ["GET", "POST", "PURGE", "get"] {
        for layer in ["plain", "given"] {
            let at = Recorder::new();
            let own = at.layer();
            let own = match layer {
                "given" => own.known_http_methods(["POST"]),
                _ => own,
            };
            let mut request = get();
            *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
            serve(&own, request, |_| {});
            println!("{layer} {method}: {}.", unchecked(&at).0.name);
        }
    }
}

#[test]
fn the_environment_says_which_methods_are_known_and_the_setting_knows_better() {
    for (list, known) in [
        (None, &["GET", "POST"][..]),
        (Some(""), &["GET", "POST"]),
        (Some("PURGE"), &["PURGE"]),
        (Some(" GET ,\tPURGE,"), &["GET", "PURGE"]),
        (Some("get"), &["get"]),
        (Some("a b, ,"), &["GET", "POST"]),
    ] {
        let mut process = Command::new(std::env::current_exe().expect("a path"));
        process.args(["--exact", IN_ANOTHER_PROCESS, "--ignored", "--nocapture"]);
        process.env_remove(KNOWN_METHODS);
        if let Some(list) = list {
            process.env(KNOWN_METHODS, list);
        }
        let output = process.output().expect("a process");
        let text = String::from_utf8(output.stdout).expect("a text");
        assert!(output.status.success(), "{list:?}: {text}");
        for method in ["GET", "POST", "PURGE", "get"] {
            let name = |is_known| if is_known { method } else { "HTTP" };
            let by_list = name(known.contains(&method));
            let by_setting = name(method == "POST");
            for line in [
                format!("plain {method}: {by_list}."),
                format!("given {method}: {by_setting}."),
            ] {
                assert!(text.contains(&line), "{list:?}: no {line} in {text}");
            }
        }
    }
}

/// A name that is neither borrowed nor a `String`.
#[test]
fn a_name_may_be_made_of_the_request() {
    let at = Recorder::new();
    let layer = at.layer().span_name_fn(|request| {
        let path = request.uri.path();
        path.strip_prefix('/').map(str::to_owned)
    });
    let mut service = answering(&layer, |_| -> Response<ScriptedBody> {
        response(204, ScriptedBody::full(0))
    });
    let request = Request::get("/its").body(()).expect("a request");
    drop(ready(service.call(request)));
    assert_eq!(at.only().0.name, "its");
}
