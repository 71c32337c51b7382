use std::sync::Arc;

use ::http::{HeaderName, Request};

use super::start::MAX_GIVEN;
use super::*;
use crate::protocol::http::captured::CapturedHeaders;
use crate::semconv as key;
use crate::settings::Captured;
use crate::settings::callback::Callback;

/// The start of a request, its attributes as `key=value` in the order of their keys.
pub(crate) fn started(request: Request<()>) -> (String, Vec<String>) {
    started_with(request, |_| {})
}

/// The same with settings.
pub(crate) fn started_with(
    request: Request<()>,
    set: impl FnOnce(&mut Settings),
) -> (String, Vec<String>) {
    let mut config = Settings::default();
    set(&mut config);
    let (parts, ()) = request.into_parts();
    let protocol = crate::protocol::grpc::detect_protocol(&parts.method, &parts.headers);
    let start = started_by(&parts, protocol, &config);
    let mut attributes: Vec<_> = start
        .attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute.key, attribute.value))
        .collect();
    attributes.sort();
    (start.name.into_owned(), attributes)
}

fn started_by(parts: &request::Parts, protocol: Protocol, config: &Settings) -> StartAttributes {
    let hop = Hop::default();
    let facts = RequestInfo::of(parts, protocol, config, &hop);
    at_start(parts, config, &facts, &hop)
}

#[test]
fn what_was_written_is_known_and_nothing_else() {
    let (parts, ()) = Request::get("/p").body(()).expect("a request").into_parts();
    let config = Settings {
        request_attributes: Callback::new(Arc::new(|_| vec![KeyValue::new("given", 1)])),
        ..Settings::default()
    };
    let start = started_by(&parts, Protocol::Http, &config);
    for attribute in &start.attributes {
        assert!(
            start.written.has(attribute.key.as_str()),
            "{}",
            attribute.key
        );
    }
    assert!(start.written.has("given"));
    for absent in [key::URL_QUERY, key::HTTP_ROUTE, key::RPC_METHOD, "mine", ""] {
        assert!(!start.written.has(absent), "{absent}");
    }
}

#[test]
fn what_the_operator_gives_stands_in_place_of_the_layers() {
    let request = || Request::get("/users/ann").body(()).expect("a request");
    let (_, attributes) = started_with(request(), |config| {
        config.request_attributes = Callback::new(Arc::new(|_| {
            vec![
                KeyValue::new("url.path", "/users/…"),
                KeyValue::new("url.path", "/twice"),
                KeyValue::new("network.protocol.version", ""),
                KeyValue::new("", "no key"),
                KeyValue::new("error.type", "of the end"),
                KeyValue::new("api.outcome", "of the end"),
                KeyValue::new("shard", 7),
            ]
        }));
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
fn an_operator_who_gives_no_end_of_attributes_gives_64_and_after_the_layers() {
    let request = Request::get("/").body(()).expect("a request");
    let (_, attributes) = started_with(request, |config| {
        config.request_attributes = Callback::new(Arc::new(|_| {
            let many = 0..1_000;
            many.map(|n| KeyValue::new(format!("given.{n}"), n))
                .collect()
        }));
    });
    let given = attributes.iter().filter(|text| text.starts_with("given."));
    assert_eq!(given.count(), MAX_GIVEN);
    assert!(attributes.contains(&"http.request.method=GET".to_owned()));
    let (parts, ()) = Request::get("/").body(()).expect("a request").into_parts();
    let config = Settings {
        request_attributes: Callback::new(Arc::new(|_| vec![KeyValue::new("given", 1)])),
        ..Settings::default()
    };
    let start = started_by(&parts, Protocol::Http, &config);
    let last = start.attributes.last().expect("an attribute");
    assert_eq!(last.key.as_str(), "given");
}

#[test]
fn the_attributes_of_start_and_end_fit_without_growing_and_little_room_is_spare() {
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
        peer_address_fn: Callback::new(Arc::new(move |_| Some(peer))),
        local_address_fn: Callback::new(Arc::new(move |_| Some(peer))),
        route_fn: Callback::new(Arc::new(|_| Some("/p".into()))),
        request_attributes: Callback::new(Arc::new(|_| vec![KeyValue::new("given", 1)])),
        request_id_header: Some(HeaderName::from_static("x-id")),
        request_headers: captured(&["x-a"]),
        response_headers: captured(&["x-b", "x-c", "x-d"]),
        body_sizes: true,
        ..Settings::default()
    };
    // Of the end: status, two times and outcome; then also two sizes and three headers.
    for (rule, config, at_start, at_end) in [
        ("as it is", Settings::default(), 8, 4),
        (
            "with all that settings add",
            with_all,
            8 + 1 + 3 + 2 + 1 + 1 + 1,
            4 + 2 + 3,
        ),
    ] {
        let start = started_by(&parts, Protocol::Http, &config);
        assert_eq!(start.attributes.len(), at_start, "{rule}");
        let room = start.attributes.capacity();
        assert_eq!(room, at_start + at_end, "{rule}");
    }
}
