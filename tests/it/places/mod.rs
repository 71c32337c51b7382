//! The rows of the table in `docs/guide/placement.md`: what the span shows wherever the layer is, with a caller.

mod axum_serve;
mod grpc;
mod stack;
mod table;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::other_middleware;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{CALLER, TRACE};

/// The length of the body at `/large`.
const LARGE: usize = 4_500;

/// The response at the client.
struct Received {
    status: u16,
    headers: HeaderMap,
    /// The length of the body, or `None` if it is cut off.
    length: Option<usize>,
}

/// Returns an application without layers.
fn routes() -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { "a user" }))
        .route(
            "/large",
            get(|| async { "a line of text\n".repeat(LARGE / 15) }),
        )
        .route("/slow", get(std::future::pending::<&'static str>))
        .route("/panics", get(panics))
        // Its length is unknown, and it goes on after its last byte.
        .route(
            "/stream",
            get(|| async { Response::new(Body::new(ScriptedBody::new([Data(5)]))) }),
        )
        .nest_service(
            "/service",
            Router::new().route("/users/{id}", get(|| async { "a user" })),
        )
}

async fn panics() -> &'static str {
    std::panic::resume_unwind(Box::new("the handler panics"))
}

/// Returns a request of a caller.
fn called(method: &str, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "example.com")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
}

/// Sends a request to an application behind hyper, and reads the response.
async fn send(app: Router, request: http::request::Builder) -> Received {
    let stream = TokioIo::new(other_middleware::serve(app));
    let (mut sender, connection) = http1::handshake(stream).await.expect("a connection");
    let connection = tokio::spawn(connection);
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let response = sender.send_request(request).await.expect("a head");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.ok();
    drop(sender);
    // The test checks what arrived.
    let _ = connection.await;
    Received {
        status: parts.status.as_u16(),
        headers: parts.headers,
        length: body.map(|body| body.to_bytes().len()),
    }
}

/// Returns the only span, and asserts that the caller is its parent.
async fn only_of_caller(recorder: &Recorder) -> Seen {
    recorder.all_ended().await;
    let span = recorder.only();
    assert_eq!(span.0.span_context.trace_id().to_string(), TRACE);
    assert_eq!(span.0.parent_span_id.to_string(), CALLER);
    assert!(span.0.parent_span_is_remote);
    span
}
