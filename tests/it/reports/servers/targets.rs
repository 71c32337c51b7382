//! Targets and hosts as clients, scanners and proxies write them.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::HeaderName;

use super::{exchange, only, serve, status_of};
use crate::support::recorder::Recorder;

struct Case {
    rule: &'static str,
    /// The request, without `Connection: close`.
    head: &'static [u8],
    status: u16,
    name: &'static str,
    /// Attributes, with the values that are expected. `None` is an absent attribute.
    attributes: Attributes,
}

type Attributes = &'static [(&'static str, Option<&'static str>)];

const fn case(
    rule: &'static str,
    head: &'static [u8],
    status: u16,
    name: &'static str,
    attributes: Attributes,
) -> Case {
    Case {
        rule,
        head,
        status,
        name,
        attributes,
    }
}

/// Returns a request for `/leaf` that is answered.
const fn leaf(rule: &'static str, head: &'static [u8], attributes: Attributes) -> Case {
    case(rule, head, 200, "GET /leaf", attributes)
}

fn app() -> Router {
    Router::new()
        .route("/leaf", get(|| async { "leaf" }))
        .route("/users/{id}", get(|Path(id): Path<String>| async { id }))
        .route(
            "/files/{*rest}",
            get(|Path(rest): Path<String>| async { rest }),
        )
}

/// Sends each request, and compares the span. Nothing that the client sends fails the request.
async fn check(cases: &[Case]) {
    for case in cases {
        let Case { rule, .. } = case;
        let recorder = Recorder::new();
        let headers = [HeaderName::from_static("x-name")];
        let layer = recorder.layer().capture_request_headers(headers);
        let address = serve(app().layer(layer)).await;
        let request = [case.head, b"connection: close\r\n\r\n"].concat();
        let answer = exchange(address, &request).await;
        assert_eq!(status_of(&answer), Some(case.status), "{rule}");

        let span = only(&recorder).await;
        assert_eq!(span.0.name, case.name, "{rule}");
        for (key, expected) in case.attributes {
            assert_eq!(span.attribute(key).as_deref(), *expected, "{rule}: {key}");
        }
        let texts = span.0.attributes.iter().map(|one| one.value.to_string());
        let secrets = texts.filter(|text| text.contains("secret")).count();
        assert_eq!(secrets, 0, "{rule}: {:?}", span.0.attributes);
    }
}

#[tokio::test]
async fn host_is_split_into_address_and_port() {
    check(&[
        // tracing-opentelemetry-instrumentation-sdk #350
        leaf(
            "IPv4 with a port",
            b"GET /leaf HTTP/1.1\r\nhost: 0.0.0.0:49459\r\n",
            &[
                ("server.address", Some("0.0.0.0")),
                ("server.port", Some("49459")),
            ],
        ),
        // opentelemetry-java-instrumentation #15158
        leaf(
            "IPv6",
            b"GET /leaf HTTP/1.1\r\nhost: [2001:db8::1]\r\n",
            &[
                ("server.address", Some("2001:db8::1")),
                ("server.port", None),
            ],
        ),
        leaf(
            "IPv6 with a port",
            b"GET /leaf HTTP/1.1\r\nhost: [2001:db8::1]:42\r\n",
            &[
                ("server.address", Some("2001:db8::1")),
                ("server.port", Some("42")),
            ],
        ),
        leaf(
            "IPv6 in an absolute target",
            b"GET http://[2001:db8::1]:42/leaf HTTP/1.1\r\nhost: a.example\r\n",
            &[
                ("server.address", Some("2001:db8::1")),
                ("server.port", Some("42")),
            ],
        ),
        // encode/httpx #2174, yarl #1862, aspnetcore #36739
        leaf(
            "IPv6 with a zone",
            b"GET /leaf HTTP/1.1\r\nhost: [fe80::1%eth0]:8080\r\n",
            &[
                ("server.address", Some("fe80::1")),
                ("server.port", Some("8080")),
            ],
        ),
        leaf(
            "IPv6 with an encoded zone",
            b"GET /leaf HTTP/1.1\r\nhost: [fe80::1%25eth0]\r\n",
            &[("server.address", Some("fe80::1")), ("server.port", None)],
        ),
        leaf(
            "no host",
            b"GET /leaf HTTP/1.0\r\n",
            &[("server.address", None), ("server.port", None)],
        ),
        leaf(
            "IPv6 without brackets",
            b"GET /leaf HTTP/1.1\r\nhost: 2001:db8::1\r\n",
            &[("server.address", None), ("server.port", None)],
        ),
    ])
    .await;
}

#[tokio::test]
async fn unusual_target_is_recorded_as_the_client_sent_it() {
    check(&[
        // opentelemetry-python-contrib #3237
        case(
            "an emoji, percent-encoded",
            b"GET /users/%F0%9F%98%84 HTTP/1.1\r\nhost: a.example\r\n",
            200,
            "GET /users/{id}",
            &[("url.path", Some("/users/%F0%9F%98%84"))],
        ),
        case(
            "UTF-8, not encoded",
            b"GET /users/caf\xc3\xa9 HTTP/1.1\r\nhost: a.example\r\n",
            200,
            "GET /users/{id}",
            &[("url.path", Some("/users/caf\u{e9}"))],
        ),
        case(
            "bytes that are not UTF-8, percent-encoded",
            b"GET /users/%FF HTTP/1.1\r\nhost: a.example\r\n",
            400,
            "GET /users/{id}",
            &[("url.path", Some("/users/%FF"))],
        ),
        case(
            "a slash, percent-encoded",
            b"GET /users/a%2Fb HTTP/1.1\r\nhost: a.example\r\n",
            200,
            "GET /users/{id}",
            &[("url.path", Some("/users/a%2Fb"))],
        ),
        // opentelemetry-python-contrib #4965
        case(
            "two slashes and a bracket",
            b"GET //exa[mple HTTP/1.1\r\nhost: a.example\r\n",
            404,
            "GET",
            &[
                ("url.path", Some("//exa[mple")),
                ("server.address", Some("a.example")),
            ],
        ),
        // formbricks #8770
        case(
            "two slashes alone",
            b"GET // HTTP/1.1\r\nhost: a.example\r\n",
            404,
            "GET",
            &[("url.path", Some("//")), ("http.route", None)],
        ),
        case(
            "dots",
            b"GET /files/../../etc/passwd HTTP/1.1\r\nhost: a.example\r\n",
            200,
            "GET /files/{*rest}",
            &[("url.path", Some("/files/../../etc/passwd"))],
        ),
        case(
            "absolute, with user info",
            b"GET http://me:secret@b.example:81/leaf?x=1 HTTP/1.1\r\nhost: a.example\r\n",
            200,
            "GET /leaf",
            &[
                ("url.path", Some("/leaf")),
                ("url.query", Some("x=1")),
                ("server.address", Some("b.example")),
                ("server.port", Some("81")),
            ],
        ),
        case(
            "absolute, without a path",
            b"GET http://b.example?x=1 HTTP/1.1\r\nhost: a.example\r\n",
            404,
            "GET",
            &[("url.path", Some("/")), ("url.query", Some("x=1"))],
        ),
        case(
            "an asterisk",
            b"OPTIONS * HTTP/1.1\r\nhost: a.example\r\n",
            404,
            "OPTIONS",
            &[("url.path", Some("*")), ("http.route", None)],
        ),
    ])
    .await;
}

#[tokio::test]
async fn unusual_method_or_header_fails_neither_request_nor_span() {
    check(&[
        // opentelemetry-collector #14516
        case(
            "an invented method",
            b"FOOBAR /leaf HTTP/1.1\r\nhost: a.example\r\n",
            405,
            "HTTP /leaf",
            &[
                ("http.request.method", Some("_OTHER")),
                ("http.request.method_original", Some("FOOBAR")),
            ],
        ),
        case(
            "a method in lower case",
            b"get /leaf HTTP/1.1\r\nhost: a.example\r\n",
            405,
            "HTTP /leaf",
            &[("http.request.method_original", Some("get"))],
        ),
        // opentelemetry-python-contrib #1478 and #1814
        case(
            "headers that are not UTF-8",
            b"GET /leaf HTTP/1.1\r\nhost: a.example\r\nuser-agent: caf\xe9\r\nx-name: \xe9\r\n",
            200,
            "GET /leaf",
            &[
                ("user_agent.original", Some("caf\u{fffd}")),
                ("http.request.header.x-name", Some("[\"\u{fffd}\"]")),
            ],
        ),
    ])
    .await;
}
