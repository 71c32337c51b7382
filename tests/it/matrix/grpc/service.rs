//! A gRPC service written by hand, whose messages are bytes.

use std::convert::Infallible;
use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Buf, BufMut, Bytes};
use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::Request;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService};
use tonic::{Response, Status, Streaming};
use tower::{Service, service_fn};

/// What the service does is what the first message says.
#[derive(Clone, Default)]
pub struct Talk {
    /// Told when a handler has been called.
    pub called: Arc<Notify>,
    /// Tells a stream that waits to go on.
    pub told: Arc<Notify>,
}

impl NamedService for Talk {
    const NAME: &'static str = "matrix.Talk";
}

type Answers = BoxStream<'static, Result<Bytes, Status>>;

impl Talk {
    async fn one_answer(self, message: Bytes) -> Result<Response<Bytes>, Status> {
        self.called.notify_one();
        match &*message {
            b"refuse" => Err(Status::invalid_argument("not that")),
            b"wait" => pending().await,
            b"panic" => resume_unwind(Box::new("the handler panics")),
            _ => Ok(Response::new(message)),
        }
    }

    fn many_answers(self, message: &[u8]) -> Result<Response<Answers>, Status> {
        self.called.notify_one();
        let word = || Ok(Bytes::from_static(b"word"));
        let then = |last: BoxFuture<'static, Result<Bytes, Status>>| -> Answers {
            stream::iter([word()]).chain(stream::once(last)).boxed()
        };
        let answers = match message {
            b"refuse" => return Err(Status::invalid_argument("not that")),
            b"panic" => resume_unwind(Box::new("the handler panics")),
            b"nothing" => stream::empty().boxed(),
            b"fail at once" => stream::iter([Err(Status::aborted("changed its mind"))]).boxed(),
            b"fail midway" => then(Box::pin(async { Err(Status::internal("boom")) })),
            b"panic midway" => then(Box::pin(async move {
                self.told.notified().await;
                resume_unwind(Box::new("the stream panics"))
            })),
            b"wait midway" => then(Box::pin(async move {
                self.told.notified().await;
                word()
            })),
            _ => stream::iter([word(), word(), word()]).boxed(),
        };
        Ok(Response::new(answers))
    }

    /// One answer when all messages are there.
    async fn answer_to_all(
        self,
        mut messages: Streaming<Bytes>,
    ) -> Result<Response<Bytes>, Status> {
        let mut all = Vec::new();
        while let Some(message) = messages.message().await? {
            self.called.notify_one();
            all.extend_from_slice(&message);
        }
        self.one_answer(all.into()).await
    }

    /// The messages, sent back as they come.
    fn echo(self, messages: Streaming<Bytes>) -> Response<Answers> {
        self.called.notify_one();
        Response::new(messages.boxed())
    }
}

impl Service<Request<Body>> for Talk {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let talk = self.clone();
        let mut grpc = Grpc::new(BytesCodec);
        Box::pin(async move {
            let response = match request.uri().path() {
                "/matrix.Talk/Unary" => {
                    let method = |request: tonic::Request<Bytes>| {
                        talk.clone().one_answer(request.into_inner())
                    };
                    grpc.unary(service_fn(method), request).await
                }
                "/matrix.Talk/ServerStreaming" => {
                    let method = async |request: tonic::Request<Bytes>| {
                        talk.clone().many_answers(request.get_ref())
                    };
                    grpc.server_streaming(service_fn(method), request).await
                }
                "/matrix.Talk/ClientStreaming" => {
                    let method = |request: tonic::Request<Streaming<Bytes>>| {
                        talk.clone().answer_to_all(request.into_inner())
                    };
                    grpc.client_streaming(service_fn(method), request).await
                }
                "/matrix.Talk/Bidirectional" => {
                    let method = async |request: tonic::Request<Streaming<Bytes>>| {
                        Ok::<_, Status>(talk.clone().echo(request.into_inner()))
                    };
                    grpc.streaming(service_fn(method), request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            };
            Ok(response)
        })
    }
}

/// Messages are bytes, as they are.
#[derive(Clone, Copy, Default)]
pub struct BytesCodec;

impl Codec for BytesCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(item);
        Ok(())
    }
}

impl Decoder for BytesCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}
