//! The API over HTTP.

use std::future::{Future, pending};
use std::io;
use std::panic::panic_any;

use axum::body::Body;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use tower_api_span::SpanHandle;

use crate::IntendedPanic;
use crate::app::Discarded;
use crate::lanes::HangSignal;
use crate::paths::{Answer, BUFFERED, EVENT, FRAME, FRAMES, STREAM};
use crate::tag::Tag;

/// Large, because HTTP/2 connections with floods of small frames are closed.
const LARGE_FRAME: &str = match str::from_utf8(&[b'x'; 1_000]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

type Item = io::Result<&'static str>;

pub(crate) async fn answer(
    answer: Answer,
    span: SpanHandle,
    hang_signal: &HangSignal,
    tag: Tag,
) -> Response<Body> {
    span.handoff_to_core();
    match answer {
        Answer::Buffered(status) => with_status(status, Body::from(BUFFERED)),
        Answer::Empty(status) => with_status(status, Body::empty()),
        Answer::Stream => streamed(frames()),
        Answer::DeclaredLength => declaring(STREAM, frames().chain(silence())),
        Answer::TooShort => declaring(STREAM + 1, frames()),
        Answer::Events(last) => {
            let events = stream::iter([Ok(EVENT)]).chain(after_flush(async move { Ok(last) }));
            let mut response = streamed(events);
            let content_type = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            response
        }
        Answer::Silent => streamed(frame().chain(silence())),
        Answer::Endless => streamed(endless()),
        Answer::BodyFails => {
            let fails = after_flush(async { Err(io::Error::other("the engine has gone away")) });
            streamed(frame().chain(fails))
        }
        Answer::BodyPanics => {
            streamed(frame().chain(after_flush(async { panic_any(IntendedPanic) })))
        }
        Answer::Hangs => {
            hang_signal.notify(tag);
            pending().await
        }
        Answer::Panics => panic_any(IntendedPanic),
        Answer::Discarded => {
            let mut response = streamed(frames());
            response.extensions_mut().insert(Discarded);
            response
        }
        Answer::ReportsErrorBuffered => {
            span.mark_aborted("content_filter", "the answer was withheld");
            Response::new(Body::from(BUFFERED))
        }
        Answer::ReportsErrorStream => {
            let last = after_flush(async move {
                span.mark_aborted("generation_error", "the engine ran out of memory");
                Ok(FRAME)
            });
            streamed(frames().take(FRAMES - 1).chain(last))
        }
        Answer::AllowsDisconnect => {
            span.allow_disconnect();
            streamed(frame().chain(silence()))
        }
        // The middleware fails before this handler.
        Answer::ServiceFails => not_implemented(),
    }
}

/// Answers a request without a valid tag. No client expects this response.
pub(crate) fn not_implemented() -> Response<Body> {
    with_status(501, Body::empty())
}

fn with_status(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a valid status");
    response
}

fn streamed(frames: impl Stream<Item = Item> + Send + 'static) -> Response<Body> {
    Response::new(Body::from_stream(frames))
}

fn declaring(length: usize, frames: impl Stream<Item = Item> + Send + 'static) -> Response<Body> {
    let mut response = streamed(frames);
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    response
}

fn frame() -> impl Stream<Item = Item> {
    stream::iter([Ok(FRAME)])
}

fn frames() -> impl Stream<Item = Item> {
    stream::repeat_with(|| Ok(FRAME)).take(FRAMES)
}

/// Yields once before the item, so that the server can flush the frame before it.
fn after_flush(last: impl Future<Output = Item>) -> impl Stream<Item = Item> {
    stream::once(async move {
        tokio::task::yield_now().await;
        last.await
    })
}

/// Yields between frames, so that about the same number of bytes is buffered at every disconnection.
fn endless() -> impl Stream<Item = Item> {
    stream::repeat_with(|| Ok(LARGE_FRAME)).then(async |frame| {
        tokio::task::yield_now().await;
        frame
    })
}

fn silence() -> impl Stream<Item = Item> {
    stream::pending()
}
