//! Clients that disconnect from a gRPC call.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::client::{Client, disconnected_midway, path};
use super::service::BytesCodec;
use crate::matrix::client_result::ClientResult;

/// Returns a request stream, which stays open until the sender is dropped.
fn messages() -> (
    mpsc::Sender<Bytes>,
    impl Stream<Item = Bytes> + Send + 'static,
) {
    let (sender, receiver) = mpsc::channel(8);
    let messages = stream::unfold(receiver, async |mut receiver: mpsc::Receiver<Bytes>| {
        receiver.recv().await.map(|message| (message, receiver))
    });
    (sender, messages)
}

impl Client {
    /// Cancels a call whose handler is running.
    async fn cancel<T: Send + 'static>(
        self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> ClientResult {
        let call = tokio::spawn(call);
        self.service.called.notified().await;
        call.abort();
        match call.await {
            Ok(_) => ClientResult::no_response("an unexpected response"),
            Err(_) => ClientResult::Disconnected { status: None },
        }
    }

    pub async fn disconnect_before_response(self) -> ClientResult {
        let call = self.clone().unary("matrix.Test/Unary", "wait");
        self.cancel(call).await
    }

    pub async fn disconnect_while_sending(self) -> ClientResult {
        let (sender, messages) = messages();
        sender.try_send(Bytes::from_static(b"one")).expect("room");
        let mut grpc = self.grpc().await;
        let call = async move {
            let path = path("matrix.Test/ClientStreaming");
            grpc.client_streaming(Request::new(messages), path, BytesCodec)
                .await
        };
        let result = self.cancel(call).await;
        drop(sender);
        result
    }

    pub async fn disconnect_after_first_message(self) -> ClientResult {
        let responses = self.open_stream("wait midway").await;
        let mut responses = responses.expect("a stream").into_inner();
        responses.message().await.expect("a message");
        disconnected_midway()
    }

    /// Drops the responses and keeps the request stream open for a while. tonic's client sends a
    /// reset only when the request stream ends, so that the server cannot notice earlier.
    pub async fn drop_responses(self) -> ClientResult {
        let (sender, messages) = messages();
        sender.try_send(Bytes::from_static(b"one")).expect("room");
        let path = path("matrix.Test/Bidirectional");
        let mut grpc = self.grpc().await;
        let responses = grpc.streaming(Request::new(messages), path, BytesCodec);
        let mut responses = responses.await.expect("a stream").into_inner();
        responses.message().await.expect("a message");
        drop(responses);
        sender.try_send(Bytes::from_static(b"two")).expect("room");
        tokio::time::sleep(Duration::from_millis(30)).await;
        if self.recorder.ends() > 0 {
            return ClientResult::no_response("the span ended before the reset");
        }
        disconnected_midway()
    }

    pub async fn disconnect_health_watch(self) -> ClientResult {
        let request = HealthCheckRequest::default();
        let responses = HealthClient::new(self.channel.clone()).watch(request).await;
        let mut responses = responses.expect("a stream").into_inner();
        responses.message().await.expect("a message");
        disconnected_midway()
    }
}
