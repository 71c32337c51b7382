//! What the tests share: bodies by script, spans as they were exported, polling by hand.

pub mod body;
pub mod recorder;
pub mod shapes;

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpan, ApiSpanLayer};
use tower_layer::Layer as _;

use body::ScriptedBody;

/// A request without anything special.
pub fn get() -> Request<()> {
    Request::get("/").body(()).expect("a request")
}

/// A gRPC request.
pub fn grpc() -> Request<()> {
    Request::post("/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .body(())
        .expect("a request")
}

/// A response of this status with this body.
pub fn response(status: u16, body: ScriptedBody) -> Response<ScriptedBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("a status");
    response
}

/// A service in `layer` that answers with what `handler` returns, at once.
pub fn answering<B, H: FnMut(Request<()>) -> Response<B>>(
    layer: &ApiSpanLayer,
    mut handler: H,
) -> ApiSpan<
    impl Service<
        Request<()>,
        Response = Response<B>,
        Error = Infallible,
        Future = std::future::Ready<Result<Response<B>, Infallible>>,
    > + use<B, H>,
> {
    layer.layer(service_fn(move |request| {
        std::future::ready(Ok(handler(request)))
    }))
}

/// Polls a future once.
pub fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(noop_waker_ref()))
}

/// Polls a future that must be ready.
pub fn ready<F: Future>(future: F) -> F::Output {
    let mut future = std::pin::pin!(future);
    match poll(future.as_mut()) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the future is pending"),
    }
}

/// Polls a body once.
pub fn poll_frame<B: Body + Unpin>(body: &mut B) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(noop_waker_ref()))
}

/// Polls a body to its end as a careful reader does: to `None`, an error, or the frame that says it
/// is the last. Pending counts as nothing.
pub fn read<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Result<Vec<u8>, B::Error> {
    let mut bytes = Vec::new();
    loop {
        match poll_frame(body) {
            Poll::Pending => {}
            Poll::Ready(None) => return Ok(bytes),
            Poll::Ready(Some(Err(error))) => return Err(error),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    bytes.extend_from_slice(data);
                }
                if frame.is_trailers() || body.is_end_stream() {
                    return Ok(bytes);
                }
            }
        }
    }
}

/// The text of the panic that `f` unwinds with.
pub fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("no panic"),
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => *payload.downcast::<String>().expect("a text"),
        },
    }
}
