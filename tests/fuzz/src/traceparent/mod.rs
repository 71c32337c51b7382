//! `traceparent`, `tracestate` and `baggage`: the parent of the span.
//!
//! An input is a byte of settings ([`Settings::from_bits`]), and lines of headers, whose first byte selects
//! the name. Each request goes through four layers: with the SDK's propagator, whose headers the layer
//! parses itself; with the same in a wrapper, which the layer calls; with the same as the global one; and
//! with the baggage propagator beside it. All must extract the parent that a strict parser extracts.

mod layers;
pub mod strict;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer};
use crate::input::take_byte;
use crate::sampler::{SAMPLER_INPUT, SamplerInput};
use layers::{HALF, KINDS, LAYERS, NONE, RATES, WITH_BAGGAGE, is_sampled};
use strict::{Parent, expected};

/// The span that is current around the layer, if there is one.
const CURRENT_TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const CURRENT_SPAN: u64 = 0x00f0_67aa_0ba9_02b7;

/// The settings of the layers, and the context around them.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    rate: usize,
    is_public: bool,
    /// A span is current around the layer, sampled or not.
    current: Option<bool>,
}

impl Settings {
    fn from_bits(bits: u8) -> Self {
        Self {
            rate: usize::from(bits & 3).min(RATES.len() - 1),
            is_public: bits & 4 != 0,
            current: (bits & 8 != 0).then_some(bits & 16 != 0),
        }
    }
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::from_bits(take_byte(&mut input));
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(16) {
        let Some((name, value)) = line.split_first() else {
            continue;
        };
        let name = ["traceparent", "tracestate", "baggage", "x-other"][usize::from(name % 4)];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    let expected = expected(&headers);
    let first = 2 * settings.rate + usize::from(settings.is_public);
    for kind in 0..KINDS {
        let layer = &LAYERS[KINDS * first + kind];
        let observed = Observed::play(layer, &headers, settings);
        check(&observed, &headers, expected.as_ref(), settings, kind);
    }
}

/// The arguments of the sampler, and what the inner service received.
#[derive(Debug)]
struct Observed {
    sampler_input: Option<SamplerInput>,
    current: SpanContext,
    baggage: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Observed {
    fn play(layer: &ApiSpanLayer, headers: &HeaderMap, settings: Settings) -> Self {
        let around = settings.current.map_or_else(Context::new, |is_sampled| {
            Context::new().with_remote_span_context(surrounding(is_sampled))
        });
        let mut request = Request::new(());
        *request.headers_mut() = headers.clone();
        SAMPLER_INPUT.set(None);
        let mut observed = None;
        let _around = around.attach();
        drop(answer(layer, request, |request| {
            let context = Context::current();
            observed = Some((
                context.span().span_context().clone(),
                baggage_pairs(&context),
                request.headers().clone(),
            ));
            Response::new(Frames::none())
        }));
        let (current, baggage, headers) = observed.expect("the service was called");
        Self {
            sampler_input: SAMPLER_INPUT.take(),
            current,
            baggage,
            headers,
        }
    }
}

/// Returns the span that is current around the layer.
pub fn surrounding(is_sampled: bool) -> SpanContext {
    let flags = if is_sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    let (trace_id, span_id) = (TraceId::from(CURRENT_TRACE), SpanId::from(CURRENT_SPAN));
    SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE)
}

fn check(
    observed: &Observed,
    headers: &HeaderMap,
    sent: Option<&Parent>,
    settings: Settings,
    kind: usize,
) {
    let around = settings.current.map(surrounding);
    // The current span is nearer than a caller in the same trace.
    let sent = sent.filter(|sent| around.is_none() || sent.trace_id != CURRENT_TRACE);
    let caller = sent.map(|sent| sent.span_context(strict::state(headers)));
    let parent = match (&caller, settings.is_public) {
        (Some(caller), false) => Some(caller),
        _ => around.as_ref(),
    };
    let link = caller.as_ref().filter(|caller| {
        // A caller with the ids of the current span is that span.
        let around = settings.current.map(surrounding);
        let ids = |span: &SpanContext| (span.trace_id(), span.span_id());
        settings.is_public && around.as_ref().map(ids) != Some(ids(caller))
    });
    let is_out = match parent {
        Some(parent) => parent.is_sampled() && !is_sampled(settings.rate, parent.trace_id()),
        // Random.
        None if settings.rate == HALF => observed.sampler_input.is_none(),
        None => settings.rate == NONE,
    };
    let what = format!("{kind} {settings:?} {headers:?} {observed:?}");
    let current = &observed.current;
    assert!(
        current.is_valid() || (is_out && settings.is_public),
        "{what}"
    );
    if is_out {
        assert_eq!(observed.sampler_input, None, "{what}");
        assert!(!current.is_sampled(), "{what}");
        if let Some(parent) = parent {
            let is_parent = current.span_id() == parent.span_id();
            assert!(
                is_parent && current.trace_state() == parent.trace_state(),
                "{what}"
            );
        }
    } else {
        let input = observed.sampler_input.as_ref();
        let input = input.expect("a span has started");
        let expected = parent.cloned().unwrap_or(SpanContext::NONE);
        assert_eq!(input.parent, expected, "{what}");
        assert_eq!(
            input.links.as_slice(),
            link.map_or(&[][..], std::slice::from_ref)
        );
        assert!(
            current.is_sampled() && current.span_id() != expected.span_id(),
            "{what}"
        );
        assert_eq!(current.trace_state(), expected.trace_state(), "{what}");
    }
    if let Some(parent) = parent {
        assert_eq!(current.trace_id(), parent.trace_id(), "{what}");
    }
    check_inner(observed, headers, settings, kind);
}

/// Checks that the headers of the inner service match its context, and that baggage comes from trusted
/// callers only.
fn check_inner(observed: &Observed, headers: &HeaderMap, settings: Settings, kind: usize) {
    let received = expected(&observed.headers).expect("the inner service has a traceparent");
    let state = strict::state(&observed.headers);
    assert!(
        !observed
            .headers
            .get_all("tracestate")
            .iter()
            .any(HeaderValue::is_empty)
    );
    // From headers every span context is remote: only the rest is compared.
    let current = &observed.current;
    let received = received.span_context(state);
    assert_eq!(
        (
            received.trace_id(),
            received.span_id(),
            received.is_sampled(),
            received.trace_state()
        ),
        (
            current.trace_id(),
            current.span_id(),
            current.is_sampled(),
            current.trace_state()
        ),
    );
    let lines =
        |headers: &HeaderMap, name| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    assert_eq!(
        lines(&observed.headers, "x-other"),
        lines(headers, "x-other")
    );
    let baggage = lines(&observed.headers, "baggage");
    if settings.is_public {
        assert!(observed.baggage.is_empty() && baggage.is_empty());
    } else {
        let read = if kind == WITH_BAGGAGE {
            strict::baggage(headers)
        } else {
            Vec::new()
        };
        assert_eq!(observed.baggage, read);
        assert_eq!(baggage, lines(headers, "baggage"));
    }
}

/// Returns the baggage as sorted pairs.
pub fn baggage_pairs(context: &Context) -> Vec<(String, String)> {
    let pairs = context.baggage().iter();
    let mut pairs: Vec<_> = pairs
        .map(|(key, (value, metadata))| (key.to_string(), format!("{value};{}", metadata.as_str())))
        .collect();
    pairs.sort();
    pairs
}
