//! gRPC calls: every code at every place and for known and unknown methods, with tonic as client and server.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::Uri;
use http::uri::PathAndQuery;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioExecutor;
use tonic::body::Body;
use tonic::client::Grpc as Client;
use tonic::server::{Grpc as Server, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;

use super::client::socket;
use super::expected::{self, GrpcCall, Host, NAME, NAME_AND_PORT};
use super::report::Report;
use super::servers::{Framework, listen};
use crate::matrix::grpc::service::BytesCodec;
use crate::support::recorder::Recorder;

/// Where the server sends the status.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// A unary response: in the trailers after a message, in the head otherwise.
    Unary,
    /// A stream that does not start: in the head.
    Head,
    /// A stream without a message: in the trailers.
    Trailers,
    /// A stream that fails after a message: in the trailers.
    AfterAMessage,
}
use Place::{AfterAMessage, Head, Trailers, Unary};

/// The methods in `known_rpc_methods`, and two others. The server implements all four.
const LISTED: [&str; 2] = ["conventions.Codes/Unary", "conventions.Codes/Stream"];
const NOT_LISTED: [&str; 2] = ["conventions.Codes/UnaryToo", "conventions.Codes/StreamToo"];

/// Paths that the server does not implement.
const UNIMPLEMENTED: [&str; 4] = [
    "nowhere.Service/Call",
    "nowhere",
    "a/b/c",
    "conventions.Codes",
];

pub async fn check_all() {
    let mut runs = Vec::new();
    for known_methods in [None, Some(&LISTED[..])] {
        for has_peers in [false, true] {
            runs.push(tokio::spawn(check_server(known_methods, has_peers)));
        }
    }
    let mut report = Report::default();
    for run in join_all(runs).await {
        report.extend(run.expect("all rows"));
    }
    report.finish("gRPC calls");
}

/// Checks all rows on one server.
async fn check_server(known_methods: Option<&'static [&'static str]>, has_peers: bool) -> Report {
    let recorder = Recorder::new();
    let mut layer = recorder.layer();
    if let Some(known) = known_methods {
        layer = layer.known_rpc_methods(known.iter().copied());
    }
    if has_peers {
        layer = Framework::Tonic.with_peers(layer);
    }
    let server = start(layer).await;
    let (io, address) = socket(server).await;
    let (sender, connection) = handshake(TokioExecutor::new(), io)
        .await
        .expect("a handshake");
    tokio::spawn(connection);

    let peer = has_peers.then_some(address);
    let mut report = Report::default();
    let mut rows = 0;
    for host in [NAME, NAME_AND_PORT] {
        for methods in [LISTED, NOT_LISTED] {
            for code in (0..17).map(Code::from_i32) {
                for place in [Unary, Head, Trailers, AfterAMessage] {
                    for message in ["", "no room for ä"] {
                        let method = methods[usize::from(place != Unary)];
                        let case = format!(
                            "{known_methods:?}, {peer:?}: {method} {code:?} {place:?} {message:?}"
                        );
                        let instruction = format!("{} {place:?} {message}", i32::from(code));
                        let got = call(&sender, &host, method, instruction).await;
                        report.check(got == code, || format!("{case}: the client gets {got:?}"));
                        let is_ok = code == Code::Ok;
                        let expected = expected::grpc(&GrpcCall {
                            host: &host,
                            method,
                            code,
                            message: if is_ok { "" } else { message },
                            has_body: place == AfterAMessage || (place == Unary && is_ok),
                            peer,
                            // Each method is answered OK first.
                            is_known: known_methods.is_none_or(|known| known.contains(&method)),
                        });
                        report.compare(&recorder, &case, expected).await;
                        rows += 1;
                    }
                }
            }
        }
        for method in UNIMPLEMENTED {
            let case = format!("{known_methods:?}, {peer:?}: {method}");
            let got = call(&sender, &host, method, String::new()).await;
            report.check(got == Code::Unimplemented, || {
                format!("{case}: the client gets {got:?}")
            });
            let expected = expected::grpc(&GrpcCall {
                host: &host,
                method,
                code: Code::Unimplemented,
                message: "",
                has_body: false,
                peer,
                is_known: false,
            });
            report.compare(&recorder, &case, expected).await;
            rows += 1;
        }
    }
    report.check(recorder.starts() == rows, || {
        format!("{} spans of {rows} calls", recorder.starts())
    });
    let methods = known_methods.map_or("all methods", |_| "known_rpc_methods");
    let peers = if has_peers { "peers" } else { "no peers" };
    report.count(format!("{methods:17} {peers:8}"), rows);
    report
}

/// Calls a method, reads the response to its end, and returns the code.
async fn call(sender: &SendRequest<Body>, host: &Host, method: &str, instruction: String) -> Code {
    let sender = sender.clone();
    let service = service_fn(move |request| sender.clone().send_request(request));
    let origin: Uri = format!("http://{}", host.sent).parse().expect("an origin");
    let mut client = Client::with_origin(service, origin);
    client.ready().await.expect("a connection");
    let path: PathAndQuery = format!("/{method}").parse().expect("a path");
    let is_unary = method.contains("Unary");
    let message = Request::new(Bytes::from(instruction));
    if is_unary {
        let response = client.unary(message, path, BytesCodec).await;
        return response.map_or_else(|status| status.code(), |_| Code::Ok);
    }
    let mut messages = match client.server_streaming(message, path, BytesCodec).await {
        Ok(response) => response.into_inner(),
        Err(status) => return status.code(),
    };
    loop {
        match messages.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return Code::Ok,
            Err(status) => return status.code(),
        }
    }
}

async fn start(layer: ApiSpanLayer) -> SocketAddr {
    let (listener, address) = listen().await;
    let serving = tonic::transport::Server::builder()
        .layer(layer)
        .add_service(Codes)
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::spawn(async move { serving.await.expect("a listener") });
    address
}

/// A service whose request message selects the status: `{code} {place} {message}`.
#[derive(Clone)]
struct Codes;

impl NamedService for Codes {
    const NAME: &'static str = "conventions.Codes";
}

type Messages = BoxStream<'static, Result<Bytes, Status>>;

fn parse_instruction(instruction: &[u8]) -> (Status, String) {
    let instruction = str::from_utf8(instruction).expect("text");
    let mut parts = instruction.splitn(3, ' ');
    let mut part = || parts.next().expect("three parts");
    let code = Code::from_i32(part().parse().expect("a code"));
    let place = part().to_owned();
    (Status::new(code, part()), place)
}

fn respond_unary(instruction: &[u8]) -> Result<Response<Bytes>, Status> {
    match parse_instruction(instruction) {
        (status, _) if status.code() == Code::Ok => Ok(Response::new(Bytes::from("word"))),
        (status, _) => Err(status),
    }
}

fn respond_stream(instruction: &[u8]) -> Result<Response<Messages>, Status> {
    let (status, place) = parse_instruction(instruction);
    let message = match place.as_str() {
        "Head" => return Err(status),
        "Trailers" => None,
        _ => Some(Ok(Bytes::from("word"))),
    };
    let is_ok = status.code() == Code::Ok;
    let end = (!is_ok).then_some(Err(status));
    Ok(Response::new(
        stream::iter(message.into_iter().chain(end)).boxed(),
    ))
}

impl Service<http::Request<Body>> for Codes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move {
            let mut grpc = Server::new(BytesCodec);
            let is_unary = request.uri().path().contains("Unary");
            let response = if is_unary {
                let method = async |request: Request<Bytes>| respond_unary(request.get_ref());
                grpc.unary(service_fn(method), request).await
            } else {
                let method = async |request: Request<Bytes>| respond_stream(request.get_ref());
                grpc.server_streaming(service_fn(method), request).await
            };
            Ok(response)
        })
    }
}
