//! HTTP server spans, semantic conventions 1.45.0.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::{StatusCode, Uri, Version, request};
use opentelemetry::{KeyValue, StringValue};

use super::{Attributes, Connection, RequestInfo, StartKey, network};
use crate::outcome::Head;
use crate::protocol::http::forwarded::Hop;
use crate::semconv::{
    HTTP_REQUEST_METHOD, HTTP_REQUEST_METHOD_ORIGINAL, HTTP_RESPONSE_STATUS_CODE,
};
use crate::settings::Settings;
use crate::text::{truncate, truncate_lossy};

/// Sets the attributes and returns the name: `{method} {route}`, or `{method}` where no route is
/// known. Never the path, whose values are as many as clients can think of.
pub(super) fn at_start(
    parts: &request::Parts,
    config: &Settings,
    facts: &RequestInfo,
    hop: &Hop<'_>,
    connection: &Connection,
    attributes: &mut Attributes,
) -> Cow<'static, str> {
    attributes.set(StartKey::Method, facts.method_or_other());
    if facts.method.is_none() {
        let original = truncate(parts.method.as_str()).to_owned();
        attributes.set(StartKey::MethodOriginal, original);
    }
    let uri = uri(parts);
    attributes.set(StartKey::Path, truncate(uri.path()).to_owned());
    if let Some(query) = uri.query() {
        let query = config.sensitive_parameters.redact(query);
        attributes.set(StartKey::Query, query.into_owned());
    }
    attributes.set(StartKey::Scheme, facts.scheme.clone());
    network::server(parts, hop, attributes);
    network::client(connection.peer, hop, config.client_port, attributes);
    network::connection(connection, attributes);
    if let Some(version) = facts.version() {
        attributes.set(StartKey::ProtocolVersion, version);
    }
    if let Some(agent) = parts.headers.get(USER_AGENT) {
        attributes.set(StartKey::UserAgent, truncate_lossy(agent.as_bytes()));
    }
    if let Some(route) = &facts.route {
        attributes.set(StartKey::Route, route.clone());
    }
    name(facts, facts.route.as_ref().map(StringValue::as_str))
}

/// The name of a request: `{method} {route}`, or `{method}`. A method that is not known is `HTTP` in
/// names.
pub(super) fn name(facts: &RequestInfo, route: Option<&str>) -> Cow<'static, str> {
    let method = facts.method.clone().unwrap_or(Cow::Borrowed("HTTP"));
    match route {
        Some(route) => Cow::Owned([&method, route].join(" ")),
        None => method,
    }
}

/// The method of a request that was taken for gRPC's and if it is not known, as with a list without
/// POST, the original beside it.
pub(super) fn method(head: &Head, facts: &RequestInfo) -> impl Iterator<Item = KeyValue> {
    let original = facts.method.is_none().then(|| {
        let original = truncate(head.method.as_str()).to_owned();
        KeyValue::new(HTTP_REQUEST_METHOD_ORIGINAL, original)
    });
    let method = KeyValue::new(HTTP_REQUEST_METHOD, facts.method_or_other());
    [Some(method), original].into_iter().flatten()
}

pub(super) fn status_code(status: StatusCode) -> KeyValue {
    KeyValue::new(HTTP_RESPONSE_STATUS_CODE, i64::from(status.as_u16()))
}

pub(super) fn version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_09 => Some("0.9"),
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// The target as the client sent it: a nested router of axum's takes its prefix away.
#[cfg(feature = "axum")]
pub(super) fn uri(parts: &request::Parts) -> &Uri {
    match parts.extensions.get::<axum::extract::OriginalUri>() {
        Some(original) if !is_rewritten(parts, &original.0) => &original.0,
        _ => &parts.uri,
    }
}

/// Whether somebody inside has made another request of this one, and left the extensions: what axum
/// has put there is not about it any more. A nested router only takes a prefix away.
#[cfg(feature = "axum")]
fn is_rewritten(parts: &request::Parts, original: &Uri) -> bool {
    let path = parts.uri.path();
    path != "/" && !original.path().ends_with(path)
}

#[cfg(not(feature = "axum"))]
pub(super) fn uri(parts: &request::Parts) -> &Uri {
    &parts.uri
}

/// The template of the route: by the setting, else by the framework.
pub(super) fn route(parts: &request::Parts, config: &Settings) -> Option<StringValue> {
    // Shared, since spans and metrics both tell it.
    let shared = |route: &str| StringValue::from(Arc::<str>::from(route));
    match config.route(parts) {
        Some(Cow::Borrowed(route)) => Some(StringValue::from(route)),
        Some(Cow::Owned(route)) => Some(shared(&route)),
        None => of_framework(parts)
            .map(truncate)
            .filter(|route| !route.is_empty())
            .map(shared),
    }
}

/// axum's `MatchedPath`: the whole path with nested routers.
#[cfg(feature = "axum")]
fn of_framework(parts: &request::Parts) -> Option<&str> {
    let original = parts.extensions.get::<axum::extract::OriginalUri>();
    if original.is_some_and(|original| is_rewritten(parts, &original.0)) {
        return None;
    }
    let matched = parts.extensions.get::<axum::extract::MatchedPath>();
    matched.map(axum::extract::MatchedPath::as_str)
}

#[cfg(not(feature = "axum"))]
fn of_framework(_: &request::Parts) -> Option<&str> {
    None
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::tests::started;
    use super::*;

    #[test]
    fn a_request_with_everything() {
        let (name, attributes) = started(
            Request::post("https://api.example.com:8443/v1/chat?stream=1&sig=abc")
                .version(Version::HTTP_2)
                .header("user-agent", "curl/8")
                .body(())
                .expect("a request"),
        );
        assert_eq!(name, "POST");
        assert_eq!(
            attributes,
            [
                "http.request.method=POST",
                "network.protocol.version=2",
                "server.address=api.example.com",
                "server.port=8443",
                "url.path=/v1/chat",
                "url.query=stream=1&sig=REDACTED",
                "url.scheme=https",
                "user_agent.original=curl/8",
            ]
        );
    }

    #[test]
    fn a_request_with_nothing() {
        let (name, attributes) = started(Request::get("/").body(()).expect("a request"));
        assert_eq!(name, "GET");
        assert_eq!(
            attributes,
            [
                "http.request.method=GET",
                "network.protocol.version=1.1",
                "url.path=/",
                "url.scheme=http",
            ]
        );
    }

    #[test]
    fn a_version_is_written_as_the_conventions_have_it() {
        for (of, written) in [
            (Version::HTTP_09, "0.9"),
            (Version::HTTP_10, "1.0"),
            (Version::HTTP_11, "1.1"),
            (Version::HTTP_2, "2"),
            (Version::HTTP_3, "3"),
        ] {
            assert_eq!(version(of), Some(written));
        }
    }

    #[test]
    fn an_empty_string_is_no_attribute() {
        let (_, attributes) = started(
            Request::connect("example.com:443")
                .header("user-agent", "")
                .body(())
                .expect("a request"),
        );
        assert!(
            !attributes.iter().any(|text| text.ends_with('=')),
            "{attributes:?}"
        );
        let (_, attributes) = started(Request::get("/?").body(()).expect("a request"));
        assert!(!attributes.iter().any(|text| text.starts_with("url.query")));
    }

    #[test]
    fn a_method_nobody_knows_is_other_and_http_in_the_name() {
        for (method, name, expected) in [
            ("FOO", "HTTP", "_OTHER"),
            ("get", "HTTP", "_OTHER"),
            ("QUERY", "QUERY", "QUERY"),
            ("PATCH", "PATCH", "PATCH"),
        ] {
            let request = Request::builder().method(method).uri("/p");
            let (span_name, attributes) = started(request.body(()).expect("a request"));
            assert_eq!(span_name, name);
            let has = |text: String| attributes.contains(&text);
            assert!(
                has(format!("http.request.method={expected}")),
                "{attributes:?}"
            );
            assert_eq!(
                has(format!("http.request.method_original={method}")),
                expected == "_OTHER",
                "{attributes:?}"
            );
        }
    }

    #[test]
    fn a_string_from_the_wire_is_cut() {
        let path = format!("/{}", "a".repeat(5_000));
        let (_, attributes) = started(Request::get(path).body(()).expect("a request"));
        let path = attributes
            .iter()
            .find_map(|text| text.strip_prefix("url.path="));
        assert_eq!(path.map(str::len), Some(1_024));
    }

    #[test]
    fn the_status_is_an_integer() {
        let status = status_code(StatusCode::NOT_FOUND);
        assert_eq!(status.value, opentelemetry::Value::I64(404));
    }
}
