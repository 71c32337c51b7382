//! The client's side of a gRPC call.

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

use super::service::{BytesCodec, Talk};
use crate::matrix::got::Got;
use crate::matrix::servers::Running;
use crate::support::recorder::Recorder;

/// Who calls, and what it knows of the server.
#[derive(Clone)]
pub struct Caller {
    pub channel: Channel,
    pub address: SocketAddr,
    pub talk: Talk,
    pub at: Recorder,
    pub running: Arc<Mutex<Running>>,
}

fn origin() -> http::Uri {
    http::Uri::from_static("http://example.com")
}

/// How a call ended: all the messages that came, and the code.
fn over(messages: usize, code: Code) -> Got {
    Got::Grpc { messages, code }
}

pub fn left_midway() -> Got {
    Got::Left { status: Some(200) }
}

fn answered(answer: Result<Response<Bytes>, Status>) -> Got {
    match answer {
        Ok(_) => over(1, Code::Ok),
        Err(status) => over(0, status.code()),
    }
}

/// Reads a stream to its end. After each message, one that waits may go on.
async fn streamed(answer: Result<Response<Streaming<Bytes>>, Status>, told: &Notify) -> Got {
    let mut answers = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => return over(0, status.code()),
    };
    let mut messages = 0;
    loop {
        match answers.message().await {
            Ok(Some(_)) => {
                messages += 1;
                told.notify_one();
            }
            Ok(None) => return over(messages, Code::Ok),
            Err(status) => return over(messages, status.code()),
        }
    }
}

pub fn request(message: &'static str) -> Request<Bytes> {
    Request::new(Bytes::from_static(message.as_bytes()))
}

pub fn path(method: &str) -> PathAndQuery {
    format!("/{method}").parse().expect("a path")
}

impl Caller {
    pub async fn grpc(&self) -> Grpc<Channel> {
        let mut grpc = Grpc::new(self.channel.clone());
        grpc.ready().await.expect("a connection");
        grpc
    }

    pub async fn unary(self, method: &str, message: &'static str) -> Got {
        let mut grpc = self.grpc().await;
        answered(grpc.unary(request(message), path(method), BytesCodec).await)
    }

    /// A call that an interceptor refuses.
    pub async fn refused(self) -> Got {
        let mut request = request("ok");
        request
            .metadata_mut()
            .insert("x-refuse", "yes".parse().expect("a value"));
        let mut grpc = self.grpc().await;
        answered(
            grpc.unary(request, path("matrix.Talk/Unary"), BytesCodec)
                .await,
        )
    }

    pub async fn open_stream(
        &self,
        message: &'static str,
    ) -> Result<Response<Streaming<Bytes>>, Status> {
        let path = path("matrix.Talk/ServerStreaming");
        self.grpc()
            .await
            .server_streaming(request(message), path, BytesCodec)
            .await
    }

    pub async fn server_streaming(self, message: &'static str) -> Got {
        streamed(self.open_stream(message).await, &self.talk.told).await
    }

    pub async fn client_streaming(self, all: &'static [&'static str]) -> Got {
        let messages = stream::iter(
            all.iter()
                .map(|message| Bytes::from_static(message.as_bytes())),
        );
        let path = path("matrix.Talk/ClientStreaming");
        let mut grpc = self.grpc().await;
        answered(
            grpc.client_streaming(Request::new(messages), path, BytesCodec)
                .await,
        )
    }

    pub async fn bidirectional(self) -> Got {
        let messages = stream::iter(["one", "two", "three"].map(Bytes::from));
        let path = path("matrix.Talk/Bidirectional");
        let mut grpc = self.grpc().await;
        let answers = grpc.streaming(Request::new(messages), path, BytesCodec);
        streamed(answers.await, &self.talk.told).await
    }

    /// The server is told to stop while a stream is open, which may come to its end.
    pub async fn see_it_stop(self) -> Got {
        let answers = self.open_stream("wait midway").await;
        self.running.lock().await.tell_to_stop();
        // It stops when it does not listen any more.
        while TcpStream::connect(self.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        streamed(answers, &self.talk.told).await
    }

    /// The server gives up on a call whose time is over.
    pub async fn too_late(self) -> Got {
        let mut request = request("wait");
        let timeout = "20m".parse().expect("a value");
        request.metadata_mut().insert("grpc-timeout", timeout);
        let mut grpc = Grpc::with_origin(self.patient().await, origin());
        answered(
            grpc.unary(request, path("matrix.Talk/Unary"), BytesCodec)
                .await,
        )
    }

    /// Nobody enforces a deadline once there is a head. The caller leaves after it.
    pub async fn too_late_midway(self) -> Got {
        let mut request = request("wait midway");
        let timeout = "500m".parse().expect("a value");
        request.metadata_mut().insert("grpc-timeout", timeout);
        let mut grpc = Grpc::with_origin(self.patient().await, origin());
        let path = path("matrix.Talk/ServerStreaming");
        let answers = grpc.server_streaming(request, path, BytesCodec).await;
        let mut answers = answers.expect("a stream").into_inner();
        answers.message().await.expect("a message");
        tokio::time::sleep(Duration::from_millis(500)).await;
        left_midway()
    }

    /// A client that leaves deadlines to the server, as tonic's channel does not: it gives up at the
    /// same moment, and which of the two comes first is chance.
    async fn patient(
        &self,
    ) -> impl GrpcService<tonic::body::Body, ResponseBody = Incoming, Future: Send> {
        let socket = TcpStream::connect(self.address).await;
        let io = TokioIo::new(socket.expect("a connection"));
        let handshake = http2::handshake(TokioExecutor::new(), io).await;
        let (sender, connection) = handshake.expect("a handshake");
        tokio::spawn(connection);
        service_fn(move |request| sender.clone().send_request(request))
    }

    pub async fn check_health(self, service: &str) -> Got {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        match HealthClient::new(self.channel.clone()).check(request).await {
            Ok(_) => over(1, Code::Ok),
            Err(status) => over(0, status.code()),
        }
    }
}

/// A channel to this server.
pub async fn channel(address: SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}
