//! Keeps a panic of telemetry, or of code that only telemetry calls, away from the request.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What `f` returns, or `None` if it panics.
///
/// A payload that is not a text is forgotten, not dropped: its destructor is a stranger's too and may
/// panic again. Works while the thread is unwinding already. With `panic = "abort"` nothing can be
/// contained.
pub(crate) fn catch_panic<T>(f: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(value) => Some(value),
        Err(payload) => {
            forget(payload);
            None
        }
    }
}

// Of "C", since such a function does not unwind: who calls `catch_panic` need not be ready for that, which would
// cost each request some forty instructions.
#[cold]
#[expect(improper_ctypes_definitions, reason = "nobody else calls it")]
extern "C" fn forget(payload: Box<dyn Any + Send>) {
    // What `panic!` gives: a client that makes a hook panic would else take memory for good.
    if !payload.is::<&'static str>() && !payload.is::<String>() {
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Explodes;
    impl Drop for Explodes {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_panic_whose_payload_panics_when_dropped_is_contained() {
        assert_eq!(catch_panic(|| std::panic::panic_any(Explodes)), None::<()>);
    }

    #[test]
    fn a_panic_is_contained_while_unwinding() {
        struct Contains<'a>(&'a mut bool);
        impl Drop for Contains<'_> {
            fn drop(&mut self) {
                *self.0 = catch_panic(|| panic!("inner")).is_none();
            }
        }
        let mut contained = false;
        let unwound = catch_panic(|| {
            let _contains = Contains(&mut contained);
            panic!("outer");
        });
        assert!(unwound.is_none() && contained);
    }
}
