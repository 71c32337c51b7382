//! Servers on Unix domain sockets, whose peers have no address.
#![cfg(unix)]

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Endpoint, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::{only, request};
use crate::support::recorder::{Recorder, Seen};

fn assert_without_addresses(span: &Seen) {
    for key in [
        "network.peer.address",
        "network.peer.port",
        "client.address",
    ] {
        assert_eq!(span.attribute(key), None, "{key}");
    }
}

/// opentelemetry-python-contrib #1832 and #3393, opentelemetry-ebpf-instrumentation #3280
#[tokio::test]
async fn span_of_a_unix_socket_has_no_addresses_and_the_request_is_served() {
    let recorder = Recorder::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let user = get(|Path(id): Path<String>| async { id });
    let app = Router::new().route("/users/{id}", user);
    let app = app.layer(recorder.layer());
    tokio::spawn(async { axum::serve(listener, app).await });
    let mut stream = UnixStream::connect(&path).await.expect("a connection");
    let request = request("GET /users/7", "host: localhost\r\n");
    stream.write_all(&request).await.expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    assert!(answer.ends_with('7'), "{answer}");
    let span = only(&recorder).await;
    assert_eq!(span.0.name, "GET /users/{id}");
    assert_eq!(
        span.attribute("server.address").as_deref(),
        Some("localhost")
    );
    assert_without_addresses(&span);
}

/// opentelemetry-python-contrib #1832 and #3393
#[tokio::test]
async fn span_of_a_grpc_call_on_a_unix_socket_has_no_addresses_and_the_call_is_served() {
    let recorder = Recorder::new();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("grpc.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let connections = futures_util::stream::unfold(listener, |listener| async {
        let connection = listener.accept().await.map(|(stream, _)| stream);
        Some((connection, listener))
    });
    let (_reporter, health) = tonic_health::server::health_reporter();
    let serving = Server::builder()
        .layer(recorder.layer())
        .add_service(health)
        .serve_with_incoming(connections);
    tokio::spawn(serving);
    let connector = tower::service_fn(move |_| {
        let stream = UnixStream::connect(path.clone());
        async { Ok::<_, std::io::Error>(TokioIo::new(stream.await?)) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await;
    let mut client = HealthClient::new(channel.expect("a connection"));
    let request = HealthCheckRequest {
        service: String::new(),
    };
    client.check(request).await.expect("it is serving");
    let span = only(&recorder).await;
    assert_eq!(span.attribute("rpc.status_code").as_deref(), Some("OK"));
    assert_without_addresses(&span);
}
