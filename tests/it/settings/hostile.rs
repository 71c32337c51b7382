//! Clients that send what they like: however much of it, names and keys stay few, and strings short.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use axum::Router;
use axum::routing::any;
use bytes::Bytes;
use http::header::ACCEPT;
use http::{HeaderName, Method, Request};
use http_body_util::Full;
use opentelemetry::{Array, Value};
use tower_api_span::ApiSpanLayer;

use super::{LOCALHOST, Wire, ask_http2, call, http2, run, run_tonic};
use crate::support::recorder::Recorder;

const REQUESTS: usize = 10_000;
const AT_ONCE: usize = 50;

/// What thousands of spans have in common.
#[derive(Default)]
struct Seen {
    spans: usize,
    names: BTreeSet<String>,
    keys: BTreeSet<String>,
    longest: usize,
    clients: BTreeSet<String>,
    methods: BTreeSet<String>,
    rpc_methods: BTreeSet<String>,
}

impl Seen {
    /// Looks at the spans that have ended and lets go of them.
    fn add(&mut self, at: &Recorder) {
        for span in at.exported() {
            self.spans += 1;
            self.names.insert(span.name.to_string());
            let of_events = span.events.iter().flat_map(|event| {
                let texts = event.attributes.iter();
                texts.map(|kv| kv.value.to_string().len())
            });
            let longest = of_events.chain([span.name.len()]).max();
            self.longest = self.longest.max(longest.unwrap_or(0));
            for kv in &span.attributes {
                self.keys.insert(kv.key.to_string());
                let longest = match &kv.value {
                    Value::String(text) => text.as_str().len(),
                    Value::Array(Array::String(texts)) => {
                        let lengths = texts.iter().map(|text| text.as_str().len());
                        lengths.max().unwrap_or(0)
                    }
                    _ => 0,
                };
                self.longest = self.longest.max(longest);
                let all = match kv.key.as_str() {
                    "client.address" => &mut self.clients,
                    "http.request.method" => &mut self.methods,
                    "rpc.method" => &mut self.rpc_methods,
                    _ => continue,
                };
                all.insert(kv.value.to_string());
            }
        }
        at.forget();
    }

    /// That nothing has grown with the number of clients' inventions.
    fn assert_bounded(&self) {
        assert!(self.names.len() <= 30, "{:#?}", self.names);
        assert!(self.keys.len() <= 30, "{:#?}", self.keys);
        assert!(self.longest <= 1_024, "a string of {} bytes", self.longest);
    }
}

/// Method and headers of the n-th request, each time others, and at `most` of this length: servers
/// of HTTP/2 take 16 KiB of headers.
struct Invented {
    method: Method,
    target: String,
    host: String,
    headers: Vec<(&'static str, String)>,
}

impl Invented {
    fn new(n: usize, most: usize) -> Self {
        let extension = format!("M{n}");
        let method = [
            "GET",
            "POST",
            &*extension,
            "get",
            "PUT",
            "DELETE",
            "OPTIONS",
            "TRACE",
            "PATCH",
            "QUERY",
            "HEAD",
            "GRPC",
            "POST",
        ];
        let method = method[n % method.len()];
        let long = if n.is_multiple_of(97) {
            "x".repeat(most)
        } else {
            String::new()
        };
        let target = [
            format!("/users/{n}"),
            format!("/{n}/{long}"),
            format!("/pkg.Service{n}/Method{n}"),
            format!("/users/{n}?key{n}={long}&sig=secret{n}"),
            format!("/%ff%00%{n:02}/../{n}"),
        ];
        let content_type = [
            "application/grpc".to_owned(),
            "application/grpc-web+proto".to_owned(),
            "application/json".to_owned(),
            format!("text/x-{n}"),
            "application/grpc+json".to_owned(),
            "multipart/form-data; boundary=".to_owned() + &long,
        ];
        let forged = format!("6.6.{}.{}", n / 256 % 256, n % 256);
        Self {
            method: Method::from_bytes(method.as_bytes()).expect("a method"),
            // Steps of their own, so that all combinations come.
            target: target[n / 13 % target.len()].clone(),
            host: format!("h{n}.example:{}", n % 65_536),
            headers: vec![
                ("user-agent", format!("agent/{n} {long}")),
                (
                    "content-type",
                    content_type[n / 3 % content_type.len()].clone(),
                ),
                ("accept", format!("text/{n}{long}")),
                ("forwarded", format!("for={forged};proto=https;host=h{n}")),
                ("x-forwarded-for", forged.clone()),
                ("x-forwarded-proto", format!("scheme{n}")),
                ("x-forwarded-host", format!("forged{n}.example")),
                ("x-real-ip", forged),
                ("grpc-timeout", "1n".to_owned()),
                ("x-request-id", format!("{n}{long}")),
                (
                    "traceparent",
                    format!("00-{:032x}-{:016x}-01", n + 1, n + 1),
                ),
                ("tracestate", format!("v{n}=1")),
                ("baggage", format!("key{n}={n}")),
            ],
        }
    }

    /// As a client of HTTP/1.1 writes it, behind a proxy that has seen this address.
    fn write(&self, out: &mut String, seen: Option<&str>) {
        let (method, target, host) = (&self.method, &self.target, &self.host);
        write!(out, "{method} {target} HTTP/1.1\r\nHost: {host}\r\n").expect("a string");
        for (name, value) in &self.headers {
            write!(out, "{name}: {value}\r\n").expect("a string");
        }
        if let Some(seen) = seen {
            write!(out, "X-Forwarded-For: {seen}\r\n").expect("a string");
        }
        out.push_str("Content-Length: 2\r\n\r\nok");
    }
}

/// The settings that take more from the wire.
fn curious(at: &Recorder) -> ApiSpanLayer {
    at.layer()
        .capture_request_headers([ACCEPT])
        .body_sizes(true)
        .client_port(true)
        .request_id_header(HeaderName::from_static("x-request-id"))
}

fn app(layer: ApiSpanLayer) -> Router {
    Router::new()
        .route("/users/{id}", any(async || "ok"))
        .layer(layer)
}

/// Sends the inventions over one connection of HTTP/1.1, and looks at their spans.
async fn sent(at: &Recorder, layer: ApiSpanLayer, seen_by_proxy: Option<&str>) -> Seen {
    let mut wire = Wire::connect(run(app(layer), LOCALHOST).await).await;
    let mut seen = Seen::default();
    for first in (0..REQUESTS).step_by(AT_ONCE) {
        let invented: Vec<_> = (first..first + AT_ONCE)
            .map(|n| Invented::new(n, 9_000))
            .collect();
        let mut text = String::new();
        for invented in &invented {
            invented.write(&mut text, seen_by_proxy);
        }
        wire.send(text).await;
        for invented in &invented {
            let answer = wire.answer(&invented.method).await;
            let expected = if invented.target.starts_with("/users/") {
                "200"
            } else {
                "404"
            };
            assert_eq!(answer.status(), expected, "{}", invented.target);
        }
        at.all_ended().await;
        seen.add(at);
    }
    assert_eq!(seen.spans, REQUESTS);
    seen
}

#[tokio::test]
async fn ten_thousand_inventions_make_few_names_and_few_keys() {
    let at = Recorder::new();
    let seen = sent(&at, curious(&at), None).await;
    seen.assert_bounded();
    // All that could be looked at was.
    for name in ["GET", "GET /users/{id}", "HTTP", "HTTP /users/{id}", "POST"] {
        assert!(seen.names.contains(name), "no {name} in {:#?}", seen.names);
    }
    assert_eq!(seen.methods.len(), 10, "{:?}", seen.methods);
    assert_eq!(seen.longest, 1_024);
    assert!(seen.keys.contains("http.request.header.accept"));
    assert_eq!(seen.clients, BTreeSet::from(["127.0.0.1".to_owned()]));
}

#[tokio::test]
async fn ten_thousand_forgeries_behind_a_proxy_are_not_believed() {
    let at = Recorder::new();
    let layer = curious(&at)
        .trusted_proxies(1)
        .proxy_headers(tower_api_span::ProxyHeaders::XForwarded);
    let seen = sent(&at, layer, Some("192.0.2.7")).await;
    seen.assert_bounded();
    assert_eq!(seen.clients, BTreeSet::from(["192.0.2.7".to_owned()]));
}

#[tokio::test]
async fn inventions_over_http_2_make_few_names_and_few_keys() {
    let at = Recorder::new();
    let address = run(app(curious(&at)), LOCALHOST).await;
    let (mut sender, _) = http2(address).await;
    let count = REQUESTS / 5;
    for n in 0..count {
        let Invented {
            method,
            target,
            host,
            headers,
        } = Invented::new(n, 2_000);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{host}{target}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::new()));
        ask_http2(&mut sender, request.expect("a request")).await;
    }
    at.all_ended().await;
    let mut seen = Seen::default();
    seen.add(&at);
    assert_eq!(seen.spans, count);
    seen.assert_bounded();
    assert_eq!(seen.clients, BTreeSet::from(["127.0.0.1".to_owned()]));
}

/// Calls tonic under as many names as a client can think of, and once under a real one.
async fn called(at: &Recorder, layer: &ApiSpanLayer) -> Seen {
    let address = run_tonic(layer).await;
    let (mut sender, _) = http2(address).await;
    for n in 0..REQUESTS {
        let path = match n % 4 {
            0 => format!("/pkg.Service{n}/Method"),
            1 => format!("/grpc.health.v1.Health/Check{n}"),
            2 => format!("/{n}"),
            _ => format!("/a/b/c/{n}"),
        };
        ask_http2(&mut sender, call(address, &path)).await;
    }
    ask_http2(&mut sender, call(address, super::CHECK)).await;
    at.all_ended().await;
    let mut seen = Seen::default();
    seen.add(at);
    assert_eq!(seen.spans, REQUESTS + 1);
    seen.assert_bounded();
    seen
}

const CHECK: &str = "grpc.health.v1.Health/Check";

#[tokio::test]
async fn ten_thousand_calls_of_methods_that_are_not_there_make_one_name() {
    let at = Recorder::new();
    let seen = called(&at, &at.layer()).await;
    assert_eq!(
        seen.names,
        BTreeSet::from([CHECK.to_owned(), "grpc".to_owned()])
    );
    // The attribute is the client's to choose, if nobody says which methods there are.
    assert_eq!(seen.rpc_methods.len(), REQUESTS / 2 + 2);
}

#[tokio::test]
async fn where_the_methods_are_known_clients_choose_nothing() {
    let at = Recorder::new();
    let seen = called(&at, &at.layer().known_rpc_methods([CHECK])).await;
    assert_eq!(
        seen.names,
        BTreeSet::from([CHECK.to_owned(), "grpc".to_owned()])
    );
    assert_eq!(
        seen.rpc_methods,
        BTreeSet::from([CHECK.to_owned(), "_OTHER".to_owned()])
    );
}
