//! Span names, routes, and the lists of known methods.

use std::process::Command;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::{Method, Request, Response, request};
use tower::{Service as _, ServiceExt as _};
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::{RecordingSampler, serve, unchecked};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Trailers;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, grpc, handle_of, read, ready, response};

/// Name and route as given by the settings, axum and the handler, and the expected span.
struct Case {
    rule: &'static str,
    set: fn(ApiSpanLayer) -> ApiSpanLayer,
    /// Whether axum matches `/users/{id}`.
    is_matched: bool,
    /// The argument of `set_route` in the handler.
    set_route: Option<&'static str>,
    /// Name and route that the sampler receives.
    at_start: (&'static str, Option<&'static str>),
    /// Name and route of the ended span.
    at_end: (&'static str, Option<&'static str>),
}

/// No name and no route from any source.
const PLAIN: Case = Case {
    rule: "",
    set: |layer| layer,
    is_matched: false,
    set_route: None,
    at_start: ("GET", None),
    at_end: ("GET", None),
};

/// A callback without a result.
fn absent(_: &request::Parts) -> Option<&'static str> {
    None
}

const MATCHED: (&str, Option<&str>) = ("GET /users/{id}", Some("/users/{id}"));
const BY_CALLBACK: (&str, Option<&str>) = ("GET /by-callback", Some("/by-callback"));
const BY_HANDLER: (&str, Option<&str>) = ("GET /by-handler", Some("/by-handler"));

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
            rule: "no source",
            ..PLAIN
        },
        Case {
            rule: "the route of axum",
            ..matched
        },
        Case {
            rule: "the route of the handler, without one at the start",
            set_route: Some("/by-handler"),
            at_end: BY_HANDLER,
            ..PLAIN
        },
        Case {
            rule: "an empty route of the handler is ignored",
            set_route: Some(""),
            ..PLAIN
        },
        Case {
            rule: "the route of axum before the handler's",
            set_route: Some("/by-handler"),
            ..matched
        },
        Case {
            rule: "the route of the callback before both",
            set: |layer| layer.route_fn(|_| Some("/by-callback")),
            set_route: Some("/by-handler"),
            at_start: BY_CALLBACK,
            at_end: BY_CALLBACK,
            ..matched
        },
        Case {
            rule: "the route of the callback, without axum's",
            set: |layer| layer.route_fn(|_| Some("/by-callback".to_owned())),
            set_route: Some("/by-handler"),
            at_start: BY_CALLBACK,
            at_end: BY_CALLBACK,
            ..PLAIN
        },
        Case {
            rule: "a route callback that returns None falls back to axum",
            set: |layer| layer.route_fn(absent),
            ..matched
        },
        Case {
            rule: "a route callback that returns an empty string falls back to axum",
            set: |layer| layer.route_fn(|_| Some("")),
            ..matched
        },
        Case {
            rule: "a route callback that panics falls back to axum",
            set: |layer| layer.route_fn(|_| -> Option<&str> { panic!("no route") }),
            ..matched
        },
        Case {
            rule: "a route callback that returns None falls back to the handler",
            set: |layer| layer.route_fn(absent),
            set_route: Some("/by-handler"),
            at_end: BY_HANDLER,
            ..PLAIN
        },
        Case {
            rule: "a fixed name keeps the route as an attribute",
            set: |layer| layer.span_name("custom"),
            at_start: ("custom", MATCHED.1),
            at_end: ("custom", MATCHED.1),
            ..matched
        },
        Case {
            rule: "a fixed name is kept with a route of the handler",
            set: |layer| layer.span_name("custom"),
            set_route: Some("/by-handler"),
            at_start: ("custom", None),
            at_end: ("custom", BY_HANDLER.1),
            ..PLAIN
        },
        Case {
            rule: "an empty fixed name is ignored",
            set: |layer| layer.span_name("custom").span_name(""),
            ..matched
        },
        Case {
            rule: "the name of the callback before the fixed one",
            set: |layer| layer.span_name("other").span_name_fn(|_| Some("custom")),
            set_route: Some("/by-handler"),
            at_start: ("custom", None),
            at_end: ("custom", BY_HANDLER.1),
            ..PLAIN
        },
        Case {
            rule: "the name of the callback alone",
            set: |layer| layer.span_name_fn(|_| Some("custom".to_owned())),
            at_start: ("custom", MATCHED.1),
            at_end: ("custom", MATCHED.1),
            ..matched
        },
        Case {
            rule: "a name callback that returns None falls back to the fixed name",
            set: |layer| layer.span_name("custom").span_name_fn(absent),
            at_start: ("custom", None),
            at_end: ("custom", None),
            ..PLAIN
        },
        Case {
            rule: "a name callback that returns an empty string falls back to the conventions",
            set: |layer| layer.span_name_fn(|_| Some("")),
            ..matched
        },
        Case {
            rule: "a name callback that panics falls back to the conventions",
            set: |layer| layer.span_name_fn(|_| -> Option<&str> { panic!("no name") }),
            set_route: Some("/by-handler"),
            at_end: BY_HANDLER,
            ..PLAIN
        },
        Case {
            rule: "name and route from callbacks",
            set: |layer| {
                layer
                    .route_fn(|_| Some("/by-callback"))
                    .span_name_fn(|_| Some("custom"))
            },
            at_start: ("custom", BY_CALLBACK.1),
            at_end: ("custom", BY_CALLBACK.1),
            ..matched
        },
    ]
}

#[tokio::test]
async fn name_and_route_follow_their_precedence_at_start_and_end() {
    for case in cases() {
        let (at, sampler) = RecordingSampler::recorder();
        let handler = any(async move |span: SpanHandle| {
            if let Some(route) = case.set_route {
                span.set_route(route);
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
        assert_eq!(sampler.only().0, name, "{}: at the start", case.rule);
        let seen = sampler.attribute("http.route");
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
fn names_and_routes_from_callbacks_are_truncated_between_characters() {
    // A character of two bytes crosses the limit.
    let long = || Some(format!("/{}", "ü".repeat(5_000)));
    let truncated = format!("/{}", "ü".repeat(511));
    let at = Recorder::new();
    serve(&at.layer().route_fn(move |_| long()), get(), |_| {});
    let span = at.only();
    assert_eq!(span.0.name, format!("GET {truncated}"));
    assert_eq!(span.attribute("http.route"), Some(truncated.clone()));

    let at = Recorder::new();
    serve(&at.layer().span_name_fn(move |_| long()), get(), |_| {});
    assert_eq!(unchecked(&at).0.name, truncated);
}

/// Serves a gRPC call, answered with this code, or in plain HTTP.
fn serve_call(layer: &ApiSpanLayer, code: Option<&'static str>) {
    let mut service = answering(layer, move |request| {
        handle_of(&request).set_route("/by-handler");
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
fn grpc_call_is_named_after_its_method_unless_set_or_unimplemented() {
    let known: fn(ApiSpanLayer) -> ApiSpanLayer = |layer| layer.known_rpc_methods([METHOD]);
    for (rule, set, code, at_start, at_end, method) in [
        (
            "a method that the server has",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            "0",
            METHOD,
            METHOD,
            METHOD,
        ),
        (
            "a method that the server does not have",
            |layer| layer,
            "12",
            METHOD,
            "grpc",
            "_OTHER",
        ),
        ("a known method", known, "0", METHOD, METHOD, METHOD),
        (
            "a known method that the server does not have",
            known,
            "12",
            METHOD,
            METHOD,
            METHOD,
        ),
        (
            "a method that is not on the list",
            |layer| layer.known_rpc_methods(["pkg.Service/Other"]),
            "0",
            "grpc",
            "grpc",
            "_OTHER",
        ),
        (
            "a name from the settings",
            |layer| layer.span_name_fn(|_| Some("custom")),
            "12",
            "custom",
            "custom",
            "_OTHER",
        ),
        (
            "a call has no route",
            |layer| layer.route_fn(|_| Some("/by-callback")),
            "0",
            METHOD,
            METHOD,
            METHOD,
        ),
    ] {
        let (at, sampler) = RecordingSampler::recorder();
        serve_call(&set(at.layer()), Some(code));
        let spans = at.exported();
        let span = Seen(spans[0].clone());
        assert_eq!(sampler.only().0, at_start, "{rule}");
        assert_eq!(span.0.name, at_end, "{rule}");
        let is = |key: &str| span.attribute(key);
        assert_eq!(is("rpc.method").as_deref(), Some(method), "{rule}");
        let original = (method == "_OTHER").then_some(METHOD);
        assert_eq!(is("rpc.method_original").as_deref(), original, "{rule}");
        assert_eq!(is("http.route"), None, "{rule}");
    }
}

#[test]
fn samplers_see_a_learnt_grpc_method_as_attribute_and_another_one_in_the_name() {
    let (at, sampler) = RecordingSampler::recorder();
    let layer = at.layer().known_rpc_services(["pkg.Service"]);
    let mut at_start = Vec::new();
    for code in ["12", "0", "12"] {
        serve_call(&layer, Some(code));
        let (name, attributes) = sampler.only();
        let method = attributes.iter().find(|kv| kv.key.as_str() == "rpc.method");
        at_start.push((name, method.map(|kv| kv.value.to_string())));
        sampler.0.lock().expect("not poisoned").clear();
    }
    let name = || METHOD.to_owned();
    let expected = [(name(), None), (name(), None), (name(), Some(name()))];
    assert_eq!(at_start, expected);
    let spans = at.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["grpc", METHOD, METHOD]);
}

#[test]
fn grpc_call_is_described_as_http_where_no_rpc_method_is_known() {
    let (at, sampler) = RecordingSampler::recorder();
    let layer = at
        .layer()
        .known_rpc_methods([""; 0])
        .route_fn(|_| Some("/by-callback"));
    serve_call(&layer, Some("0"));
    let span = at.only();
    assert_eq!(sampler.only().0, "POST /by-callback");
    assert_eq!(span.0.name, "POST /by-callback");
    for (key, expected) in [
        ("http.request.method", Some("POST")),
        ("http.route", Some("/by-callback")),
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
fn grpc_content_type_answered_in_http_is_named_by_the_http_settings() {
    for (rule, set, name) in [
        (
            "no setting",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            "POST /by-handler",
        ),
        (
            "a name from the settings",
            |layer| layer.span_name("custom"),
            "custom",
        ),
        (
            "a method that is not on the list",
            |layer| layer.known_http_methods(["GET"]),
            "HTTP /by-handler",
        ),
    ] {
        let at = Recorder::new();
        serve_call(&set(at.layer()), None);
        // The recorder accepts only the standard methods.
        let span = unchecked(&at);
        assert_eq!(span.0.name, name, "{rule}");
        let is = |key: &str| span.attribute(key);
        let is_known = name != "HTTP /by-handler";
        let (method, original) = if is_known {
            ("POST", None)
        } else {
            ("_OTHER", Some("POST"))
        };
        assert_eq!(is("http.request.method").as_deref(), Some(method), "{rule}");
        let recorded = is("http.request.method_original");
        assert_eq!(recorded.as_deref(), original, "{rule}");
    }
}

#[test]
fn http_methods_not_on_the_list_are_other() {
    let webdav = ["GET", "PROPFIND"];
    for (rule, known, method, is_known) in [
        ("a standard method", None, "PATCH", true),
        ("a method that is not standard", None, "PROPFIND", false),
        ("names are case-sensitive", None, "get", false),
        ("on the list", Some(&webdav[..]), "PROPFIND", true),
        ("on both lists", Some(&webdav), "GET", true),
        (
            "a standard method that is not on the list",
            Some(&webdav),
            "POST",
            false,
        ),
        ("an empty list", Some(&[]), "GET", false),
        ("a method named _OTHER", None, "_OTHER", false),
    ] {
        let at = Recorder::new();
        let layer = match known {
            Some(known) => at.layer().known_http_methods(known.iter().copied()),
            None => at.layer(),
        };
        let mut request = get();
        *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
        serve(&layer.route_fn(|_| Some("/r")), request, |_| {});
        // The recorder accepts only the standard methods.
        let span = unchecked(&at);
        let (name, shown, original) = if is_known {
            (method, method, None)
        } else {
            ("HTTP", "_OTHER", Some(method))
        };
        assert_eq!(span.0.name, format!("{name} /r"), "{rule}");
        let is = |key: &str| span.attribute(key);
        assert_eq!(is("http.request.method").as_deref(), Some(shown), "{rule}");
        let recorded = is("http.request.method_original");
        assert_eq!(recorded.as_deref(), original, "{rule}");
    }
}

const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";
/// Set in the process that prints names instead of running the test.
const IS_CHILD: &str = "TOWER_API_SPAN_PRINT_NAMES";

/// Prints the names of spans.
fn print_the_names_of_known_methods() {
    for method in ["GET", "POST", "PURGE", "get"] {
        for (layer, own) in [
            ("new", ApiSpanLayer::new()),
            ("default", ApiSpanLayer::default()),
            ("set", ApiSpanLayer::new().known_http_methods(["POST"])),
        ] {
            let at = Recorder::new();
            let own = own.tracer_provider(&at.provider);
            let mut request = get();
            *request.method_mut() = Method::from_bytes(method.as_bytes()).expect("a method");
            serve(&own, request, |_| {});
            println!("{layer} {method}: {}.", unchecked(&at).0.name);
        }
    }
}

/// The environment is process-wide, so this runs itself in processes of their own.
#[test]
fn known_methods_come_from_the_environment_unless_set() {
    if std::env::var_os(IS_CHILD).is_some() {
        return print_the_names_of_known_methods();
    }
    let this = "settings::names::known_methods_come_from_the_environment_unless_set";
    for (list, known) in [
        (None, &["GET", "POST"][..]),
        (Some(""), &["GET", "POST"]),
        (Some("PURGE"), &["PURGE"]),
        (Some(" GET ,\tPURGE,"), &["GET", "PURGE"]),
        (Some("get"), &["get"]),
        (Some("a b, ,"), &["GET", "POST"]),
    ] {
        let mut process = Command::new(std::env::current_exe().expect("a path"));
        process.args(["--exact", this, "--nocapture"]);
        process.env(IS_CHILD, "1").env_remove(KNOWN_METHODS);
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
                format!("new {method}: {by_list}."),
                format!("default {method}: {by_list}."),
                format!("set {method}: {by_setting}."),
            ] {
                assert!(
                    text.contains(&line),
                    "{list:?}: {line} is missing in {text}"
                );
            }
        }
    }
}

#[test]
fn span_name_fn_may_build_the_name_from_the_request() {
    let at = Recorder::new();
    let layer = at.layer().span_name_fn(|request| {
        let path = request.uri.path();
        path.strip_prefix('/').map(str::to_owned)
    });
    let mut service = answering(&layer, |_| -> Response<ScriptedBody> {
        response(204, ScriptedBody::full(0))
    });
    let request = Request::get("/custom").body(()).expect("a request");
    drop(ready(service.call(request)));
    assert_eq!(at.only().0.name, "custom");
}
