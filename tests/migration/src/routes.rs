//! The routes of every application.

use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use opentelemetry::trace::{Span as _, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};

/// How long `/stream` pauses in all: one half before each of its two chunks. The head alone takes far less.
pub const PAUSE: Duration = Duration::from_millis(300);

pub fn routes() -> Router {
    let user = async || {
        tracing::info!("in the handler");
        let context = Context::current();
        context.span().set_attribute(KeyValue::new("app.user", 7));
        "hello\n"
    };
    Router::new()
        .route("/users/{id}", get(user))
        .route("/broken", get(async || StatusCode::INTERNAL_SERVER_ERROR))
        .route("/panic", get(panicking))
        .route("/slow", get(async || pending::<()>().await))
        .route("/stream", get(async || Body::from_stream(two_chunks())))
        .route("/endless", get(async || Body::from_stream(endless())))
}

async fn panicking() -> &'static str {
    panic!("the handler panics")
}

fn two_chunks() -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter(["one\n", "two\n"]).then(async |chunk| {
        tokio::time::sleep(PAUSE / 2).await;
        tracing::info!("in the stream");
        tracing::info_span!("chunk").in_scope(|| ());
        global::tracer("routes").start("query").end();
        Ok(Bytes::from_static(chunk.as_bytes()))
    })
}

fn endless() -> impl Stream<Item = Result<Bytes, Infallible>> {
    stream::iter([Ok(Bytes::from_static(b"one\n"))]).chain(stream::pending())
}
