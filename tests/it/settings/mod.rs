//! The settings of the layer: each against its documentation, on real servers, and with hostile clients.

mod addresses;
mod attributes;
mod edge_cases;
mod hostile;
mod names;
mod ported_server_tests;
mod public_endpoints;
mod queue;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::trace::{Link, SpanKind, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;
use tower::Service;
use tower_api_span::ApiSpanLayer;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, read, ready, response};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Serves `request` without a server. The handler calls `handler`.
fn serve<H: FnMut(&Request<()>)>(layer: &ApiSpanLayer, request: Request<()>, mut handler: H) {
    let mut service = answering(layer, move |request| {
        handler(&request);
        response(200, ScriptedBody::new([Data(3)]))
    });
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
}

/// Returns the only span, without the checks of the recorder: the settings of the test break them.
fn unchecked(at: &Recorder) -> Seen {
    let mut spans = at.exported();
    assert_eq!((at.starts(), spans.len()), (1, 1));
    Seen(spans.remove(0))
}

/// Runs an application with connect info on a free port, and returns its address.
async fn run(app: Router, on: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((on, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    // Nagle's algorithm would delay each small response until an acknowledgement.
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket"));
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// Runs tonic with its health service on a free port, and returns its address.
async fn run_tonic(layer: &ApiSpanLayer) -> SocketAddr {
    let listener = TcpListener::bind((LOCALHOST, 0))
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (_, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder()
        .layer(layer.clone())
        .add_service(health);
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(server.serve_with_incoming(incoming));
    address
}

async fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).await.expect("a connection");
    // Nagle's algorithm would delay each small request until an acknowledgement.
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// An HTTP/1.1 client that sends arbitrary bytes.
struct Wire(BufReader<TcpStream>);

/// A response, as text and bytes.
struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).expect("a status")
    }
}

impl Wire {
    async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(connect(address).await))
    }

    fn local(&self) -> SocketAddr {
        self.0.get_ref().local_addr().expect("an address")
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.0.write_all(bytes.as_ref()).await;
        sent.expect("the server reads");
    }

    /// Reads the response to a request of this method.
    async fn answer(&mut self, to: &Method) -> Answer {
        let (mut head, mut length, mut chunked) = (String::new(), 0, false);
        loop {
            let line = self.line().await;
            if line.is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length: ") {
                length = value.parse().expect("a length");
            }
            chunked |= lower == "transfer-encoding: chunked";
            head.push_str(&line);
            head.push('\n');
        }
        let mut body = Vec::new();
        if chunked && *to != Method::HEAD {
            loop {
                let size = self.line().await;
                let size = usize::from_str_radix(&size, 16).expect("a size");
                self.take(size, &mut body).await;
                assert_eq!(self.line().await, "");
                if size == 0 {
                    break;
                }
            }
        } else if *to != Method::HEAD {
            self.take(length, &mut body).await;
        }
        Answer { head, body }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("a line");
        let line = line.strip_suffix("\r\n");
        line.expect("the server has not closed").to_owned()
    }

    async fn take(&mut self, bytes: usize, into: &mut Vec<u8>) {
        let already = into.len();
        into.resize(already + bytes, 0);
        let taken = self.0.read_exact(&mut into[already..]).await;
        taken.expect("a body");
    }
}

/// Sends one request over a connection of its own, and returns the response.
async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Answer {
    let mut wire = Wire::connect(address).await;
    wire.send(request).await;
    wire.answer(&Method::GET).await
}

/// Opens an HTTP/2 connection. Returns its sender and local address.
async fn http2(address: SocketAddr) -> (http2::SendRequest<Full<Bytes>>, SocketAddr) {
    let stream = connect(address).await;
    let local = stream.local_addr().expect("an address");
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = handshake.expect("a connection");
    tokio::spawn(connection);
    (sender, local)
}

/// Sends one request over HTTP/2 and reads the response to its end.
async fn ask_http2(
    sender: &mut http2::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> http::response::Parts {
    sender.ready().await.expect("a connection");
    let sent = sender.send_request(request).await;
    let answer: Response<Incoming> = sent.expect("an answer");
    let (parts, body) = answer.into_parts();
    body.collect().await.expect("a body");
    parts
}

/// Returns a gRPC call with an empty message, for HTTP/2.
fn call(address: SocketAddr, path: &str) -> Request<Full<Bytes>> {
    Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0; 5])))
        .expect("a request")
}

const CHECK: &str = "/grpc.health.v1.Health/Check";

/// A sampler that keeps all spans, and records the name and attributes that it was given.
#[derive(Clone, Debug, Default)]
struct RecordingSampler(Arc<Mutex<Vec<(String, Vec<KeyValue>)>>>);

impl RecordingSampler {
    /// Returns a recorder with such a sampler.
    fn recorder() -> (Recorder, Self) {
        let sampler = Self::default();
        let at = Recorder::with(|builder| builder.with_sampler(sampler.clone()));
        (at, sampler)
    }

    /// Returns the name and the attributes of the only span at its start.
    fn only(&self) -> (String, Vec<KeyValue>) {
        let sampled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!(sampled.len(), 1);
        sampled[0].clone()
    }

    fn attribute(&self, key: &str) -> Option<String> {
        let (_, attributes) = self.only();
        let found = attributes.into_iter().find(|kv| kv.key.as_str() == key);
        found.map(|kv| kv.value.to_string())
    }
}

impl ShouldSample for RecordingSampler {
    fn should_sample(
        &self,
        _: Option<&Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        attributes: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        let mut sampled = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sampled.push((name.to_owned(), attributes.to_vec()));
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: opentelemetry::trace::TraceState::NONE,
        }
    }
}
