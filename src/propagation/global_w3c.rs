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
mod tests {
    use std::fmt;
    use std::sync::LazyLock;

    use opentelemetry::Context;
    use opentelemetry::propagation::text_map_propagator::FieldIter;
    use opentelemetry::propagation::{Extractor, Injector};
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

    use super::*;

    /// Prints like the SDK's and calls it, unless a rule says otherwise.
    struct LookAlike<const RULE: u8>;

    /// Like the SDK's in all that is checked.
    const SAME: u8 = 0;
    const PRINTS_ANOTHER_NAME: u8 = 1;
    const READS_ANOTHER_HEADER: u8 = 2;
    const FINDS_NO_CALLER: u8 = 3;
    const WRITES_ONE_FIELD: u8 = 4;
    const PANICS: u8 = 5;

    impl<const RULE: u8> fmt::Debug for LookAlike<RULE> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            if RULE == PRINTS_ANOTHER_NAME {
                return f.write_str("TraceContextPropagator");
            }
            TraceContextPropagator::new().fmt(f)
        }
    }

    impl<const RULE: u8> TextMapPropagator for LookAlike<RULE> {
        fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
            TraceContextPropagator::new().inject_context(context, injector);
        }

        fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
            assert_ne!(RULE, PANICS);
            if RULE == READS_ANOTHER_HEADER {
                let _ = extractor.get("x-tenant");
            }
            if RULE == FINDS_NO_CALLER {
                return context.clone();
            }
            TraceContextPropagator::new().extract_with_context(context, extractor)
        }

        fn fields(&self) -> FieldIter<'_> {
            static FIELDS: LazyLock<[String; 2]> =
                LazyLock::new(|| ["traceparent", "tracestate"].map(str::to_owned));
            let fields = if RULE == WRITES_ONE_FIELD { 1 } else { 2 };
            FieldIter::new(&FIELDS[..fields])
        }
    }

    /// Keeps a number, and is otherwise the SDK's.
    #[derive(Debug)]
    struct WithState(#[expect(dead_code, reason = "state")] u8);

    impl TextMapPropagator for WithState {
        fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

        fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
            TraceContextPropagator::new().extract_with_context(context, extractor)
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&[])
        }
    }

    #[test]
    fn only_a_propagator_that_is_like_the_sdks_in_all_is_recognized() {
        let recognition = Recognition::new();
        let (sdks, baggage) = (TraceContextPropagator::new(), BaggagePropagator::new());
        let propagators: [(&dyn TextMapPropagator, bool); 9] = [
            (&sdks, true),
            (&baggage, false),
            (&LookAlike::<SAME>, true),
            (&LookAlike::<PRINTS_ANOTHER_NAME>, false),
            (&LookAlike::<READS_ANOTHER_HEADER>, false),
            (&LookAlike::<FINDS_NO_CALLER>, false),
            (&LookAlike::<WRITES_ONE_FIELD>, false),
            (&LookAlike::<PANICS>, false),
            (&WithState(7), false),
        ];
        // In turn, as if each replaced the one before, and repeatedly.
        for (at, (propagator, expected)) in propagators.iter().enumerate() {
            for _ in 0..3 {
                assert_eq!(recognition.is_sdks_w3c(*propagator), *expected, "{at}");
                assert!(recognition.is_sdks_w3c(&sdks), "{at}");
            }
        }
    }

    #[test]
    fn the_checks_are_made_once_in_a_row() {
        static CALLS: AtomicUsize = AtomicUsize::new(0);

        /// Is the SDK's, but counts how often it is called.
        struct Counting;

        impl fmt::Debug for Counting {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                CALLS.fetch_add(1, Ordering::Relaxed);
                TraceContextPropagator::new().fmt(f)
            }
        }

        impl TextMapPropagator for Counting {
            fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

            fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
                CALLS.fetch_add(1, Ordering::Relaxed);
                context.clone()
            }

            fn fields(&self) -> FieldIter<'_> {
                CALLS.fetch_add(1, Ordering::Relaxed);
                FieldIter::new(&[])
            }
        }

        let recognition = Recognition::new();
        let calls = || CALLS.load(Ordering::Relaxed);
        assert!(!recognition.is_sdks_w3c(&Counting));
        let of_the_checks = calls();
        assert!(of_the_checks > 0);
        for _ in 0..3 {
            assert!(!recognition.is_sdks_w3c(&Counting));
            // Another that is recognized does not displace it.
            assert!(recognition.is_sdks_w3c(&TraceContextPropagator::new()));
        }
        assert_eq!(calls(), of_the_checks);
    }
}
