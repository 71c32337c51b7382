//! The layer of a tonic server.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;
use tokio::net::TcpListener;
use tonic::client::Grpc;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Code, Request, Response, Status};
use tonic_web::GrpcWebLayer;
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{called, only_of_caller};
use crate::matrix::grpc::service::{BytesCodec, TestService};
use crate::support::recorder::Recorder;
use crate::support::{CALLER, TRACE};

/// Starts a server that handles one call of a connection at a time, and returns a connection.
async fn connect(recorder: &Recorder, service: TestService, timeout: Duration) -> Channel {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let serving = Server::builder()
        .concurrency_limit_per_connection(1)
        .load_shed(true)
        .timeout(timeout)
        .layer(recorder.layer())
        .add_service(service)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    endpoint.connect().await.expect("a connection")
}

async fn call(channel: Channel, message: &'static str) -> Result<Response<Bytes>, Status> {
    let mut grpc = Grpc::new(channel);
    grpc.ready().await.expect("a connection");
    let mut request = Request::new(Bytes::from_static(message.as_bytes()));
    let caller = format!("00-{TRACE}-{CALLER}-01").parse();
    request
        .metadata_mut()
        .insert("traceparent", caller.expect("a value"));
    let path = PathAndQuery::from_static("/matrix.Test/Unary");
    grpc.unary(request, path, BytesCodec).await
}

#[tokio::test]
async fn calls_that_load_shedding_rejects_have_no_span() {
    let recorder = Recorder::new();
    let service = TestService::default();
    let channel = connect(&recorder, service.clone(), Duration::MAX).await;
    let waiting = tokio::spawn(call(channel.clone(), "wait"));
    service.called.notified().await;
    let rejected = call(channel.clone(), "hello").await;
    let code = rejected.expect_err("the server is at its limit").code();
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(recorder.starts(), 1, "the waiting call alone");
    waiting.abort();
    let span = only_of_caller(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
}

#[tokio::test]
async fn timeout_of_the_server_looks_like_a_client_disconnect() {
    let recorder = Recorder::new();
    let service = TestService::default();
    let channel = connect(&recorder, service, Duration::from_millis(20)).await;
    let response = call(channel, "wait").await;
    response.expect_err("the timeout has passed");
    let span = only_of_caller(&recorder).await;
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert!(!span.is_error());
}

#[tokio::test]
async fn status_of_a_grpc_web_call_is_read_outside_and_inside_its_layer() {
    for is_outside in [true, false] {
        let recorder = Recorder::new();
        let body = tonic::body::Body::new(http_body_util::Full::new(Bytes::from_static(
            b"\0\0\0\0\x05hello",
        )));
        let mut request = called("POST", "/matrix.Test/Unary")
            .body(body)
            .expect("a request");
        let content_type = HeaderValue::from_static("application/grpc-web+proto");
        request.headers_mut().insert("content-type", content_type);
        let (service, layer) = (TestService::default(), recorder.layer());
        if is_outside {
            let service = layer.layer(GrpcWebLayer::new().layer(service));
            let response = service.oneshot(request).await.expect("a response");
            read(response.into_body()).await;
        } else {
            let service = layer.layer(service);
            let service = service.map_response(|response| response.map(tonic::body::Body::new));
            let response = GrpcWebLayer::new().layer(service).oneshot(request).await;
            read(response.expect("a response").into_body()).await;
        }
        let span = only_of_caller(&recorder).await;
        assert_eq!(span.outcome(), "DEPARTED", "outside: {is_outside}");
        let code = span.attribute("rpc.status_code");
        assert_eq!(code.as_deref(), Some("OK"), "outside: {is_outside}");
    }
}

async fn read<B: http_body::Body<Error: std::fmt::Debug>>(body: B) {
    http_body_util::BodyExt::collect(body)
        .await
        .expect("a body");
}
