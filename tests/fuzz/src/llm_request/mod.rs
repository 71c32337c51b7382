//! Requests to LLM APIs: what is read of their JSON.
//!
//! An input is a byte of settings ([`Settings::take`]), cut lengths ([`crate::input::take_cuts`]), and the body
//! of the request, which the handler reads to its end. It is read cut and whole. Both times the span must show
//! what the oracle reads of the whole body.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use http_body::Body as _;
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::exchange::{Frames, answer, read};
use crate::input::{split, take_byte, take_cuts};
use crate::oracle::check_request;
use crate::oracle::llm::request::{self, Read};
use crate::recorder::{Seen, clear, only, recorded};

const CONTENT_TYPES: [&str; 4] = [
    "application/json",
    "application/json",
    "application/json; charset=utf-8",
    "text/plain",
];

/// The settings of layer and request.
#[derive(Clone, Copy, Debug)]
struct Settings {
    content_type: &'static str,
    is_encoded: bool,
    reads_attributes: bool,
}

impl Settings {
    /// Bits 0 and 1 select the content type. With bit 2 the body has a content encoding. With bit 3 it is not
    /// read.
    fn take(input: &mut &[u8]) -> Self {
        let bits = take_byte(input);
        Self {
            content_type: CONTENT_TYPES[usize::from(bits & 3)],
            is_encoded: bits & 4 != 0,
            reads_attributes: bits & 8 == 0,
        }
    }

    fn request(self) -> Request<()> {
        let mut request =
            Request::post("/v1/chat/completions").header("content-type", self.content_type);
        if self.is_encoded {
            request = request.header("content-encoding", "gzip");
        }
        request.body(()).expect("a request")
    }

    fn is_read(self) -> bool {
        self.reads_attributes && !self.is_encoded && self.content_type != "text/plain"
    }
}

/// Returns the body of its request.
struct TakesBody;

impl Service<Request<RequestBody<Frames>>> for TakesBody {
    type Response = RequestBody<Frames>;
    type Error = Infallible;
    type Future = Ready<Result<RequestBody<Frames>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody<Frames>>) -> Self::Future {
        ready(Ok(request.into_body()))
    }
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::take(&mut input);
    let lengths = take_cuts(&mut input);
    let expected = match request::read(input) {
        _ if !settings.is_read() => request::Request::default(),
        Read::Request(expected) => expected,
        Read::Other => request::Request::default(),
        Read::Unknown => return,
    };
    for pieces in [split(input, lengths), vec![input]] {
        let span = play(&pieces, settings);
        check_request(&span.0, &expected);
    }
}

fn play(pieces: &[&[u8]], settings: Settings) -> Seen {
    clear();
    let layer = recorded(ApiSpanLayer::new()).gen_ai_attributes(settings.reads_attributes);
    let response = answer(&layer, settings.request(), |request| {
        let frames = Frames::data(pieces.iter().copied());
        let mut layered = RequestBodyLayer::new().layer(TakesBody);
        let Ok(mut body) = layered.call(request.map(|()| frames)).into_inner();
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = Pin::new(&mut body).poll_frame(cx) {}
        Response::new(Frames::none())
    });
    read(response.into_body(), usize::MAX);
    only()
}
