//! Catches panics of telemetry and of its callbacks, so that they do not fail the request.

// Not `std`: loom replaces that, and its atomics cannot be in a `static`.
use core::sync::atomic::{AtomicBool, Ordering};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use opentelemetry::otel_warn;

/// Returns what `f` returns, or `None` if it panics.
///
/// It also works while the thread is unwinding. With `panic = "abort"` no panic can be caught.
pub(crate) fn catch_panic<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).map_err(discard).ok()
}

/// Reports the first panic of a callback through OpenTelemetry's internal logging.
///
/// Clients may be able to trigger a panic as often as they like, so the others are not reported.
#[derive(Debug)]
pub(crate) struct PanicReport {
    callback: &'static str,
    is_reported: AtomicBool,
}

impl PanicReport {
    /// Makes the report of a callback, named as its user knows it.
    pub(crate) const fn new(callback: &'static str) -> Self {
        Self {
            callback,
            is_reported: AtomicBool::new(false),
        }
    }

    /// Returns what `f` returns, or `None` if it panics. Reports the first panic.
    pub(crate) fn catch<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(f)) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.report(payload);
                None
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn report(&self, payload: Box<dyn Any + Send>) {
        if !self.is_reported.swap(true, Ordering::Relaxed) {
            let text = text_of(&*payload).unwrap_or("a value that is not text");
            // A subscriber of `tracing` may panic, too.
            catch_panic(|| warn(self.callback, text));
        }
        discard(payload);
    }
}

fn warn(callback: &str, text: &str) {
    otel_warn!(
        name: "ApiSpanLayer.CallbackPanicked",
        callback = callback,
        panic = format!("{text:.1024}"),
        message = "A callback panicked, and the request went on without it. Its next panics are not reported."
    );
}

/// Drops a payload that is text, and leaks any other, because its destructor may panic.
///
/// `panic!` makes text. If text were leaked, a client that makes a callback panic would leak memory with each
/// request.
#[cold]
#[inline(never)]
fn discard(payload: Box<dyn Any + Send>) {
    if text_of(&*payload).is_none() {
        std::mem::forget(payload);
    }
}

fn text_of(payload: &(dyn Any + Send)) -> Option<&str> {
    let literal = payload.downcast_ref::<&'static str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsInDrop;
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_caught() {
        let report = PanicReport::new("test");
        for _ in 0..2 {
            assert_eq!(
                catch_panic(|| std::panic::panic_any(PanicsInDrop)),
                None::<()>
            );
            assert_eq!(
                report.catch(|| std::panic::panic_any(PanicsInDrop)),
                None::<()>
            );
        }
    }

    #[test]
    fn a_panic_is_caught_while_unwinding() {
        struct Catches<'a>(&'a mut bool);
        impl Drop for Catches<'_> {
            fn drop(&mut self) {
                *self.0 = catch_panic(|| panic!("inner")).is_none();
            }
        }
        let mut is_caught = false;
        let unwound = catch_panic(|| {
            let _catches = Catches(&mut is_caught);
            panic!("outer");
        });
        assert!(unwound.is_none() && is_caught);
    }
}
