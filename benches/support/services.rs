//! Services, and a reader of their responses.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body, Frame};
use http_body_util::Full;
use opentelemetry::KeyValue;
use tower::{Service, service_fn};
use tower_api_span::SpanHandle;

const BODY: &[u8] = b"hello, world";
const EVENT: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\" token\"}}]}\n\n";
const MESSAGE: &[u8] = b"\0\0\0\0\x02\x08\x01";

/// The terminator of the event stream.
pub(crate) const DONE: &[u8] = b"data: [DONE]\n\n";

/// The number of events before [`DONE`].
const EVENTS: usize = 20;

/// The frames and bytes that a reader has read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) data_frames: usize,
    pub(crate) bytes: usize,
    pub(crate) trailers: usize,
}

impl Read {
    pub(crate) const WHOLE: Self = Self {
        data_frames: 1,
        bytes: BODY.len(),
        trailers: 0,
    };
    pub(crate) const EVENTS: Self = Self {
        data_frames: EVENTS + 1,
        bytes: EVENTS * EVENT.len() + DONE.len(),
        trailers: 0,
    };
    pub(crate) const GRPC: Self = Self {
        data_frames: 1,
        bytes: MESSAGE.len(),
        trailers: 1,
    };
}

/// A service whose responses are ready immediately.
pub(crate) trait Answers<B>:
    Service<Request<()>, Response = Response<B>, Error = Infallible>
{
}

impl<S, B> Answers<B> for S where S: Service<Request<()>, Response = Response<B>, Error = Infallible>
{}

/// Calls the service and returns the response.
pub(crate) fn head<B>(service: &mut impl Answers<B>, request: Request<()>) -> Response<B> {
    let Ok(response) = service
        .call(request)
        .now_or_never()
        .expect("the service and its body are always ready");
    response
}

/// Reads a body to its end as hyper does: until `None` or `is_end_stream`.
pub(crate) fn read(body: impl Body<Data = Bytes, Error = Infallible>) -> Read {
    let mut body = pin!(body);
    let mut task = Context::from_waker(Waker::noop());
    let mut read = Read::default();
    while !body.is_end_stream() {
        // Keeps the compiler from seeing that all frames of the bare body are equal.
        match black_box(body.as_mut().poll_frame(&mut task)) {
            Poll::Ready(Some(Ok(frame))) => match frame.data_ref() {
                Some(data) => {
                    read.data_frames += 1;
                    read.bytes += data.len();
                }
                None => read.trailers += 1,
            },
            Poll::Ready(None) => break,
            Poll::Pending => panic!("the service and its body are always ready"),
        }
    }
    read
}

/// Returns a service with a body of one frame and known length.
pub(crate) fn whole() -> impl Answers<Full<Bytes>> {
    service_fn(async |_| Ok(Response::new(Full::new(Bytes::from_static(BODY)))))
}

/// Like [`whole`], and sets an attribute, an event and a route through the handle.
pub(crate) fn using_handle() -> impl Answers<Full<Bytes>> {
    service_fn(async |request: Request<()>| {
        let span = SpanHandle::from_extensions(request.extensions());
        span.set_attribute(KeyValue::new("tenant", "blue"));
        span.add_event("cache.miss", Vec::new());
        span.set_route("/v1/chat/completions");
        Ok(Response::new(Full::new(Bytes::from_static(BODY))))
    })
}

/// Returns a service with an event stream of 20 events and [`DONE`].
pub(crate) fn events() -> impl Answers<Script> {
    streaming("text/event-stream", EVENT, EVENTS, Some(DONE))
}

/// Returns a service whose body has `times` equal frames and then `last`.
pub(crate) fn streaming(
    content_type: &'static str,
    frame: &'static [u8],
    times: usize,
    last: Option<&'static [u8]>,
) -> impl Answers<Script> {
    answering(content_type, move || Script {
        frame,
        times,
        last,
        trailers: None,
    })
}

/// Returns a gRPC service that answers one message and status OK.
pub(crate) fn grpc() -> impl Answers<Script> {
    const STATUS: HeaderName = HeaderName::from_static("grpc-status");
    answering("application/grpc", || Script {
        frame: MESSAGE,
        times: 1,
        last: None,
        trailers: Some(HeaderMap::from_iter([(
            STATUS,
            HeaderValue::from_static("0"),
        )])),
    })
}

fn answering(content_type: &'static str, body: impl Fn() -> Script) -> impl Answers<Script> {
    service_fn(move |_| {
        let mut response = Response::new(body());
        let content_type = HeaderValue::from_static(content_type);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
        std::future::ready(Ok(response))
    })
}

/// A body whose fields are the remaining frames, in order.
#[derive(Debug)]
pub(crate) struct Script {
    frame: &'static [u8],
    times: usize,
    last: Option<&'static [u8]>,
    trailers: Option<HeaderMap>,
}

impl Body for Script {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = |bytes| Frame::data(Bytes::from_static(bytes));
        let frame = if self.times > 0 {
            self.times -= 1;
            Some(data(self.frame))
        } else if let Some(last) = self.last.take() {
            Some(data(last))
        } else {
            self.trailers.take().map(Frame::trailers)
        };
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.times == 0 && self.last.is_none() && self.trailers.is_none()
    }
}
