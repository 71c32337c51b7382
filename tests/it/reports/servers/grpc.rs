//! gRPC servers, made with tonic.

use std::net::SocketAddr;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::client::Grpc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::server::HealthReporter;

use super::{exchange, only, serve, status_of};
use crate::matrix::grpc::service::{BytesCodec, TestService};
use crate::support::recorder::Recorder;

/// Starts a server with health checks, and returns a client.
async fn connect(recorder: &Recorder) -> (HealthClient<Channel>, HealthReporter) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address: SocketAddr = listener.local_addr().expect("an address");
    let (reporter, health) = tonic_health::server::health_reporter();
    let serving = Server::builder()
        .layer(recorder.layer())
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let channel = endpoint.connect().await.expect("a connection");
    (HealthClient::new(channel), reporter)
}

fn request(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

/// opentelemetry-dotnet-contrib #3162: not found is an answer. grpc-rust #855, linkerd #1567: a response without
/// messages has its status in the head. tower-http #414: the message is decoded.
#[tokio::test]
async fn not_found_in_the_head_is_no_error_of_the_server() {
    let recorder = Recorder::new();
    let (mut client, _reporter) = connect(&recorder).await;
    let status = client
        .check(request("no such"))
        .await
        .expect_err("a status");
    assert_eq!(status.code(), Code::NotFound);
    let span = only(&recorder).await;
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        Some("NOT_FOUND")
    );
    assert_eq!(span.outcome(), "ABORTED(client_error)");
    assert_eq!(span.error().as_deref(), Some(status.message()));
    assert!(!span.is_error());
}

/// grpc-rust #1824: a response with messages has its status in the trailers.
#[tokio::test]
async fn status_in_the_trailers_is_that_of_the_span() {
    let recorder = Recorder::new();
    let (mut client, _reporter) = connect(&recorder).await;
    client.check(request("")).await.expect("it is serving");
    let span = only(&recorder).await;
    assert_eq!(span.0.name, "grpc.health.v1.Health/Check");
    assert_eq!(span.attribute("rpc.status_code").as_deref(), Some("OK"));
    assert_eq!(span.outcome(), "DEPARTED");
}

/// brave #1340, grpc-spring #438: the span of a stream that its client cancels never ended.
/// opentelemetry-java-instrumentation #13368: each message had a span.
#[tokio::test]
async fn stream_that_the_client_cancels_has_one_span_that_ends_as_cancelled() {
    let recorder = Recorder::new();
    let (mut client, reporter) = connect(&recorder).await;
    let response = client.watch(request("")).await.expect("a stream");
    let mut statuses = response.into_inner();
    for status in [ServingStatus::NotServing, ServingStatus::Serving] {
        statuses
            .message()
            .await
            .expect("no error")
            .expect("a status");
        reporter.set_service_status("", status).await;
    }
    assert_eq!(recorder.ends(), 0, "the stream is open");
    drop(statuses);
    assert!(recorder.wait_for(1).await, "the span ends");
    let span = only(&recorder).await;
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        Some("CANCELLED")
    );
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert!(!span.is_error());
}

/// spring-cloud-gateway #3783: the status after messages became OK.
#[tokio::test]
async fn failure_after_messages_is_that_of_the_span() {
    let recorder = Recorder::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = Server::builder()
        .layer(recorder.layer())
        .add_service(TestService::default())
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut grpc = Grpc::new(endpoint.connect().await.expect("a connection"));
    grpc.ready().await.expect("a connection");
    let message = tonic::Request::new(Bytes::from_static(b"fail midway"));
    let path = PathAndQuery::from_static("/matrix.Test/ServerStreaming");
    let response = grpc.server_streaming(message, path, BytesCodec).await;
    let mut words = response.expect("a head").into_inner();
    words.message().await.expect("no error").expect("a message");
    let status = words.message().await.expect_err("a status");
    assert_eq!(status.code(), Code::Internal);
    let span = only(&recorder).await;
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        Some("INTERNAL")
    );
    assert_eq!(span.attribute("error.type").as_deref(), Some("INTERNAL"));
    assert_eq!(span.error().as_deref(), Some("boom"));
    assert!(span.is_error());
}

/// istio #58430: the status of gRPC-Web, which is in the body, was UNKNOWN.
#[tokio::test]
async fn status_of_grpc_web_in_the_body_is_that_of_the_span() {
    for (service, code, outcome) in [
        ("", "OK", "DEPARTED"),
        ("no such", "NOT_FOUND", "ABORTED(client_error)"),
    ] {
        let recorder = Recorder::new();
        let (_reporter, health) = tonic_health::server::health_reporter();
        let web = tonic_web::GrpcWebLayer::new();
        let routes = tonic::service::Routes::new(health).into_axum_router();
        let address = serve(routes.layer(web).layer(recorder.layer())).await;
        // A message with the field 1, a string.
        let length = u8::try_from(service.len()).expect("it is short");
        let message = [&[0x0a, length], service.as_bytes()].concat();
        let frame = [&[0, 0, 0, 0, length + 2], &message[..]].concat();
        let head = format!(
            "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\
             content-type: application/grpc-web+proto\r\ncontent-length: {}\r\n\r\n",
            frame.len()
        );
        let answer = exchange(address, &[head.as_bytes(), &frame].concat()).await;
        assert_eq!(status_of(&answer), Some(200), "{code}");
        let span = only(&recorder).await;
        let seen = span.attribute("rpc.status_code");
        assert_eq!(seen.as_deref(), Some(code), "{answer}");
        assert_eq!(span.outcome(), outcome, "{code}");
    }
}
