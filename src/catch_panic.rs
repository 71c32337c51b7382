//! Catches panics of telemetry and of its callbacks, so that they do not fail the request.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Returns what `f` returns, or `None` if it panics.
///
/// It also works while the thread is unwinding. With `panic = "abort"` no panic can be caught.
pub(crate) fn catch_panic<T>(f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            discard(payload);
            None
        }
    }
}

/// Drops a payload that is text, and leaks any other, because its destructor may panic.
///
/// `panic!` makes text. If text were leaked, a client that makes a callback panic would leak memory with each
/// request.
#[cold]
#[inline(never)]
fn discard(payload: Box<dyn Any + Send>) {
    if !payload.is::<&'static str>() && !payload.is::<String>() {
        std::mem::forget(payload);
    }
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
        assert_eq!(
            catch_panic(|| std::panic::panic_any(PanicsInDrop)),
            None::<()>
        );
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
