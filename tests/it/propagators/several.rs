//! Requests in which several headers show a caller.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId};

use super::formats::FORMATS;
use super::inputs::headers;
use super::{layer, recorder, serve};
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
