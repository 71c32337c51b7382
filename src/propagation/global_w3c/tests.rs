//! Which propagators are recognized as the SDK's.

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
