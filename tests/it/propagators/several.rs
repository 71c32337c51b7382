//! Requests in which several headers show a caller.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId};

use super::formats::{FORMATS, OTHER_NAMES};
use super::inputs::headers;
use super::undeclared::OldNames;
use super::{find, layer, recorder, serve};
use crate::support::{CALLER, TRACE};

/// Inside a span of a caller, as behind an outer layer: the caller is the same for both.
#[test]
fn current_span_stays_the_parent_of_the_caller_that_the_propagator_prefers() {
    let other = TRACE.replace('4', "5");
    let sent = headers(&[
        ("b3", &format!("{other}-00f067aa0ba902b8-1")),
        ("traceparent", &format!("00-{TRACE}-{CALLER}-01")),
    ]);
    let nearer = SpanContext::new(
        TraceId::from_hex(TRACE).expect("a trace id"),
        SpanId::from(7),
        TraceFlags::SAMPLED,
        false,
        opentelemetry::trace::TraceState::NONE,
    );
    for (name, parent, trace) in [
        ("B3, then W3C and baggage", SpanId::from(7), TRACE),
        ("W3C, then B3", SpanId::from(0x00f0_67aa_0ba9_02b8), &other),
    ] {
        let format = FORMATS.iter().find(|format| format.name == name);
        let at = recorder();
        let layer = layer(&at, format.expect("a format"));
        let _around = Context::new()
            .with_remote_span_context(nearer.clone())
            .attach();
        serve(&layer, &sent);
        let span = at.only().0;
        assert_eq!(span.parent_span_id, parent, "{name}");
        assert_eq!(span.span_context.trace_id().to_string(), *trace, "{name}");
    }
}

/// Two names for the same caller: neither alone decides which caller is found.
#[test]
fn headers_that_hide_each_other_are_stripped_at_a_public_endpoint() {
    let caller = format!("00-{TRACE}-{CALLER}-01");
    for other in [caller.clone(), caller.replace("4bf9", "5bf9")] {
        for is_traced in [true, false] {
            let at = recorder();
            let layer = at
                .layer()
                .propagator(OldNames::default())
                .propagate_to_inner(true);
            let layer = layer.public_endpoint(true).filter(move |_| is_traced);
            let sent = [("x-old", &*caller), ("x-older", &other), ("accept", "*/*")];
            let inside = serve(&layer, &headers(&sent)).headers;
            let kept = ["x-old", "x-older", "accept"].map(|name| inside.contains_key(name));
            assert_eq!(kept, [false, false, true], "{other}, traced: {is_traced}");
        }
    }
}

/// Jaeger's baggage is part of the trace state. Here its prefix is the application's, and not declared.
#[test]
fn untrusted_baggage_is_not_added_to_the_spans_trace_state() {
    let format = FORMATS.iter().find(|format| format.name == OTHER_NAMES);
    let format = format.expect("a format");
    let caller = format!("{TRACE}:{CALLER}:0:1");
    for lines in [
        &[("x-ctx-k", "v")][..],
        &[("x-ctx-k", "v"), ("x-trace", &caller)],
    ] {
        for is_public in [true, false] {
            let at = recorder();
            let layer = layer(&at, format).propagate_to_inner(true);
            let sent = headers(&[lines, &[("accept", "*/*")]].concat());
            let inside = serve(&layer.public_endpoint(is_public), &sent).headers;
            let found = find(&(format.create)(), &inside);
            let own = at.only().0.span_context;
            assert_eq!(found.span_id(), own.span_id(), "{lines:?}");
            assert_eq!(
                found.trace_state().header().is_empty(),
                is_public,
                "{lines:?}"
            );
            assert!(inside.contains_key("accept"), "{lines:?}");
        }
    }
}
