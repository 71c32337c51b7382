//! gRPC calls that are cancelled before their message is whole.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use http::{Request, Version};
use http_body_util::BodyExt as _;
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::transport::server::TcpIncoming;
use tower::ServiceBuilder;
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer};

use super::clients::{connect, handshake};
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;

/// Serves tonic's health service, and notifies `read` of each frame that it reads.
async fn serve(layer: ApiSpanLayer, read: &Arc<Notify>) -> std::net::SocketAddr {
    let read = Arc::clone(read);
    let observe = move |request: Request<RequestBody<Body>>| {
        let read = Arc::clone(&read);
        request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                read.notify_one();
                frame
            }))
        })
    };
    let stack = ServiceBuilder::new()
        .layer(layer)
        .layer(RequestBodyLayer::new())
        .map_request(observe);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_, health) = tonic_health::server::health_reporter();
    let serving = tonic::transport::Server::builder()
        .layer(stack)
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(async move { serving.await.expect("a listener") });
    address
}

#[tokio::test]
async fn call_that_is_cancelled_before_its_message_is_whole_is_cancelled_in_all_signals() {
    for (reason, sent) in [
        (Some(Reason::CANCEL), 8),
        (Some(Reason::CANCEL), 3),
        (Some(Reason::INTERNAL_ERROR), 8),
        (None, 8),
    ] {
        let case = format!("{sent} of 60 bytes, then {reason:?}");
        let (recorder, meters) = (Recorder::new(), Meters::new());
        let exporter = InMemoryLogExporter::default();
        let logs = SdkLoggerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = meters.on(recorder.layer()).logger_provider(&logs);
        let read = Arc::new(Notify::new());
        let address = serve(layer, &read).await;

        let mut client = handshake(connect(address, false).await).await;
        let request = Request::post("http://a/grpc.health.v1.Health/Check")
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = request.body(()).expect("a request");
        let (response, mut stream) = client.send.send_request(request, false).expect("a stream");
        tokio::spawn(response);
        let message = [&[0, 0, 0, 0, 55][..], &[0; 55]].concat();
        let part = Bytes::copy_from_slice(&message[..sent]);
        stream.send_data(part, false).expect("an open stream");
        read.notified().await;
        match reason {
            Some(reason) => stream.send_reset(reason),
            None => client.connection.abort(),
        }
        assert!(recorder.wait_for(1).await, "{case}");

        let span = recorder.only();
        assert_eq!(span.outcome(), "ABORTED(client_disconnect)", "{case}");
        assert!(!span.is_error(), "{case}");
        let code = span.attribute("rpc.status_code");
        assert_eq!(code.as_deref(), Some("CANCELLED"), "{case}");
        let duration = meters.only("rpc.server.call.duration");
        let code = duration.attribute("rpc.status_code");
        assert_eq!(code.as_deref(), Some("CANCELLED"), "{case}");
        assert_eq!(duration.attribute("error.type"), None, "{case}");
        let events = exporter.get_emitted_logs().expect("logs");
        assert_eq!(events.len(), 1, "{case}");
        let event = &events[0].record;
        assert_eq!(
            event.event_name(),
            Some("rpc.server.call.exception"),
            "{case}"
        );
        assert_eq!(event.severity_number(), Some(Severity::Debug), "{case}");
        let kind = event
            .attributes_iter()
            .find(|(key, _)| key.as_str() == "exception.type");
        let expected = AnyValue::from("client_disconnect");
        assert_eq!(kind.map(|(_, value)| value), Some(&expected), "{case}");
    }
}

#[tokio::test]
async fn call_whose_message_is_whole_is_answered() {
    let recorder = Recorder::new();
    let read = Arc::new(Notify::new());
    let address = serve(recorder.layer(), &read).await;
    let channel = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
    let channel = channel
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut client = tonic_health::pb::health_client::HealthClient::new(channel);
    let request = tonic_health::pb::HealthCheckRequest::default();
    client.check(request).await.expect("an answer");
    recorder.all_ended().await;
    assert_eq!(recorder.only().outcome(), "DEPARTED");
}
