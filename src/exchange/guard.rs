//! Owns an exchange until it ends, and ends it once.

use std::fmt::{self, Display};

use http::response;
use http_body::{Body, Frame};

use crate::catch_panic::catch_panic;
use crate::exchange::frame::body_end;
use crate::exchange::head::BodyHints;
use crate::exchange::state::{Ending, Exchange};
use crate::outcome::End;

/// Owns an exchange until it ends. Empty if the request is not observed, or the exchange has ended.
///
/// Whatever ends an exchange takes it out of here first. So it ends once, and dropping the guard ends what
/// nothing else has ended. Boxed, since it is moved a dozen times on its way from the service to the body.
#[derive(Default)]
pub(crate) struct ExchangeGuard(Option<Box<Exchange>>);

impl ExchangeGuard {
    pub(super) fn new(exchange: Box<Exchange>) -> Self {
        Self(Some(exchange))
    }

    /// Calls `f`, in which code of the inner service runs. If that panics, the exchange ends before the panic
    /// goes on, while nothing of the request's is current any more.
    pub(crate) fn run<R>(&mut self, f: impl FnOnce() -> R) -> R {
        struct EndIfUnwinding<'a>(&'a mut ExchangeGuard);
        impl Drop for EndIfUnwinding<'_> {
            fn drop(&mut self) {
                self.0.end(|_| Ending::now(End::Panicked));
            }
        }
        let guard = EndIfUnwinding(self);
        let returned = f();
        std::mem::forget(guard);
        returned
    }

    /// Records the head that is about to be returned to the server, and adds the headers that return trace
    /// ids to the caller. Ends the exchange if the head completes the message.
    pub(crate) fn receive_head<B: Body>(&mut self, parts: &mut response::Parts, body: &B) {
        let Some(exchange) = &mut self.0 else {
            return;
        };
        exchange.write_trace_headers(&mut parts.headers);
        // If this panics, the server's own question panics again.
        let hints = catch_panic(|| BodyHints {
            is_end_stream: body.is_end_stream(),
            exact_size: body.size_hint().exact(),
        });
        if let Some(end) = exchange.receive_head(parts, hints.unwrap_or_default()) {
            self.end(|exchange| exchange.ending_by_head(end));
        }
    }

    /// Ends the exchange with the error that the inner service returned.
    pub(crate) fn fail<E: Display + 'static>(&mut self, error: &E) {
        self.end(|exchange| {
            let (message, error_type) = exchange.record_error(error);
            Ending::now(End::ServiceError {
                message,
                error_type,
            })
        });
    }

    /// Records that the body is about to be polled. Returns whether there is an exchange that has not ended.
    pub(crate) fn mark_body_polled(&mut self) -> bool {
        if let Some(exchange) = &mut self.0 {
            exchange.mark_body_polled();
        }
        self.0.is_some()
    }

    /// Records a frame, or its absence, that is about to be returned to the server. Ends the exchange if that
    /// makes the end certain.
    pub(crate) fn receive_frame<B>(
        &mut self,
        frame: Option<&Result<Frame<B::Data>, B::Error>>,
        body: &B,
    ) where
        B: Body,
        B::Error: Display + 'static,
    {
        let Some(exchange) = &mut self.0 else {
            return;
        };
        // If a `Buf` or `is_end_stream` panics here, it panics again where the server calls it.
        let end = catch_panic(|| {
            let data = match frame {
                Some(Ok(frame)) => frame.data_ref(),
                Some(Err(_)) | None => None,
            };
            let is_terminator = data.is_some_and(|data| exchange.record_data(data));
            body_end(frame, body, is_terminator)
        });
        if let Some(end) = end.flatten() {
            self.end(|exchange| exchange.ending_by(&end));
        }
    }

    /// Takes the exchange out and ends it, if it has not ended.
    fn end(&mut self, ending: impl FnOnce(&mut Exchange) -> Ending) {
        if let Some(mut exchange) = self.0.take() {
            let ending = ending(&mut exchange);
            exchange.settle(&ending);
        }
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        // Out of line, since most guards that are dropped are empty.
        if let Some(exchange) = self.0.take() {
            end_dropped(exchange);
        }
    }
}

#[inline(never)]
fn end_dropped(mut exchange: Box<Exchange>) {
    let ending = exchange.ending_on_drop();
    exchange.settle(&ending);
}

impl fmt::Debug for ExchangeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span_context = self.0.as_ref().map(|exchange| exchange.span.span_context());
        f.debug_tuple("ExchangeGuard").field(&span_context).finish()
    }
}
