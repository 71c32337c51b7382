//! The HTTP API: each path is a way to answer.

use std::future::pending;
use std::io;
use std::panic::panic_any;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request};
use axum::routing::{any, get, post};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::sleep;
use tower_http::services::ServeFile;

/// The payload of intended panics, which are not reported.
pub(crate) struct Intended;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/LICENSE");

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/bytes/{size}", any(bytes))
        .route("/stream/{frames}/{size}", get(streamed))
        .route("/declared/{length}/{size}", get(declared))
        .route("/silent/{size}", any(silent))
        .route("/declared-silent/{size}", get(declared_silent))
        .route("/fails/{size}", get(fails))
        .route("/panics/{size}", get(panics))
        .route("/endless/{size}", get(endless))
        .route("/trailers/{size}", get(trailers))
        .route("/status/{status}", any(status))
        .route("/hangs", any(pending::<StatusCode>))
        .route("/upload", post(upload).put(upload))
        .route("/echo", post(async |body: Body| body))
        .route("/refuses", post(async || StatusCode::PAYLOAD_TOO_LARGE))
        .route_service("/file", ServeFile::new(FILE))
}

fn text(size: usize) -> Bytes {
    vec![b'x'; size].into()
}

/// A full body, with a Content-Length.
async fn bytes(Path(size): Path<usize>) -> Bytes {
    text(size)
}

/// Frames that are sent one by one.
fn frames(count: usize, size: usize) -> impl Stream<Item = io::Result<Bytes>> {
    let frame = text(size);
    stream::iter(0..count).then(move |_| {
        let frame = frame.clone();
        async move {
            sleep(Duration::from_millis(1)).await;
            Ok(frame)
        }
    })
}

async fn streamed(Path((count, size)): Path<(usize, usize)>) -> Body {
    Body::from_stream(frames(count, size))
}

fn declaring(length: usize, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

/// A Content-Length, and a body of another length.
async fn declared(Path((length, size)): Path<(usize, usize)>) -> Response<Body> {
    declaring(length, Body::from_stream(frames(1, size)))
}

/// Some bytes, and then nothing, without an end.
async fn silent(Path(size): Path<usize>) -> Body {
    Body::from_stream(frames(1, size).chain(stream::pending()))
}

/// All declared bytes, and then nothing, without an end.
async fn declared_silent(Path(size): Path<usize>) -> Response<Body> {
    declaring(size, silent(Path(size)).await)
}

async fn fails(Path(size): Path<usize>) -> Body {
    let error = stream::once(async {
        sleep(Duration::from_millis(400)).await;
        Err(io::Error::other("the engine has gone away"))
    });
    Body::from_stream(frames(1, size).chain(error))
}

async fn panics(Path(size): Path<usize>) -> Body {
    let panic = stream::once(async {
        sleep(Duration::from_millis(400)).await;
        panic_any(Intended)
    });
    Body::from_stream(frames(1, size).chain(panic))
}

async fn endless(Path(size): Path<usize>) -> Body {
    Body::from_stream(frames(usize::MAX, size))
}

/// Two frames, and trailers.
async fn trailers(Path(size): Path<usize>) -> Body {
    let mut fields = HeaderMap::new();
    fields.insert("x-sum", size.into());
    let trailers = stream::once(async { Ok(Frame::trailers(fields)) });
    let frames = frames(2, size).map(|frame| frame.map(Frame::data));
    Body::new(StreamBody::new(frames.chain(trailers)))
}

/// The status, with a short text if it may have one.
async fn status(Path(status): Path<u16>) -> Response<Body> {
    let is_empty = matches!(status, 204 | 304);
    let mut response = Response::new(Body::from(if is_empty { "" } else { "a status" }));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

/// Reads the whole request, and answers with the number of its bytes and its trailers.
async fn upload(request: Request) -> Result<String, StatusCode> {
    let mut body = request.into_body();
    let (mut bytes, mut trailers) = (0, 0);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        bytes += frame.data_ref().map_or(0, Bytes::len);
        trailers += frame.trailers_ref().map_or(0, HeaderMap::len);
    }
    Ok(format!("{bytes} bytes, {trailers} trailers"))
}
