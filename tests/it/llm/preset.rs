//! The preset as a whole, and each of its settings alone.

use axum::Router;
use axum::routing::get as on_get;
use http::{HeaderName, HeaderValue, Request};
use tower::{Service, ServiceExt as _};
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::{event_stream, llm};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Bytes;
use crate::support::recorder::{Recorder, Seen, value, w3c};
use crate::support::{answering, get, handle_of, poll_frame, read, ready, response};

/// Serves `request` to the end of its response. Calls `handler` inside.
fn serve(layer: &ApiSpanLayer, request: Request<()>, handler: impl Fn(SpanHandle)) {
    let mut service = answering(layer, |request| {
        handler(handle_of(&request));
        response(200, ScriptedBody::full(3))
    });
    let body = ready(service.call(request)).expect("a response");
    read(&mut body.into_body()).expect("bytes");
}

/// Serves a request with axum's router and returns the span.
fn serve_with_axum(recorder: &Recorder, handler: fn(SpanHandle)) -> Seen {
    let handler = async move |span: SpanHandle| handler(span);
    let router = Router::new()
        .route("/v1/{kind}", on_get(handler))
        .layer(llm(recorder));
    let request = Request::get("/v1/chat").body(axum::body::Body::empty());
    let response = ready(router.oneshot(request.expect("a request"))).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    recorder.only()
}

#[test]
fn the_span_name_is_llm_request_whatever_the_route() {
    type Serve = fn(&Recorder) -> Seen;
    let no_route: Serve = |recorder| {
        serve(&llm(recorder), get(), |_| {});
        recorder.only()
    };
    let handler_route: Serve = |recorder| {
        serve(&llm(recorder), get(), |span| span.set_route("/v1/handler"));
        recorder.only()
    };
    for (case, serve, route) in [
        ("no route", no_route, None),
        (
            "axum's route",
            |recorder| serve_with_axum(recorder, |_| {}),
            Some("/v1/{kind}"),
        ),
        ("the handler's route", handler_route, Some("/v1/handler")),
        (
            "both",
            |recorder| serve_with_axum(recorder, |span| span.set_route("/v1/handler")),
            Some("/v1/{kind}"),
        ),
    ] {
        let span = serve(&Recorder::new());
        assert_eq!(span.0.name, "llm_request", "{case}");
        assert_eq!(span.attribute("http.route").as_deref(), route, "{case}");
    }
}

#[test]
fn the_request_id_header_is_recorded_on_the_span() {
    let long = "i".repeat(5_000);
    for (case, id, expected) in [
        ("present", Some("req-7"), Some("req-7")),
        ("absent", None, None),
        ("empty", Some(""), None),
        ("too long", Some(long.as_str()), Some(&long[..1_024])),
    ] {
        let recorder = Recorder::new();
        let mut request = get();
        if let Some(id) = id {
            let id = HeaderValue::from_str(id).expect("a value");
            request.headers_mut().insert("x-request-id", id);
        }
        serve(&llm(&recorder), request, |_| {});
        let got = recorder.only().attribute("gen_ai.request.id");
        assert_eq!(got.as_deref(), expected, "{case}");
    }
}

#[test]
fn the_request_id_is_read_from_the_configured_header() {
    let recorder = Recorder::new();
    let header = HeaderName::from_static("x-correlation-id");
    let mut request = get();
    for (name, id) in [("x-request-id", "no"), ("x-correlation-id", "yes")] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(id));
    }
    serve(&llm(&recorder).request_id_header(header), request, |_| {});
    let got = recorder.only().attribute("gen_ai.request.id");
    assert_eq!(got.as_deref(), Some("yes"));
}

/// The effects of the preset's settings on a span.
#[derive(Clone, Debug, PartialEq)]
struct Effects {
    name: &'static str,
    has_id: bool,
    ends_at_terminator: bool,
    outcome: &'static str,
    has_first_response: bool,
}

/// Serves a stream with an error and a terminator, and drops it after the terminator. Returns the span, and
/// whether it had ended before the drop.
fn serve_stream(layer: ApiSpanLayer) -> (Seen, bool) {
    let recorder = Recorder::new();
    let layer = layer.tracer_provider(&recorder.provider).propagator(w3c());
    let mut service = answering(&layer, |_| {
        event_stream([
            Bytes(b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":\"engine died\"}\n\n"),
            Bytes(b"data: [DONE]\n\n"),
        ])
    });
    let mut request = get();
    let id = HeaderValue::from_static("req-7");
    request.headers_mut().insert("x-request-id", id);
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    for _ in 0..2 {
        assert!(poll_frame(&mut body).is_ready());
    }
    let has_ended = recorder.ends() == 1;
    drop(body);
    (recorder.only(), has_ended)
}

#[test]
fn each_setting_of_the_preset_has_only_its_own_effect() {
    let plain = Effects {
        name: "GET",
        has_id: false,
        ends_at_terminator: false,
        outcome: "ABORTED(client_disconnect)",
        has_first_response: false,
    };
    let id = HeaderName::from_static("x-request-id");
    for (case, layer, expected) in [
        ("plain", ApiSpanLayer::new(), plain.clone()),
        (
            "span_name",
            ApiSpanLayer::new().span_name("llm_request"),
            Effects {
                name: "llm_request",
                ..plain
            },
        ),
        (
            "an empty span_name",
            ApiSpanLayer::new().span_name(""),
            plain.clone(),
        ),
        (
            "request_id_header",
            ApiSpanLayer::new().request_id_header(id),
            Effects {
                has_id: true,
                ..plain
            },
        ),
        (
            "stream_terminator",
            ApiSpanLayer::new().stream_terminator("[DONE]"),
            Effects {
                ends_at_terminator: true,
                outcome: "DEPARTED",
                ..plain
            },
        ),
        (
            "another stream_terminator",
            ApiSpanLayer::new().stream_terminator("[END]"),
            plain.clone(),
        ),
        (
            "stream_errors",
            ApiSpanLayer::new().stream_errors(true),
            Effects {
                outcome: "ABORTED(generation_error)",
                ..plain
            },
        ),
        (
            "journey_events",
            ApiSpanLayer::new().journey_events(true),
            Effects {
                has_first_response: true,
                ..plain
            },
        ),
        (
            "all of them",
            ApiSpanLayer::llm(),
            Effects {
                name: "llm_request",
                has_id: true,
                ends_at_terminator: true,
                outcome: "ABORTED(generation_error)",
                has_first_response: true,
            },
        ),
    ] {
        let (span, ends_at_terminator) = serve_stream(layer);
        let has = |key| span.value(key).is_some();
        let event = "api.FIRST_RESPONSE_FROM_CORE".to_owned();
        let has_first_response = span.events().contains(&event);
        assert_eq!(
            has("gen_ai.response.time_to_first_chunk"),
            has_first_response,
            "{case}"
        );
        assert_eq!(span.0.name, expected.name, "{case}");
        assert_eq!(has("gen_ai.request.id"), expected.has_id, "{case}");
        assert_eq!(ends_at_terminator, expected.ends_at_terminator, "{case}");
        assert_eq!(span.outcome(), expected.outcome, "{case}");
        assert_eq!(has_first_response, expected.has_first_response, "{case}");
    }
}

#[test]
fn panicking_endless_and_empty_finish_reasons_are_bounded() {
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |request| {
        let handle = handle_of(&request);
        let panics = std::iter::once_with(|| -> &str { std::panic::resume_unwind(Box::new("")) });
        handle.gen_ai().finish_reasons(panics).finish_reasons([""]);
        assert!(handle.is_recording());
        if request.uri().path() == "/endless" {
            handle.gen_ai().finish_reasons(std::iter::repeat("stop"));
        }
        response(200, ScriptedBody::full(0))
    });
    for path in ["/none", "/endless"] {
        let request = http::Request::get(path).body(()).expect("a request");
        drop(ready(service.call(request)));
    }
    let counts: Vec<_> = recorder
        .spans()
        .iter()
        .map(|span| match value(span, "gen_ai.response.finish_reasons") {
            Some(opentelemetry::Value::Array(opentelemetry::Array::String(all))) => all.len(),
            other => usize::from(other.is_some()),
        })
        .collect();
    assert_eq!(counts, [0, 128]);
}
