//! Owns an exchange until it ends, and ends it once.

use std::fmt::{self, Display};

use http::response;
use http_body::{Body, Frame};

use crate::catch_panic::catch_panic;
use crate::exchange::frame::body_end;
use crate::exchange::head::BodyHints;
use crate::exchange::state::{Ending, Exchange};
use crate::outcome::{End, Stage};

/// Owns an exchange until it ends. Empty if nothing observes the request, or if the exchange has ended.
///
/// The event that ends the exchange takes it out first, so it ends once. Dropping the guard ends an exchange
/// that is still in it. Boxed, because the guard is moved a dozen times from the service to the body.
#[derive(Default)]
pub(crate) struct ExchangeGuard(Option<Box<Exchange>>);

impl ExchangeGuard {
    pub(super) fn new(exchange: Box<Exchange>) -> Self {
        Self(Some(exchange))
    }

    /// Returns the exchange, if it has not ended.
    #[cfg(feature = "tracing")]
    pub(super) fn exchange(&mut self) -> Option<&mut Exchange> {
        self.0.as_deref_mut()
    }

    /// Calls `f`, which runs code of the inner service. If `f` panics, the exchange ends and the panic
    /// propagates. By then `f` has detached the request's context.
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

    /// Records the head just before it is returned to the server, and adds the response's trace headers. Ends
    /// the exchange if the head completes the message, or if the client has disconnected and receives no head.
    pub(crate) fn receive_head<B: Body>(&mut self, parts: &mut response::Parts, body: &B) {
        let Some(exchange) = &mut self.0 else {
            return;
        };
        exchange.write_trace_headers(&mut parts.headers);
        if exchange.span.is_request_cut_off() {
            // Without the head: its status was never sent.
            return self.end(|exchange| exchange.ending_at(Stage::ReadingRequest));
        }
        // A panic here is not hidden: these methods panic again when the server calls them.
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

    /// Records that the body is about to be polled. Returns whether the guard still has an exchange.
    pub(crate) fn mark_body_polled(&mut self) -> bool {
        if let Some(exchange) = &mut self.0 {
            exchange.mark_body_polled();
        }
        self.0.is_some()
    }

    /// Records a frame, or its absence, just before it is returned to the server. Ends the exchange if that
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
        // A panic of a `Buf` or of `is_end_stream` is not hidden: it panics again when the server calls it.
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
        if let Some(exchange) = self.0.take() {
            exchange.settle(ending);
        }
    }
}

impl Drop for ExchangeGuard {
    fn drop(&mut self) {
        if let Some(exchange) = self.0.take() {
            end_dropped(exchange);
        }
    }
}

/// Ends an exchange that was dropped. Not inlined, because most guards are empty when they are dropped.
#[inline(never)]
fn end_dropped(exchange: Box<Exchange>) {
    exchange.settle(Exchange::ending_on_drop);
}

impl fmt::Debug for ExchangeGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span_context = self.0.as_ref().map(|exchange| exchange.span.span_context());
        f.debug_tuple("ExchangeGuard").field(&span_context).finish()
    }
}
