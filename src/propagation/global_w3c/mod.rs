//! Recognizes the SDK's W3C propagator as the global one, so that [`extract_w3c`](super::w3c::extract_w3c) can
//! replace it.
//!
//! The API passes the global propagator as `&dyn TextMapPropagator`, and each request looks at it, so that another one
//! takes effect at once. It is the SDK's if it has no state, prints like the SDK's, and answers probes like it. A
//! value without state is defined by its functions, that is, by the vtable of its trait. So the checks are made once for
//! each vtable, and a request compares two addresses. A copy of the SDK's propagator that prints the same is replaced,
//! too. What it does besides, such as counting its calls, is then left out.

// Not `std`: loom replaces that, and its atomics cannot be in a `static`.
use core::sync::atomic::{AtomicUsize, Ordering};
use std::hash::Hasher;

use opentelemetry::propagation::TextMapPropagator;

use crate::catch_panic::catch_panic;
use crate::propagation::w3c::answers_like_w3c;

/// What the checks have found, for the vtables that were seen last; 0 if none was.
#[derive(Debug)]
pub(super) struct Recognition {
    w3c: AtomicUsize,
    other: AtomicUsize,
}

impl Recognition {
    pub(super) const fn new() -> Self {
        Self {
            w3c: AtomicUsize::new(0),
            other: AtomicUsize::new(0),
        }
    }

    /// Whether a propagator is the SDK's for W3C Trace Context.
    #[inline]
    pub(super) fn is_sdks_w3c(&self, propagator: &dyn TextMapPropagator) -> bool {
        if size_of_val(propagator) != 0 {
            return false;
        }
        // Address 0 stands for no vtable.
        let Some(vtable) = vtable_address(propagator).filter(|address| *address != 0) else {
            return false;
        };
        vtable == self.w3c.load(Ordering::Relaxed)
            || vtable != self.other.load(Ordering::Relaxed) && self.check(propagator, vtable)
    }

    #[cold]
    fn check(&self, propagator: &dyn TextMapPropagator, vtable: usize) -> bool {
        let check = || prints_like_sdks(propagator) && answers_like_w3c(propagator);
        let is_w3c = catch_panic(check).unwrap_or(false);
        let seen = if is_w3c { &self.w3c } else { &self.other };
        seen.store(vtable, Ordering::Relaxed);
        is_w3c
    }
}

/// Another version may print otherwise. It is not recognized then, and called.
fn prints_like_sdks(propagator: &dyn TextMapPropagator) -> bool {
    format!("{propagator:?}") == "TraceContextPropagator { _private: () }"
}

/// Returns the address of the vtable. The hash of a wide pointer consists of its two addresses.
fn vtable_address(propagator: &dyn TextMapPropagator) -> Option<usize> {
    /// Keeps the second of two numbers.
    #[derive(Default)]
    struct Second {
        written: usize,
        last: usize,
    }

    impl Hasher for Second {
        fn write_usize(&mut self, number: usize) {
            self.written += 1;
            self.last = number;
        }

        fn write(&mut self, _: &[u8]) {
            // Not an address.
            self.written = usize::MAX / 2;
        }

        fn finish(&self) -> u64 {
            0
        }
    }

    let mut second = Second::default();
    std::ptr::hash(propagator, &mut second);
    (second.written == 2).then_some(second.last)
}

#[cfg(test)]
mod tests;
