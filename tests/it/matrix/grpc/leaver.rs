//! Clients that leave a gRPC call.

use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream;
use tokio::sync::mpsc;
use tonic::Request;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::caller::{Caller, left_midway, path};
use super::service::BytesCodec;
use crate::matrix::got::Got;

/// The messages of a request stream, which is open as long as the sender is there.
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

impl Caller {
    /// Gives up on a call whose handler is running.
    async fn give_up<T: Send + 'static>(
        self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Got {
        let call = tokio::spawn(call);
        self.talk.called.notified().await;
        call.abort();
        match call.await {
            Ok(_) => Got::nothing("an answer, though there was to be none"),
            Err(_) => Got::Left { status: None },
        }
    }

    pub async fn leave_before_the_answer(self) -> Got {
        let call = self.clone().unary("matrix.Talk/Unary", "wait");
        self.give_up(call).await
    }

    pub async fn leave_while_asking(self) -> Got {
        let (sender, messages) = messages();
        sender.try_send(Bytes::from_static(b"one")).expect("room");
        let mut grpc = self.grpc().await;
        let call = async move {
            let path = path("matrix.Talk/ClientStreaming");
            grpc.client_streaming(Request::new(messages), path, BytesCodec)
                .await
        };
        let got = self.give_up(call).await;
        drop(sender);
        got
    }

    pub async fn leave_midway(self) -> Got {
        let answers = self.open_stream("wait midway").await;
        let mut answers = answers.expect("a stream").into_inner();
        answers.message().await.expect("a message");
        left_midway()
    }

    /// Drops the answers and goes on asking for a while. tonic's client sends a reset no earlier
    /// than when its own stream is over, and until then the server can't know.
    pub async fn stop_listening(self) -> Got {
        let (sender, messages) = messages();
        sender.try_send(Bytes::from_static(b"one")).expect("room");
        let path = path("matrix.Talk/Bidirectional");
        let mut grpc = self.grpc().await;
        let answers = grpc.streaming(Request::new(messages), path, BytesCodec);
        let mut answers = answers.await.expect("a stream").into_inner();
        answers.message().await.expect("a message");
        drop(answers);
        sender.try_send(Bytes::from_static(b"two")).expect("room");
        tokio::time::sleep(Duration::from_millis(30)).await;
        if self.at.ends() > 0 {
            return Got::nothing("the server knows");
        }
        left_midway()
    }

    pub async fn watch_health(self) -> Got {
        let request = HealthCheckRequest::default();
        let answers = HealthClient::new(self.channel.clone()).watch(request).await;
        let mut answers = answers.expect("a stream").into_inner();
        answers.message().await.expect("a message");
        left_midway()
    }
}
