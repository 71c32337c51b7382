//! What is answered over HTTP.

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
use crate::asked::Asked;
use crate::lanes::Hanging;
use crate::paths::{Answer, EVENT, FRAME, FRAMES, STREAM, WHOLE};

/// HTTP/2 connections are closed over floods of small frames.
const LARGE_FRAME: &str = match str::from_utf8(&[b'x'; 1_000]) {
    Ok(text) => text,
    Err(_) => unreachable!(),
};

type Item = io::Result<&'static str>;

pub(crate) async fn answer(
    answer: Answer,
    span: SpanHandle,
    hanging: &Hanging,
    asked: Asked,
) -> Response<Body> {
    span.handoff_to_core();
    match answer {
        Answer::Whole(status) => with_status(status, Body::from(WHOLE)),
        Answer::Empty(status) => with_status(status, Body::empty()),
        Answer::Stream => streamed(frames()),
        Answer::Declared => declaring(STREAM, frames().chain(silence())),
        Answer::TooShort => declaring(STREAM + 1, frames()),
        Answer::Events(last) => {
            let events = stream::iter([Ok(EVENT)]).chain(soon(async move { Ok(last) }));
            let mut response = streamed(events);
            let of_events = HeaderValue::from_static("text/event-stream");
            response.headers_mut().insert(CONTENT_TYPE, of_events);
            response
        }
        Answer::Silent => streamed(frame().chain(silence())),
        Answer::Endless => streamed(endless()),
        Answer::BodyFails => {
            let fails = soon(async { Err(io::Error::other("the engine has gone away")) });
            streamed(frame().chain(fails))
        }
        Answer::BodyPanics => streamed(frame().chain(soon(async { panic_any(IntendedPanic) }))),
        Answer::Hangs => {
            hanging.tell(asked);
            pending().await
        }
        Answer::Panics => panic_any(IntendedPanic),
        Answer::Discarded => {
            let mut response = streamed(frames());
            response.extensions_mut().insert(Discarded);
            response
        }
        Answer::ToldWhole => {
            span.abort("content_filter", "the answer was withheld");
            Response::new(Body::from(WHOLE))
        }
        Answer::ToldStream => {
            let told = soon(async move {
                span.abort("generation_error", "the engine ran out of memory");
                Ok(FRAME)
            });
            streamed(frames().take(FRAMES - 1).chain(told))
        }
        Answer::MayLeave => {
            span.allow_disconnect();
            streamed(frame().chain(silence()))
        }
        // It never gets here.
        Answer::ServiceFails => unheard_of(),
    }
}

/// What nobody has asked for: the client sees another answer than it should.
pub(crate) fn unheard_of() -> Response<Body> {
    with_status(501, Body::empty())
}

fn with_status(status: u16, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status of the table");
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

/// Not with the frame before it, but after the server has had an occasion to flush that.
fn soon(last: impl Future<Output = Item>) -> impl Stream<Item = Item> {
    stream::once(async move {
        tokio::task::yield_now().await;
        last.await
    })
}

/// One at a time, so that what lies in buffers when the client leaves is much the same every time.
fn endless() -> impl Stream<Item = Item> {
    stream::repeat_with(|| Ok(LARGE_FRAME)).then(async |frame| {
        tokio::task::yield_now().await;
        frame
    })
}

fn silence() -> impl Stream<Item = Item> {
    stream::pending()
}
