//! Tests of the name and the attributes of a span at its start.

use std::sync::Arc;

use ::http::{HeaderName, Request, request};
use opentelemetry::KeyValue;

use crate::protocol::grpc::{Protocol, detect_protocol};
use crate::protocol::http::captured::CapturedHeaders;
use crate::protocol::http::forwarded::Hop;
use crate::recording::learnt_methods::LearntMethods;
use crate::settings::callback::Callback;
use crate::settings::{Captured, Settings};
use crate::telemetry::span::request::read_request;
use crate::telemetry::span::start::{SpanStart, describe_start};
use crate::telemetry::span::start_attributes::{MAX_FROM_OPERATOR, StartAttributes};
use crate::telemetry::span::target::{Target, has_own_extensions};

/// Returns the name and the attributes of a request's span at its start, as `key=value`, sorted.
pub(crate) fn started(request: Request<()>) -> (String, Vec<String>) {
    started_with(request, |_| {})
}

/// Returns the same with changed settings.
pub(crate) fn started_with(
    request: Request<()>,
    set: impl FnOnce(&mut Settings),
) -> (String, Vec<String>) {
    let mut settings = Settings::default();
    set(&mut settings);
    let (parts, ()) = request.into_parts();
    let protocol = detect_protocol(&parts.method, &parts.headers);
    let start = describe(&parts, protocol, &settings);
    let mut attributes: Vec<_> = start
        .attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    attributes.sort();
    (start.name.into_owned(), attributes)
}

fn describe(parts: &request::Parts, protocol: Protocol, settings: &Settings) -> SpanStart {
    let hop = Hop::default();
    let target = Target::read(parts, has_own_extensions(&mut parts.clone()));
    let learnt = LearntMethods::default();
    let request = read_request(parts, target, protocol, settings, &learnt, &hop);
    let arrived = std::time::SystemTime::UNIX_EPOCH;
    describe_start(parts, target, settings, &request, &hop, arrived)
}

#[test]
fn attributes_of_the_start_claim_their_keys_and_no_others() {
    let (parts, ()) = Request::get("/p").body(()).expect("a request").into_parts();
    let settings = Settings {
        request_attributes: Callback::new("test", Arc::new(|_| vec![KeyValue::new("given", 1)])),
        ..Settings::default()
    };
    let mut start = describe(&parts, Protocol::Http, &settings);
    for attribute in &start.attributes {
        assert!(!start.keys.claim(&attribute.key), "{}", attribute.key);
    }
    for free in ["url.query", "http.route", "rpc.method", "mine"] {
        assert!(start.keys.claim(&free.into()), "{free}");
    }
}

#[test]
fn operators_attribute_replaces_the_layers_attribute() {
    let request = || Request::get("/users/ann").body(()).expect("a request");
    let (_, attributes) = started_with(request(), |settings| {
        settings.request_attributes = Callback::new(
            "test",
            Arc::new(|_| {
                vec![
                    KeyValue::new("url.path", "/users/…"),
                    KeyValue::new("url.path", "/twice"),
                    KeyValue::new("network.protocol.version", ""),
                    KeyValue::new("", "no key"),
                    KeyValue::new("error.type", "of the end"),
                    KeyValue::new("api.outcome", "of the end"),
                    KeyValue::new("shard", 7),
                ]
            }),
        );
    });
    assert_eq!(
        attributes,
        [
            "http.request.method=GET",
            "shard=7",
            "url.path=/users/…",
            "url.scheme=http",
        ]
    );
}

#[test]
fn captured_headers_and_attributes_of_the_operator_share_the_limit() {
    let mut attributes = StartAttributes::default();
    let header = |n| KeyValue::new(format!("http.request.header.h{n}"), n);
    attributes.add_captured((0..40).map(header));
    attributes.add_captured((40..80).map(header));
    let more = attributes.claim_for_operator(vec![KeyValue::new("given", 1)]);
    let (list, _, refused) = attributes.finish(Some(more));
    assert_eq!((list.len(), refused), (MAX_FROM_OPERATOR, 80 + 1 - 64));
}

#[test]
fn operators_attributes_are_limited_to_64_and_follow_the_layers() {
    let request = Request::get("/").body(()).expect("a request");
    let (_, attributes) = started_with(request, |settings| {
        settings.request_attributes = Callback::new(
            "test",
            Arc::new(|_| {
                let many = 0..1_000;
                many.map(|n| KeyValue::new(format!("given.{n}"), n))
                    .collect()
            }),
        );
    });
    let given = attributes.iter().filter(|text| text.starts_with("given."));
    assert_eq!(given.count(), MAX_FROM_OPERATOR);
    assert!(attributes.contains(&"http.request.method=GET".to_owned()));
    let (parts, ()) = Request::get("/").body(()).expect("a request").into_parts();
    let settings = Settings {
        request_attributes: Callback::new("test", Arc::new(|_| vec![KeyValue::new("given", 1)])),
        ..Settings::default()
    };
    let start = describe(&parts, Protocol::Http, &settings);
    let last = start.attributes.last().expect("an attribute");
    assert_eq!(last.key.as_str(), "given");
}

#[test]
fn capacity_is_the_number_of_attributes_at_start_and_end() {
    let (parts, ()) = Request::builder()
        .uri("http://h:1/p?q")
        .header("user-agent", "u")
        .header("x-id", "7")
        .header("x-a", "1")
        .body(())
        .expect("a request")
        .into_parts();
    let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 1));
    let captured = |names: &[&'static str]| {
        let names: Vec<_> = names.iter().copied().map(HeaderName::from_static).collect();
        Captured {
            http: CapturedHeaders::new("test", &names),
            ..Captured::default()
        }
    };
    let with_all = Settings {
        peer_address_fn: Callback::new("test", Arc::new(move |_| Some(peer))),
        local_address_fn: Callback::new("test", Arc::new(move |_| Some(peer))),
        route_fn: Callback::new("test", Arc::new(|_| Some("/p".into()))),
        request_attributes: Callback::new("test", Arc::new(|_| vec![KeyValue::new("given", 1)])),
        request_id_header: Some(HeaderName::from_static("x-id")),
        request_headers: captured(&["x-a"]),
        response_headers: captured(&["x-b", "x-c", "x-d"]),
        body_sizes: true,
        ..Settings::default()
    };
    // At the end: status, two times and outcome; with all settings also two sizes and three headers.
    for (rule, settings, at_start, at_end) in [
        ("default settings", Settings::default(), 8, 4),
        (
            "settings that add attributes",
            with_all,
            8 + 1 + 3 + 2 + 1 + 1 + 1,
            4 + 2 + 3,
        ),
    ] {
        let start = describe(&parts, Protocol::Http, &settings);
        assert_eq!(start.attributes.len(), at_start, "{rule}");
        let room = start.attributes.capacity();
        assert_eq!(room, at_start + at_end, "{rule}");
    }
}
