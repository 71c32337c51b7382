//! Hostile clients: whatever they send, names and keys stay bounded, and strings are truncated.

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

/// The distinct names, keys and values of many spans.
#[derive(Default)]
struct Totals {
    spans: usize,
    names: BTreeSet<String>,
    keys: BTreeSet<String>,
    longest: usize,
    clients: BTreeSet<String>,
    methods: BTreeSet<String>,
    rpc_methods: BTreeSet<String>,
}

impl Totals {
    /// Adds the spans that have ended, and drops them from the recorder.
    fn add(&mut self, at: &Recorder) {
        for span in at.exported() {
            self.spans += 1;
            self.names.insert(span.name.to_string());
            let event_lengths = span.events.iter().flat_map(|event| {
                let texts = event.attributes.iter();
                texts.map(|kv| kv.value.to_string().len())
            });
            let longest = event_lengths.chain([span.name.len()]).max();
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

    /// Asserts that names, keys and strings are bounded, independent of the number of requests.
    fn assert_bounded(&self) {
        assert!(self.names.len() <= 30, "{:#?}", self.names);
        assert!(self.keys.len() <= 30, "{:#?}", self.keys);
        assert!(self.longest <= 1_024, "a string of {} bytes", self.longest);
    }
}

/// Method, target and headers of the n-th request, different for each n. Long values have `most` bytes:
/// HTTP/2 servers accept 16 KiB of headers.
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
            // A step of its own for each list, so that all combinations occur.
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

    /// Writes the request in HTTP/1.1, with the address that a trusted proxy appends.
    fn write(&self, out: &mut String, client: Option<&str>) {
        let (method, target, host) = (&self.method, &self.target, &self.host);
        write!(out, "{method} {target} HTTP/1.1\r\nHost: {host}\r\n").expect("a string");
        for (name, value) in &self.headers {
            write!(out, "{name}: {value}\r\n").expect("a string");
        }
        if let Some(client) = client {
            write!(out, "X-Forwarded-For: {client}\r\n").expect("a string");
        }
        out.push_str("Content-Length: 2\r\n\r\nok");
    }
}

/// Returns a layer with the settings that record more of the request.
fn layer_recording_more(at: &Recorder) -> ApiSpanLayer {
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

/// Sends the invented requests over one HTTP/1.1 connection, and summarises their spans.
async fn send_invented(
    at: &Recorder,
    layer: ApiSpanLayer,
    forwarded_client: Option<&str>,
) -> Totals {
    let mut wire = Wire::connect(run(app(layer), LOCALHOST).await).await;
    let mut totals = Totals::default();
    for first in (0..REQUESTS).step_by(AT_ONCE) {
        let invented: Vec<_> = (first..first + AT_ONCE)
            .map(|n| Invented::new(n, 9_000))
            .collect();
        let mut text = String::new();
        for invented in &invented {
            invented.write(&mut text, forwarded_client);
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
        totals.add(at);
    }
    assert_eq!(totals.spans, REQUESTS);
    totals
}

#[tokio::test]
async fn ten_thousand_invented_requests_keep_names_and_keys_bounded() {
    let at = Recorder::new();
    let totals = send_invented(&at, layer_recording_more(&at), None).await;
    totals.assert_bounded();
    // The requests covered all these cases.
    for name in ["GET", "GET /users/{id}", "HTTP", "HTTP /users/{id}", "POST"] {
        assert!(
            totals.names.contains(name),
            "no {name} in {:#?}",
            totals.names
        );
    }
    assert_eq!(totals.methods.len(), 10, "{:?}", totals.methods);
    assert_eq!(totals.longest, 1_024);
    assert!(totals.keys.contains("http.request.header.accept"));
    assert_eq!(totals.clients, BTreeSet::from(["127.0.0.1".to_owned()]));
}

#[tokio::test]
async fn ten_thousand_forged_addresses_behind_a_proxy_are_ignored() {
    let at = Recorder::new();
    let layer = layer_recording_more(&at)
        .trusted_proxies(1)
        .proxy_headers(tower_api_span::ProxyHeaders::XForwarded);
    let totals = send_invented(&at, layer, Some("192.0.2.7")).await;
    totals.assert_bounded();
    assert_eq!(totals.clients, BTreeSet::from(["192.0.2.7".to_owned()]));
}

#[tokio::test]
async fn invented_requests_over_http2_keep_names_and_keys_bounded() {
    let at = Recorder::new();
    let address = run(app(layer_recording_more(&at)), LOCALHOST).await;
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
    let mut totals = Totals::default();
    totals.add(&at);
    assert_eq!(totals.spans, count);
    totals.assert_bounded();
    assert_eq!(totals.clients, BTreeSet::from(["127.0.0.1".to_owned()]));
}

/// Calls ten thousand invented methods of tonic, and one that exists.
async fn call_invented(at: &Recorder, layer: &ApiSpanLayer) -> Totals {
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
    let mut totals = Totals::default();
    totals.add(at);
    assert_eq!(totals.spans, REQUESTS + 1);
    totals.assert_bounded();
    totals
}

const CHECK: &str = "grpc.health.v1.Health/Check";

#[tokio::test]
async fn ten_thousand_unimplemented_grpc_methods_share_one_name() {
    let at = Recorder::new();
    let totals = call_invented(&at, &at.layer()).await;
    assert_eq!(
        totals.names,
        BTreeSet::from([CHECK.to_owned(), "grpc".to_owned()])
    );
    assert_eq!(
        totals.rpc_methods,
        BTreeSet::from([CHECK.to_owned(), "_OTHER".to_owned()])
    );
}

#[tokio::test]
async fn known_rpc_methods_bound_the_recorded_methods() {
    let at = Recorder::new();
    let totals = call_invented(&at, &at.layer().known_rpc_methods([CHECK])).await;
    assert_eq!(
        totals.names,
        BTreeSet::from([CHECK.to_owned(), "grpc".to_owned()])
    );
    assert_eq!(
        totals.rpc_methods,
        BTreeSet::from([CHECK.to_owned(), "_OTHER".to_owned()])
    );
}
