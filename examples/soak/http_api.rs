//! The API over HTTP.

use std::future::{Future, pending};
use std::io;
use std::panic::panic_any;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, Stream, StreamExt as _};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::BodyExt as _;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use tower_api_span::SpanHandle;

use crate::IntendedPanic;
use crate::app::Discarded;
use crate::events::{CHUNK, KILOBYTE, Oversized};
use crate::lanes::HangSignal;
use crate::paths::{Answer, BAGGAGE, BUFFERED, EVENT, FRAME, FRAMES, LARGE, STREAM};
use crate::tag::Tag;

type Item = io::Result<&'static str>;

pub(crate) async fn answer(
    answer: Answer,
    span: SpanHandle,
    hang_signal: &HangSignal,
    tag: Tag,
    upload: Body,
) -> Response<Body> {
    span.handoff_to_core();
    if has_baggage() != tag.path().caller.has_baggage() {
        return with_status(418, Body::empty());
    }
    match answer {
        Answer::Buffered(status) => with_status(status, Body::from(BUFFERED)),
        Answer::Empty(status) => with_status(status, Body::empty()),
        Answer::Stream => streamed(frames()),
        Answer::DeclaredLength => declaring(STREAM, frames().chain(silence())),
        Answer::TooShort => declaring(STREAM + 1, frames()),
        Answer::Events(last) => {
            let events = stream::iter([Ok(EVENT)]).chain(after_flush(async move { Ok(last) }));
            of_type("text/event-stream", streamed(events))
        }
        Answer::Oversized(events) => oversized(events),
        Answer::Large => streamed(stream::iter([const { Ok(CHUNK) }; LARGE / CHUNK.len()])),
        Answer::Silent => streamed(frame().chain(silence())),
        Answer::FramesOnly => streamed(frames().chain(silence())),
        Answer::HeadOnly => {
            let hang_signal = hang_signal.clone();
            streamed(stream::once(async move {
                hang_signal.notify(tag);
                pending().await
            }))
        }
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
        Answer::ReadsUpload => match upload.collect().await {
            Ok(_) => Response::new(Body::from(BUFFERED)),
            Err(_) => with_status(400, Body::empty()),
        },
        Answer::Echoes => Response::new(upload),
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

fn of_type(content_type: &'static str, mut response: Response<Body>) -> Response<Body> {
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn oversized(events: Oversized) -> Response<Body> {
    let frames = stream::iter(events.frames().map(io::Result::<Bytes>::Ok));
    let body = Body::from_stream(frames);
    of_type(events.content_type(), Response::new(body))
}

/// Whether the current context has the caller's baggage.
fn has_baggage() -> bool {
    let context = Context::current();
    let (key, value) = BAGGAGE;
    let found = context
        .baggage()
        .get(key)
        .map(|found| found.as_str() == value);
    found.unwrap_or(!context.baggage().is_empty())
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
    stream::repeat_with(|| Ok(KILOBYTE)).then(async |frame| {
        tokio::task::yield_now().await;
        frame
    })
}

fn silence() -> impl Stream<Item = Item> {
    stream::pending()
}
