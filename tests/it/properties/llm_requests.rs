//! Requests to LLM APIs: what is recorded of their JSON, wherever it is cut.

use bytes::Bytes;
use http::{Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use tower::{Service, ServiceBuilder};
use tower_api_span::{RequestBody, RequestBodyLayer};

use super::config;
use super::event_streams::cuts;
use super::oracle::check_request;
use super::oracle::llm::request::{self, Read, read};
use super::single_request::layer;
use crate::support::body::{ScriptedBody, Step};
use crate::support::recorder::Recorder;
use crate::support::{read as read_body, ready};

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn request_is_read_as_the_oracle_reads_it(
        text in texts(),
        cuts in cuts(),
        is_json in prop::bool::weighted(0.9),
    ) {
        let expected = match read(&text) {
            Read::Request(request) if is_json => request,
            _ => request::Request::default(),
        };
        for steps in [cuts.pieces(&text), vec![Step::Slice(0, text.len())]] {
            let at = Recorder::new();
            let body = ScriptedBody::new(steps).reading(text.clone());
            serve(&at, body, is_json);
            check_request(&at.only().0, &expected);
        }
    }
}

/// Serves a request whose handler reads it to its end.
fn serve(at: &Recorder, body: ScriptedBody, is_json: bool) {
    let content_type = if is_json {
        "application/json"
    } else {
        "text/plain"
    };
    let request = Request::post("/v1/chat/completions").header("content-type", content_type);
    let mut service = ServiceBuilder::new()
        .layer(layer(at, true))
        .layer(RequestBodyLayer::new())
        .service_fn(|request: Request<RequestBody<ScriptedBody>>| {
            let read = read_body(&mut request.into_body());
            std::future::ready(read.map(|_| Response::new(ScriptedBody::full(0))))
        });
    let request = request.body(body).expect("a request");
    let response = ready(service.call(request)).expect("a response");
    drop(response);
}

/// Texts of requests, some of them incomplete.
fn texts() -> impl Strategy<Value = Bytes> {
    let members = select(&FORMATS[..]).prop_flat_map(|keys| vec(members(keys), 0..7));
    (members, any::<bool>(), 0..12_usize).prop_map(|(members, is_pretty, cut)| {
        let request: Map<_, _> = members
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        let mut text = if is_pretty {
            serde_json::to_vec_pretty(&request)
        } else {
            serde_json::to_vec(&request)
        }
        .expect("JSON");
        match cut {
            0 => text.truncate(text.len() / 2),
            1 => text.extend(b"\r\n "),
            _ => {}
        }
        text.into()
    })
}

/// The members of one format, and the member with further ones in it. No request has two limits.
type Keys = (
    &'static [&'static str],
    &'static str,
    &'static [&'static str],
);

const FORMATS: [Keys; 5] = [
    (
        &["max_tokens", "temperature"],
        "response_format",
        &["type", "x"],
    ),
    (
        &["max_completion_tokens", "temperature"],
        "x",
        &["model", "max_tokens"],
    ),
    (&["max_output_tokens", "temperature"], "text", &["format"]),
    (&["x"], "options", &["num_predict", "temperature", "model"]),
    (
        &["x"],
        "generationConfig",
        &["maxOutputTokens", "temperature", "responseMimeType"],
    ),
];

fn members((keys, parent, nested): Keys) -> impl Strategy<Value = (&'static str, Value)> {
    let format = values().prop_map(|kind| json!({ "type": kind }));
    let inner = (select(nested), values(), format).prop_map(|(key, value, format)| match key {
        "format" => (key, format),
        _ => (key, value),
    });
    let inner = vec(inner, 0..4).prop_map(|members| {
        let members = members.into_iter();
        Value::Object(
            members
                .map(|(key, value)| (key.to_owned(), value))
                .collect(),
        )
    });
    let prompt = select(vec!["messages", "prompt", "input", "contents"]);
    let prompts = select(vec![json!([]), json!("Hi"), json!([{"model": "no"}])]);
    prop_oneof![
        2 => (prompt, prompts),
        3 => (select(keys), values()),
        3 => (select(vec!["model", "stream", "n", "models"]), values()),
        2 => (Just(parent), inner),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    select(vec![
        json!("gpt-\u{e4}"),
        json!(""),
        json!("json_object"),
        json!("json_schema"),
        json!("text"),
        json!("application/json"),
        json!("text/plain"),
        json!(0),
        json!(64),
        json!(0.25),
        json!(-1),
        json!(true),
        json!(false),
        json!(null),
        json!([1]),
    ])
}
