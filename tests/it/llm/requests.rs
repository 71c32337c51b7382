//! What is read in requests, and what the handler records: before the last event, and too late.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Request};
use tower::{Service, ServiceExt as _, service_fn};
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer, SpanHandle};
use tower_layer::Layer as _;

use super::{event_stream, llm};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Bytes, Pending};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, poll_frame, read, ready, response};

type Settings = fn(ApiSpanLayer) -> ApiSpanLayer;

const KEYS: [&str; 5] = [
    "model",
    "max_tokens",
    "temperature",
    "stream",
    "output.type",
];

/// Sends a request whose handler reads its body, and returns the span.
fn send(
    settings: impl Fn(ApiSpanLayer) -> ApiSpanLayer,
    headers: &[(HeaderName, &'static str)],
    steps: &[Step],
    handler: fn(&SpanHandle),
) -> Seen {
    let recorder = Recorder::new();
    let inner = service_fn(move |request: Request<RequestBody<ScriptedBody>>| {
        let handle = handle_of(&request);
        let mut body = request.into_body();
        let _ = read(&mut body);
        handler(&handle);
        std::future::ready(Ok::<_, Infallible>(response(200, ScriptedBody::new([]))))
    });
    let inner = RequestBodyLayer::new().layer(inner);
    let service = settings(llm(&recorder)).layer(inner);
    let mut request = Request::post("/").body(ScriptedBody::new(steps.to_vec()));
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        let request = request.as_mut().expect("a request");
        request.headers_mut().insert(name, value);
    }
    let response = ready(service.oneshot(request.expect("a request"))).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    recorder.only()
}

/// Returns what was read, in the order of [`KEYS`].
fn facts(span: &Seen) -> Vec<String> {
    let facts = KEYS.iter().filter_map(|key| {
        let prefix = if *key == "output.type" {
            "gen_ai"
        } else {
            "gen_ai.request"
        };
        span.attribute(&format!("{prefix}.{key}"))
    });
    facts.collect()
}

const JSON: (HeaderName, &str) = (CONTENT_TYPE, "application/json; charset=utf-8");
const BODY: &[u8] = br#"{"model":"m","messages":[{"role":"user","content":"secret"}],"max_tokens":9,"temperature":0.5,"stream":true,"response_format":{"type":"json_object"}}"#;

#[test]
fn a_request_is_read_as_its_body_passes() {
    let all = ["m", "9", "0.5", "true", "json"]
        .map(str::to_owned)
        .to_vec();
    let (first, second) = BODY.split_at(50);
    let same = |layer| layer;
    let off = |layer: ApiSpanLayer| layer.gen_ai_attributes(false);
    let compressed = [JSON, (CONTENT_ENCODING, "gzip")];
    for (case, settings, headers, steps, expected) in [
        (
            "whole",
            same as Settings,
            &[JSON][..],
            &[Bytes(BODY)][..],
            &all,
        ),
        (
            "in pieces",
            same,
            &[JSON],
            &[Bytes(first), Bytes(b""), Bytes(second)],
            &all,
        ),
        ("cut", same, &[JSON], &[Bytes(first)], &Vec::new()),
        ("no content type", same, &[], &[Bytes(BODY)], &Vec::new()),
        ("compressed", same, &compressed, &[Bytes(BODY)], &Vec::new()),
        ("turned off", off, &[JSON], &[Bytes(BODY)], &Vec::new()),
        (
            "not of a language model",
            same,
            &[JSON],
            &[Bytes(br#"{"model":"m"}"#)],
            &Vec::new(),
        ),
    ] {
        let span = send(settings, headers, steps, |_| {});
        assert_eq!(&facts(&span), expected, "{case}");
        assert!(!format!("{:?}", span.0).contains("secret"), "{case}");
    }
}

/// A server cuts a body into frames as its packets arrive.
#[test]
fn text_behind_the_json_of_a_request_does_not_count_in_any_frame() {
    for steps in [
        &[Bytes(b"{\"model\":\"m\",\"input\":1}{\"model\":\"n\"}")][..],
        &[
            Bytes(b"{\"model\":\"m\",\"input\":1}"),
            Bytes(b"{\"model\":\"n\"}"),
        ],
        &[
            Bytes(b"{\"model\":\"m\",\"input\":1}{"),
            Bytes(b"\"model\":\"n\"}"),
        ],
    ] {
        let span = send(|layer| layer, &[JSON], steps, |_| {});
        assert_eq!(facts(&span), ["m"], "{steps:?}");
    }
}

#[test]
fn what_the_handler_says_of_a_request_wins() {
    let span = send(
        |layer| layer,
        &[JSON],
        &[Bytes(BODY)],
        |span| {
            span.gen_ai().request_model("mine").max_tokens(1);
        },
    );
    assert_eq!(facts(&span), ["mine", "1", "0.5", "true", "json"]);
}

#[test]
fn what_is_recorded_before_the_last_event_is_kept_and_what_comes_later_is_counted() {
    const TOKEN: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let recorder = Recorder::new();
    let handle = Arc::new(Mutex::new(SpanHandle::default()));
    let mut service = answering(&llm(&recorder), |request| {
        *handle.lock().expect("the handle") = handle_of(&request);
        event_stream([Bytes(TOKEN), Bytes(b"data: [DONE]\n\n"), Pending])
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    let handle = handle.lock().expect("the handle").clone();
    let _ = poll_frame(&mut body);
    handle.gen_ai().output_tokens(7);
    assert_eq!(handle.lost_records(), 0);
    let _ = poll_frame(&mut body);
    handle.gen_ai().input_tokens(5);
    assert_eq!(handle.lost_records(), 1);
    drop(body);
    let span = recorder.only();
    let usage = |kind: &str| span.attribute(&format!("gen_ai.usage.{kind}_tokens"));
    assert_eq!(
        (usage("output"), usage("input")),
        (Some("7".to_owned()), None)
    );
    assert_eq!(span.outcome(), "DEPARTED");
}
