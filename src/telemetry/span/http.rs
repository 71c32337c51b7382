//! HTTP server spans at their start, as defined by the semantic conventions 1.45.0.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::USER_AGENT;
use http::request;
use opentelemetry::StringValue;

use crate::protocol::http::forwarded::Hop;
use crate::protocol::http::methods::KnownMethod;
use crate::recording::request_info::RequestInfo;
use crate::recording::written_keys::OwnKey;
use crate::settings::Settings;
use crate::telemetry::span::network::{self, Connection};
use crate::telemetry::span::start_attributes::StartAttributes;
use crate::telemetry::span::target::Target;
use crate::text::{header_text, truncate};

/// Sets the attributes and returns the name. The name never contains the path, because clients can send any
/// number of different paths.
pub(super) fn describe_start(
    parts: &request::Parts,
    target: Target<'_>,
    settings: &Settings,
    request: &RequestInfo,
    hop: &Hop<'_>,
    connection: &Connection,
    attributes: &mut StartAttributes,
) -> Cow<'static, str> {
    attributes.set(OwnKey::Method, request.method_or_other());
    if request.known_method == KnownMethod::Unknown {
        let original = truncate(parts.method.as_str()).to_owned();
        attributes.set(OwnKey::MethodOriginal, original);
    }
    attributes.set(OwnKey::Path, truncate(target.path()).to_owned());
    if let Some(query) = target.uri.query() {
        let query = settings.sensitive_parameters.redact(query);
        attributes.set(OwnKey::Query, query.into_owned());
    }
    attributes.set(OwnKey::Scheme, request.scheme.clone());
    network::describe_server(parts, hop, attributes);
    network::describe_client(connection, hop, settings.client_port, attributes);
    if let Some(version) = request.http_version() {
        attributes.set(OwnKey::ProtocolVersion, version);
    }
    if let Some(agent) = parts.headers.get(USER_AGENT) {
        attributes.set(OwnKey::UserAgent, header_text(agent));
    }
    if let Some(route) = &request.route {
        attributes.set(OwnKey::Route, route.clone());
    }
    request.http_name(request.route.as_ref().map(StringValue::as_str))
}

/// Returns the template of the route: from the settings, else from the framework.
#[expect(
    clippy::inline_always,
    reason = "each request calls it once; else it is inlined nowhere"
)]
#[inline(always)]
pub(crate) fn route(
    parts: &request::Parts,
    target: Target<'_>,
    settings: &Settings,
) -> Option<StringValue> {
    // Shared by the span and the metrics.
    let shared = |route: &str| StringValue::from(Arc::<str>::from(route));
    match settings.route(parts) {
        Some(Cow::Borrowed(route)) => Some(StringValue::from(route)),
        Some(Cow::Owned(route)) => Some(shared(&route)),
        None => target
            .route
            .map(truncate)
            .filter(|route| !route.is_empty())
            .map(shared),
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use crate::telemetry::span::tests::started;

    #[test]
    fn request_with_all_parts_sets_all_attributes() {
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
    fn request_with_only_a_path_sets_the_required_attributes() {
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
    fn an_empty_string_sets_no_attribute() {
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
        assert!(
            attributes.contains(&"url.path=/".to_owned()),
            "{attributes:?}"
        );
        let (_, attributes) = started(Request::get("/?").body(()).expect("a request"));
        assert!(!attributes.iter().any(|text| text.starts_with("url.query")));
    }

    #[test]
    fn a_target_without_a_path_has_the_path_of_the_root() {
        for (request, expected) in [
            (Request::connect("example.com:443"), "url.path=/"),
            (Request::get("http://example.com"), "url.path=/"),
            (Request::options("*"), "url.path=*"),
        ] {
            let (_, attributes) = started(request.body(()).expect("a request"));
            assert!(attributes.contains(&expected.to_owned()), "{attributes:?}");
        }
    }

    #[test]
    fn an_unknown_method_is_other_and_http_in_the_name() {
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
    fn a_string_from_the_wire_is_truncated() {
        let path = format!("/{}", "a".repeat(5_000));
        let (_, attributes) = started(Request::get(path).body(()).expect("a request"));
        let path = attributes
            .iter()
            .find_map(|text| text.strip_prefix("url.path="));
        assert_eq!(path.map(str::len), Some(1_024));
    }
}
