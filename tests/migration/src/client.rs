//! The client, and the server that it calls.

use std::net::SocketAddr;

use axum::Router;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The `traceparent` of [`Call::with_caller`].
pub const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One request, and what the client does with the response.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    target: &'static str,
    has_caller: bool,
    client: Client,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Client {
    ReadsAll,
    DisconnectsMidway,
    DisconnectsBeforeHead,
    GetsNoResponse,
}

impl Call {
    pub fn get(target: &'static str) -> Self {
        Self {
            method: Method::GET,
            target,
            has_caller: false,
            client: Client::ReadsAll,
        }
    }

    pub fn head(target: &'static str) -> Self {
        Self {
            method: Method::HEAD,
            ..Self::get(target)
        }
    }

    pub fn with_caller(self) -> Self {
        Self {
            has_caller: true,
            ..self
        }
    }

    pub fn disconnect_midway(self) -> Self {
        Self {
            client: Client::DisconnectsMidway,
            ..self
        }
    }

    pub fn disconnect_before_head(self) -> Self {
        Self {
            client: Client::DisconnectsBeforeHead,
            ..self
        }
    }

    /// The server closes the connection without a response.
    pub fn without_response(self) -> Self {
        Self {
            client: Client::GetsNoResponse,
            ..self
        }
    }

    fn request(&self, host: &str) -> Request<Empty<Bytes>> {
        let request = Request::builder()
            .method(&self.method)
            .uri(self.target)
            .header("host", host)
            .header("user-agent", "client/1")
            .header("authorization", "Bearer secret");
        let request = if self.has_caller {
            request.header("traceparent", CALLER)
        } else {
            request
        };
        request.body(Empty::new()).expect("a valid request")
    }
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct Head {
    pub headers: HeaderMap,
}

/// Serves the application, makes one call, and stops the server. Returns the head that the client received.
pub async fn call(application: Router, call: &Call) -> Option<Head> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = oneshot::channel();
    let server = axum::serve(
        listener,
        application.into_make_service_with_connect_info::<SocketAddr>(),
    );
    // It returns when the last connection is closed, so the request has then ended.
    let server = server.with_graceful_shutdown(async { stopped.await.expect("a stop") });
    let server = tokio::spawn(server.into_future());

    let stream = TcpStream::connect(address).await.expect("a connection");
    let head = send(stream, &address.to_string(), call).await;
    stop.send(()).expect("the server serves");
    server.await.expect("no panic").expect("no error");
    head
}

async fn send(stream: TcpStream, host: &str, call: &Call) -> Option<Head> {
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.expect("a connection");
    let connection = tokio::spawn(connection);
    let response = sender.send_request(call.request(host));
    let head = if call.client == Client::DisconnectsBeforeHead {
        let timeout = std::time::Duration::from_millis(50);
        let response = tokio::time::timeout(timeout, response).await;
        assert!(response.is_err(), "the handler never responds");
        None
    } else if call.client == Client::GetsNoResponse {
        response.await.expect_err("a closed connection");
        None
    } else {
        let (parts, mut body) = response.await.expect("a response").into_parts();
        if call.client == Client::DisconnectsMidway {
            body.frame().await.expect("a frame").expect("no error");
        } else {
            body.collect().await.expect("the whole body");
        }
        Some(Head {
            headers: parts.headers,
        })
    };
    // Closes the socket.
    connection.abort();
    let _ = connection.await;
    head
}
