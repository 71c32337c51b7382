//! The client of a gRPC call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::uri::PathAndQuery;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tonic::client::{Grpc, GrpcService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::service_fn;

use super::service::{BytesCodec, TestService};
use crate::matrix::client_result::ClientResult;
use crate::matrix::servers::Running;
use crate::support::recorder::Recorder;

/// The client of one call, with access to its server.
#[derive(Clone)]
pub struct Client {
    pub channel: Channel,
    pub address: SocketAddr,
    pub service: TestService,
    pub recorder: Recorder,
    pub running: Arc<Mutex<Running>>,
}

fn origin() -> http::Uri {
    http::Uri::from_static("http://example.com")
}

/// Returns the result of a finished call: the number of messages, and the code.
fn finished(messages: usize, code: Code) -> ClientResult {
    ClientResult::Grpc { messages, code }
}

pub fn disconnected_midway() -> ClientResult {
    ClientResult::Disconnected { status: Some(200) }
}

fn unary_result(response: Result<Response<Bytes>, Status>) -> ClientResult {
    match response {
        Ok(_) => finished(1, Code::Ok),
        Err(status) => finished(0, status.code()),
    }
}

/// Reads a stream to its end. Resumes a waiting handler after each message.
async fn stream_result(
    response: Result<Response<Streaming<Bytes>>, Status>,
    resume: &Notify,
) -> ClientResult {
    let mut responses = match response {
        Ok(response) => response.into_inner(),
        Err(status) => return finished(0, status.code()),
    };
    let mut messages = 0;
    loop {
        match responses.message().await {
            Ok(Some(_)) => {
                messages += 1;
                resume.notify_one();
            }
            Ok(None) => return finished(messages, Code::Ok),
            Err(status) => return finished(messages, status.code()),
        }
    }
}

pub fn request(message: &'static str) -> Request<Bytes> {
    Request::new(Bytes::from_static(message.as_bytes()))
}

pub fn path(method: &str) -> PathAndQuery {
    format!("/{method}").parse().expect("a path")
}

impl Client {
    pub async fn grpc(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.expect("a connection");
        grpc
    }

    pub async fn unary(self, method: &str, message: &'static str) -> ClientResult {
        let mut grpc = self.grpc().await;
        unary_result(grpc.unary(request(message), path(method), BytesCodec).await)
    }

    /// Makes a call that an interceptor rejects.
    pub async fn call_rejecting_interceptor(self) -> ClientResult {
        let mut request = request("ok");
        request
            .metadata_mut()
            .insert("x-reject", "yes".parse().expect("a value"));
        let mut grpc = self.grpc().await;
        unary_result(
            grpc.unary(request, path("matrix.Test/Unary"), BytesCodec)
                .await,
        )
    }

    pub async fn open_stream(
        &self,
        message: &'static str,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        let path = path("matrix.Test/ServerStreaming");
        self.grpc()
            .await
            .server_streaming(request(message), path, BytesCodec)
            .await
    }

    pub async fn server_streaming(self, message: &'static str) -> ClientResult {
        stream_result(self.open_stream(message).await, &self.service.resume).await
    }

    pub async fn client_streaming(self, all: &'static [&'static str]) -> ClientResult {
        let messages = stream::iter(
            all.iter()
                .map(|message| Bytes::from_static(message.as_bytes())),
        );
        let path = path("matrix.Test/ClientStreaming");
        let mut grpc = self.grpc().await;
        unary_result(
            grpc.client_streaming(Request::new(messages), path, BytesCodec)
                .await,
        )
    }

    pub async fn bidirectional(self) -> ClientResult {
        let messages = stream::iter(["one", "two", "three"].map(Bytes::from));
        let path = path("matrix.Test/Bidirectional");
        let mut grpc = self.grpc().await;
        let responses = grpc.streaming(Request::new(messages), path, BytesCodec);
        stream_result(responses.await, &self.service.resume).await
    }

    /// Shuts the server down while a stream is open. The stream still ends normally.
    pub async fn shut_down_server(self) -> ClientResult {
        let responses = self.open_stream("wait midway").await;
        self.running.lock().await.begin_shutdown();
        // The shutdown has begun once the listener is closed.
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        stream_result(responses, &self.service.resume).await
    }

    /// Waits for a response until the server enforces the deadline.
    pub async fn exceed_deadline(self) -> ClientResult {
        let mut request = request("wait");
        let timeout = "20m".parse().expect("a value");
        request.metadata_mut().insert("grpc-timeout", timeout);
        let mut grpc = Grpc::with_origin(self.connect_without_deadline().await, origin());
        unary_result(
            grpc.unary(request, path("matrix.Test/Unary"), BytesCodec)
                .await,
        )
    }

    /// Disconnects after the deadline, which tonic does not enforce once there is a head.
    pub async fn exceed_deadline_midway(self) -> ClientResult {
        let mut request = request("wait midway");
        let timeout = "500m".parse().expect("a value");
        request.metadata_mut().insert("grpc-timeout", timeout);
        let mut grpc = Grpc::with_origin(self.connect_without_deadline().await, origin());
        let path = path("matrix.Test/ServerStreaming");
        let responses = grpc.server_streaming(request, path, BytesCodec).await;
        let mut responses = responses.expect("a stream").into_inner();
        responses.message().await.expect("a message");
        tokio::time::sleep(Duration::from_millis(500)).await;
        disconnected_midway()
    }

    /// Connects without a client-side deadline. tonic's channel enforces `grpc-timeout` itself, in a
    /// race with the server.
    async fn connect_without_deadline(
        &self,
    ) -> impl GrpcService<tonic::body::Body, ResponseBody = Incoming, Future: Send> {
        let socket = TcpStream::connect(self.address).await;
        let io = TokioIo::new(socket.expect("a connection"));
        let handshake = http2::handshake(TokioExecutor::new(), io).await;
        let (sender, connection) = handshake.expect("a handshake");
        tokio::spawn(connection);
        service_fn(move |request| sender.clone().send_request(request))
    }

    pub async fn check_health(self, service: &str) -> ClientResult {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        match HealthClient::new(self.channel.clone()).check(request).await {
            Ok(_) => finished(1, Code::Ok),
            Err(status) => finished(0, status.code()),
        }
    }
}

/// Opens a channel to the server.
pub async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}
