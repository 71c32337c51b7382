//! What the tests share: bodies by script, spans as they were exported, polling by hand.

pub mod body;
pub mod client;
pub mod conventions;
pub mod foreign;
pub mod future;
pub mod meters;
pub mod recorder;
pub mod shapes;

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

/// A request without anything special.
pub fn get() -> Request<()> {
    Request::get("/").body(()).expect("a request")
}

/// The trace that [`called`] is in.
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The span that [`called`] comes from.
pub const CALLER: &str = "00f067aa0ba902b7";

/// A request from a caller that is traced, with these trace flags: `01` is sampled.
pub fn called(flags: &str) -> Request<()> {
    Request::get("/")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .body(())
        .expect("a request")
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

/// The handle in a request.
pub fn handle_of<B>(request: &Request<B>) -> SpanHandle {
    SpanHandle::from_extensions(request.extensions())
}

/// Calls `f` in a thread of its own, and panics if that takes too long: a deadlock fails.
pub fn without_deadlock<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = channel();
    let thread = thread::spawn(move || {
        let output = f();
        // Nobody waits any more if that came too late.
        let _ = done.send(());
        output
    });
    match wait.recv_timeout(Duration::from_secs(120)) {
        // Gone without a word: it panicked, and joining says so.
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {}
        Err(RecvTimeoutError::Timeout) => panic!("a deadlock"),
    }
    match thread.join() {
        Ok(output) => output,
        Err(payload) => resume_unwind(payload),
    }
}

/// Panics with something whose destructor panics too. Nothing but [`defused`] may catch it outside
/// of the layer: the test harness would hang.
pub fn explode() -> ! {
    struct Explodes;
    impl Drop for Explodes {
        fn drop(&mut self) {
            panic!("the payload of a panic is dropped");
        }
    }
    panic_any(Explodes)
}

/// Calls `f`, and fails as usual if what [`explode`] throws gets out of it.
pub fn defused<T>(f: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(output) => output,
        Err(payload) if payload.is::<&str>() || payload.is::<String>() => resume_unwind(payload),
        Err(payload) => {
            std::mem::forget(payload);
            panic!("a panic got out");
        }
    }
}
