//! `traceparent`, `tracestate` and `baggage`: whose child the request's span is.
//!
//! An input is a byte of settings ([`Settings::of`]), and then lines of headers, the first byte of which
//! chooses the name. Each request goes through four layers: with the stock propagator, which the layer
//! reads for itself; with the same in a wrapper, which it asks; with the same as the global one; and
//! with the one for baggage beside it. All of them must see the same, and what a strict parser sees.

mod layers;
mod strict;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer};
use crate::input::take_byte;
use layers::{ASKED, Asked, HALF, KINDS, LAYERS, NONE, RATES, WITH_BAGGAGE, keeps};
use strict::{Parent, expected};

/// What is current around the layer, if anything is.
const CURRENT_TRACE: u128 = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736;
const CURRENT_SPAN: u64 = 0x00f0_67aa_0ba9_02b7;

/// How the layers are set, and where they stand.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    rate: usize,
    is_public: bool,
    /// A span is current around the layer, sampled or not.
    current: Option<bool>,
}

impl Settings {
    fn of(chosen: u8) -> Self {
        Self {
            rate: usize::from(chosen & 3).min(RATES.len() - 1),
            is_public: chosen & 4 != 0,
            current: (chosen & 8 != 0).then_some(chosen & 16 != 0),
        }
    }
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::of(take_byte(&mut input));
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
        let seen = Seen::of(layer, &headers, settings);
        check(&seen, &headers, expected.as_ref(), settings, kind);
    }
}

/// What the sampler was asked, and what the inner service has.
#[derive(Debug)]
struct Seen {
    asked: Option<Asked>,
    inside: SpanContext,
    baggage: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Seen {
    fn of(layer: &ApiSpanLayer, headers: &HeaderMap, settings: Settings) -> Self {
        let around = settings.current.map_or_else(Context::new, |is_sampled| {
            Context::new().with_remote_span_context(current(is_sampled))
        });
        let mut request = Request::new(());
        *request.headers_mut() = headers.clone();
        ASKED.set(None);
        let mut seen = None;
        let _around = around.attach();
        drop(answer(layer, request, |request| {
            let context = Context::current();
            seen = Some((
                context.span().span_context().clone(),
                baggage_of(&context),
                request.headers().clone(),
            ));
            Response::new(Frames::none())
        }));
        let (inside, baggage, headers) = seen.expect("the service was called");
        Self {
            asked: ASKED.take(),
            inside,
            baggage,
            headers,
        }
    }
}

fn current(is_sampled: bool) -> SpanContext {
    let flags = if is_sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    let (trace_id, span_id) = (TraceId::from(CURRENT_TRACE), SpanId::from(CURRENT_SPAN));
    SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE)
}

fn check(seen: &Seen, headers: &HeaderMap, sent: Option<&Parent>, settings: Settings, kind: usize) {
    let around = settings.current.map(current);
    // A caller in the trace that is current already is farther away than what is current.
    let sent = sent.filter(|sent| around.is_none() || sent.trace_id != CURRENT_TRACE);
    let caller = sent.map(|sent| sent.span_context(strict::state(headers)));
    let parent = match (&caller, settings.is_public) {
        (Some(caller), false) => Some(caller),
        _ => around.as_ref(),
    };
    let link = caller.as_ref().filter(|caller| {
        // It is the current span, as far as its id tells.
        settings.is_public
            && settings.current.map(current).map(|span| span.span_id()) != Some(caller.span_id())
    });
    let is_out = match parent {
        Some(parent) => parent.is_sampled() && !keeps(settings.rate, parent.trace_id()),
        // By chance, where it is neither all nor none.
        None if settings.rate == HALF => seen.asked.is_none(),
        None => settings.rate == NONE,
    };
    let what = format!("{kind} {settings:?} {headers:?} {seen:?}");
    let inside = &seen.inside;
    assert!(
        inside.is_valid() || (is_out && settings.is_public),
        "{what}"
    );
    if is_out {
        assert_eq!(seen.asked, None, "{what}");
        assert!(!inside.is_sampled(), "{what}");
        if let Some(parent) = parent {
            let is_parent = inside.span_id() == parent.span_id();
            assert!(
                is_parent && inside.trace_state() == parent.trace_state(),
                "{what}"
            );
        }
    } else {
        let asked = seen.asked.as_ref().expect("a span has started");
        let of = parent.cloned().unwrap_or(SpanContext::NONE);
        assert_eq!(asked.parent, of, "{what}");
        assert_eq!(
            asked.links.as_slice(),
            link.map_or(&[][..], std::slice::from_ref)
        );
        assert!(
            inside.is_sampled() && inside.span_id() != of.span_id(),
            "{what}"
        );
        assert_eq!(inside.trace_state(), of.trace_state(), "{what}");
    }
    if let Some(parent) = parent {
        assert_eq!(inside.trace_id(), parent.trace_id(), "{what}");
    }
    check_inner(seen, headers, settings, kind);
}

/// What the inner service is told is what it is in, and the caller's baggage is a friend's.
fn check_inner(seen: &Seen, headers: &HeaderMap, settings: Settings, kind: usize) {
    let told = expected(&seen.headers).expect("the inner service is told");
    let state = strict::state(&seen.headers);
    assert!(
        !seen
            .headers
            .get_all("tracestate")
            .iter()
            .any(HeaderValue::is_empty)
    );
    // Of what does not come from afar the headers say that it does.
    let inside = &seen.inside;
    let told = told.span_context(state);
    assert_eq!(
        (
            told.trace_id(),
            told.span_id(),
            told.is_sampled(),
            told.trace_state()
        ),
        (
            inside.trace_id(),
            inside.span_id(),
            inside.is_sampled(),
            inside.trace_state()
        ),
    );
    let lines =
        |headers: &HeaderMap, name| headers.get_all(name).iter().cloned().collect::<Vec<_>>();
    assert_eq!(lines(&seen.headers, "x-other"), lines(headers, "x-other"));
    let baggage = lines(&seen.headers, "baggage");
    if settings.is_public {
        assert!(seen.baggage.is_empty() && baggage.is_empty());
    } else {
        let read = if kind == WITH_BAGGAGE {
            strict::baggage(headers)
        } else {
            Vec::new()
        };
        assert_eq!(seen.baggage, read);
        assert_eq!(baggage, lines(headers, "baggage"));
    }
}

/// Baggage as pairs, sorted.
fn baggage_of(context: &Context) -> Vec<(String, String)> {
    let pairs = context.baggage().iter();
    let mut pairs: Vec<_> = pairs
        .map(|(key, (value, metadata))| (key.to_string(), format!("{value};{}", metadata.as_str())))
        .collect();
    pairs.sort();
    pairs
}
