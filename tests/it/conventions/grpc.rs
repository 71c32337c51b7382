//! Codes by places by methods, with tonic at both ends.

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
use super::expected::{self, Called, Host, NAME, NAME_AND_PORT};
use super::report::Report;
use super::servers::{Framework, listen};
use crate::matrix::grpc::service::BytesCodec;
use crate::support::recorder::Recorder;

/// Where the status of an answer is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// A unary answer: in the trailers if it is one, else in the head.
    Unary,
    /// A stream that does not begin: in the head.
    Head,
    /// A stream without a message: in the trailers.
    Trailers,
    /// A stream that breaks off: in the trailers.
    AfterAMessage,
}
use Place::{AfterAMessage, Head, Trailers, Unary};

/// The methods that the settings know, and two that they don't. The server has all of them.
const KNOWN: [&str; 2] = ["conventions.Codes/Unary", "conventions.Codes/Stream"];
const NOT_KNOWN: [&str; 2] = ["conventions.Codes/UnaryToo", "conventions.Codes/StreamToo"];

/// What the server does not have.
const NOT_THERE: [&str; 4] = [
    "nowhere.Service/Call",
    "nowhere",
    "a/b/c",
    "conventions.Codes",
];

pub async fn all() {
    let mut runs = Vec::new();
    for known_methods in [None, Some(&KNOWN[..])] {
        for has_peers in [false, true] {
            runs.push(tokio::spawn(on(known_methods, has_peers)));
        }
    }
    let mut report = Report::default();
    for run in join_all(runs).await {
        report.extend(run.expect("all rows"));
    }
    report.finish("gRPC calls");
}

async fn on(known_methods: Option<&'static [&'static str]>, has_peers: bool) -> Report {
    let at = Recorder::new();
    let mut layer = at.layer();
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
        for methods in [KNOWN, NOT_KNOWN] {
            for code in (0..17).map(Code::from_i32) {
                for place in [Unary, Head, Trailers, AfterAMessage] {
                    for message in ["", "no room for ä"] {
                        let method = methods[usize::from(place != Unary)];
                        let case = format!(
                            "{known_methods:?}, {peer:?}: {method} {code:?} {place:?} {message:?}"
                        );
                        let order = format!("{} {place:?} {message}", i32::from(code));
                        let got = call(&sender, &host, method, order).await;
                        report.check(got == code, || format!("{case}: the client gets {got:?}"));
                        let is_ok = code == Code::Ok;
                        let expected = expected::grpc(&Called {
                            host: &host,
                            method,
                            code,
                            message: if is_ok { "" } else { message },
                            has_body: place == AfterAMessage || (place == Unary && is_ok),
                            peer,
                            known_methods,
                        });
                        report.compare(&at, &case, expected).await;
                        rows += 1;
                    }
                }
            }
        }
        for method in NOT_THERE {
            let case = format!("{known_methods:?}, {peer:?}: {method}");
            let got = call(&sender, &host, method, String::new()).await;
            report.check(got == Code::Unimplemented, || {
                format!("{case}: the client gets {got:?}")
            });
            let expected = expected::grpc(&Called {
                host: &host,
                method,
                code: Code::Unimplemented,
                message: "",
                has_body: false,
                peer,
                known_methods,
            });
            report.compare(&at, &case, expected).await;
            rows += 1;
        }
    }
    report.check(at.starts() == rows, || {
        format!("{} spans of {rows} calls", at.starts())
    });
    let methods = known_methods.map_or("all methods", |_| "known_rpc_methods");
    let peers = if has_peers { "peers" } else { "no peers" };
    report.count(format!("{methods:17} {peers:8}"), rows);
    report
}

/// Calls and reads the answer to its end, which is a code.
async fn call(sender: &SendRequest<Body>, host: &Host, method: &str, order: String) -> Code {
    let sender = sender.clone();
    let service = service_fn(move |request| sender.clone().send_request(request));
    let origin: Uri = format!("http://{}", host.sent).parse().expect("an origin");
    let mut client = Client::with_origin(service, origin);
    client.ready().await.expect("a connection");
    let path: PathAndQuery = format!("/{method}").parse().expect("a path");
    let is_unary = method.contains("Unary");
    let order = Request::new(Bytes::from(order));
    if is_unary {
        let answer = client.unary(order, path, BytesCodec).await;
        return answer.map_or_else(|status| status.code(), |_| Code::Ok);
    }
    let mut answers = match client.server_streaming(order, path, BytesCodec).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return status.code(),
    };
    loop {
        match answers.message().await {
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

/// A service that ends as its first message says: `{code} {place} {message}`.
#[derive(Clone)]
struct Codes;

impl NamedService for Codes {
    const NAME: &'static str = "conventions.Codes";
}

type Answers = BoxStream<'static, Result<Bytes, Status>>;

fn ordered(order: &[u8]) -> (Status, String) {
    let order = str::from_utf8(order).expect("text");
    let mut parts = order.splitn(3, ' ');
    let mut part = || parts.next().expect("three parts");
    let code = Code::from_i32(part().parse().expect("a code"));
    let place = part().to_owned();
    (Status::new(code, part()), place)
}

fn one_answer(order: &[u8]) -> Result<Response<Bytes>, Status> {
    match ordered(order) {
        (status, _) if status.code() == Code::Ok => Ok(Response::new(Bytes::from("word"))),
        (status, _) => Err(status),
    }
}

fn many_answers(order: &[u8]) -> Result<Response<Answers>, Status> {
    let (status, place) = ordered(order);
    let words = match place.as_str() {
        "Head" => return Err(status),
        "Trailers" => None,
        _ => Some(Ok(Bytes::from("word"))),
    };
    let is_ok = status.code() == Code::Ok;
    let end = (!is_ok).then_some(Err(status));
    Ok(Response::new(
        stream::iter(words.into_iter().chain(end)).boxed(),
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
                let method = async |order: Request<Bytes>| one_answer(order.get_ref());
                grpc.unary(service_fn(method), request).await
            } else {
                let method = async |order: Request<Bytes>| many_answers(order.get_ref());
                grpc.server_streaming(service_fn(method), request).await
            };
            Ok(response)
        })
    }
}
