//! Shared helpers: scripted bodies and services, recorders of exported spans and metrics, polling by
//! hand.

pub mod body;
pub mod bytes_codec;
pub mod client;
pub mod conventions;
pub mod foreign;
pub mod future;
pub mod meters;
pub mod recorder;
pub mod shapes;
pub mod subscriber;

use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::Pin;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::noop_waker_ref;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Service, service_fn};
use tower_api_span::{ApiSpan, ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use body::ScriptedBody;

/// Returns a plain `GET /`.
pub fn get() -> Request<()> {
    Request::get("/").body(()).expect("a request")
}

/// The trace id of the caller in [`called`].
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The span id of the caller in [`called`].
pub const CALLER: &str = "00f067aa0ba902b7";

/// Returns a request with the `traceparent` of a caller and these trace flags: `01` is sampled.
pub fn called(flags: &str) -> Request<()> {
    Request::get("/")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .body(())
        .expect("a request")
}

/// Returns a gRPC request.
pub fn grpc() -> Request<()> {
    Request::post("/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .body(())
        .expect("a request")
}

/// Returns a response with this status and body.
pub fn response(status: u16, body: ScriptedBody) -> Response<ScriptedBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status.try_into().expect("a status");
    response
}

/// Returns a service in `layer` that answers at once with the response of `handler`.
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

/// Polls a future once. Panics if it is pending.
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

/// Polls a body until `None`, an error, trailers, or a frame after which `is_end_stream` is true.
/// Polls again if the body is pending.
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

/// Returns the message of the panic in `f`. Panics if `f` does not.
pub fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("no panic"),
        Err(payload) => match payload.downcast::<&'static str>() {
            Ok(text) => (*text).to_owned(),
            Err(payload) => *payload.downcast::<String>().expect("a text"),
        },
    }
}

/// Returns the handle in a request.
pub fn handle_of<B>(request: &Request<B>) -> SpanHandle {
    SpanHandle::from_extensions(request.extensions())
}

/// Calls `f` in a thread of its own, and panics after 120 seconds, so that a deadlock fails the test.
pub fn without_deadlock<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = channel();
    let thread = thread::spawn(move || {
        let output = f();
        // The receiver is gone if the time was up.
        let _ = done.send(());
        output
    });
    match wait.recv_timeout(Duration::from_secs(120)) {
        // Disconnected: `f` panicked, and `join` returns its payload.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => panic!("a deadlock"),
    }
    match thread.join() {
        Ok(output) => output,
        Err(payload) => resume_unwind(payload),
    }
}

/// Panics with a payload whose destructor panics too. Outside of the layer only [`defused`] may catch
/// it: the test harness would hang.
pub fn explode() -> ! {
    struct Explodes;
    impl Drop for Explodes {
        fn drop(&mut self) {
            panic!("the payload of a panic is dropped");
        }
    }
    panic_any(Explodes)
}

/// Calls `f`, and panics with a message if the payload of [`explode`] escapes from it.
pub fn defused<T>(f: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(output) => output,
        Err(payload) if payload.is::<&str>() || payload.is::<String>() => resume_unwind(payload),
        Err(payload) => {
            std::mem::forget(payload);
            panic!("a panic escaped from the layer");
        }
    }
}
