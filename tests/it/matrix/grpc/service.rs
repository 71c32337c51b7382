//! A hand-written gRPC service, whose messages are plain bytes.

use std::convert::Infallible;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::Request;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::{Response, Status, Streaming};
use tower::{Service, service_fn};

pub use crate::support::bytes_codec::BytesCodec;

/// A service that does what the first message asks for.
#[derive(Clone, Default)]
pub struct TestService {
    /// Notified when a handler has been called.
    pub called: Arc<Notify>,
    /// Resumes a stream that waits.
    pub resume: Arc<Notify>,
}

impl NamedService for TestService {
    const NAME: &'static str = "matrix.Test";
}

type Responses = BoxStream<'static, Result<Bytes, Status>>;

impl TestService {
    async fn respond_once(self, message: Bytes) -> Result<Response<Bytes>, Status> {
        self.called.notify_one();
        match &*message {
            b"reject" => Err(Status::invalid_argument("not that")),
            b"wait" => pending().await,
            b"panic" => resume_unwind(Box::new("the handler panics")),
            _ => Ok(Response::new(message)),
        }
    }

    fn respond_with_stream(self, message: &[u8]) -> Result<Response<Responses>, Status> {
        self.called.notify_one();
        let word = || Ok(Bytes::from_static(b"word"));
        let then = |last: BoxFuture<'static, Result<Bytes, Status>>| -> Responses {
            stream::iter([word()]).chain(stream::once(last)).boxed()
        };
        let responses = match message {
            b"reject" => return Err(Status::invalid_argument("not that")),
            b"panic" => resume_unwind(Box::new("the handler panics")),
            b"no messages" => stream::empty().boxed(),
            b"fail at once" => stream::iter([Err(Status::aborted("aborted"))]).boxed(),
            b"fail midway" => then(Box::pin(async { Err(Status::internal("boom")) })),
            b"panic midway" => then(Box::pin(async move {
                self.resume.notified().await;
                resume_unwind(Box::new("the stream panics"))
            })),
            b"wait midway" => then(Box::pin(async move {
                self.resume.notified().await;
                word()
            })),
            _ => stream::iter([word(), word(), word()]).boxed(),
        };
        Ok(Response::new(responses))
    }

    /// Responds once after all messages have arrived.
    async fn respond_to_all(
        self,
        mut messages: Streaming<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        let mut all = Vec::new();
        while let Some(message) = messages.message().await? {
            self.called.notify_one();
            all.extend_from_slice(&message);
        }
        self.respond_once(all.into()).await
    }

    /// Returns the messages as they arrive.
    fn echo(self, messages: Streaming<Bytes>) -> Response<Responses> {
        self.called.notify_one();
        Response::new(messages.boxed())
    }
}

impl Service<Request<Body>> for TestService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let service = self.clone();
        let mut grpc = Grpc::new(BytesCodec);
        Box::pin(async move {
            let response = match request.uri().path() {
                "/matrix.Test/Unary" => {
                    let method = |request: tonic::Request<Bytes>| {
                        service.clone().respond_once(request.into_inner())
                    };
                    grpc.unary(service_fn(method), request).await
                }
                "/matrix.Test/ServerStreaming" => {
                    let method = async |request: tonic::Request<Bytes>| {
                        service.clone().respond_with_stream(request.get_ref())
                    };
                    grpc.server_streaming(service_fn(method), request).await
                }
                "/matrix.Test/ClientStreaming" => {
                    let method = |request: tonic::Request<Streaming<Bytes>>| {
                        service.clone().respond_to_all(request.into_inner())
                    };
                    grpc.client_streaming(service_fn(method), request).await
                }
                "/matrix.Test/Bidirectional" => {
                    let method = async |request: tonic::Request<Streaming<Bytes>>| {
                        Ok::<_, Status>(service.clone().echo(request.into_inner()))
                    };
                    grpc.streaming(service_fn(method), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            };
            Ok(response)
        })
    }
}
