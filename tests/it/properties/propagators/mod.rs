//! Every released propagator, for any header lines, settings and surrounding context: the layer finds the caller that a
//! direct `extract` finds. An untrusted one is linked, and none of its headers is left inside.

mod lines;
mod strict;

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::trace::{Sampler, SpanData};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::callers::surroundings;
use super::config;
use crate::propagators::formats::{FORMATS, Format};
use crate::propagators::{Inside, assert_only, entries, find, layer, serve};
use crate::support::recorder::Recorder;
use lines::{Line, lines};

/// Whether there is a span.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Traces {
    /// Each request has one, whatever the caller has decided.
    Recorded,
    /// The layer's own rate is 0.
    SampledOut,
    Filtered,
}

/// A request, the settings of the layer, and the context around it.
#[derive(Clone, Debug)]
struct Input {
    /// Among those of the module `propagators`.
    format: usize,
    lines: Vec<Line>,
    traces: Traces,
    is_public: bool,
    /// `propagate_to_inner`.
    rewrites_headers: bool,
    /// Trace id, span id and sampled flag of the span that is current around the layer.
    around: Option<(u128, u64, bool)>,
    /// Baggage is current around the layer.
    has_own_baggage: bool,
}

fn inputs() -> impl Strategy<Value = Input> {
    let traces = select(vec![
        Traces::Recorded,
        Traces::Recorded,
        Traces::SampledOut,
        Traces::Filtered,
    ]);
    // In a trace of its own, or in that of some callers.
    let around = select(vec![
        (0x66, 0x88, true),
        (0x77, 0x88, true),
        (0x77, 0xb7, false),
    ]);
    (
        0..FORMATS.len(),
        lines(),
        traces,
        any::<[bool; 3]>(),
        option::weighted(0.4, around),
    )
        .prop_map(|(format, lines, traces, flags, around)| Input {
            format,
            lines,
            traces,
            is_public: flags[0],
            rewrites_headers: flags[1],
            around,
            has_own_baggage: flags[2],
        })
}

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn layer_finds_the_caller_of_a_direct_extract_and_trusts_it_only_if_it_may(input in inputs()) {
        play(&input);
    }
}

/// What a request must come to.
struct Expected<'a> {
    input: &'a Input,
    format: &'a Format,
    sent: HeaderMap,
    around: Context,
    /// The nearest span outside that is trusted, or an invalid one.
    parent: SpanContext,
    link: Option<SpanContext>,
    baggage: Vec<String>,
}

impl<'a> Expected<'a> {
    fn new(input: &'a Input) -> Self {
        let format = &FORMATS[input.format];
        let propagator = (format.create)();
        let read = strict::as_the_sdk_should_read(&input.lines);
        let around = input.surroundings();
        let caller = find(&propagator, &read);
        let current = around.span().span_context().clone();
        let is_new = caller.is_valid() && caller.trace_id() != current.trace_id();
        let is_trusted = is_new && !input.is_public;
        let extracted = propagator.extract_with_context(&around, &HeaderExtractor(&read));
        Self {
            input,
            format,
            sent: strict::sent(&input.lines),
            parent: if is_trusted { caller.clone() } else { current },
            link: Some(caller).filter(|_| is_new && input.is_public),
            baggage: entries(if input.is_public { &around } else { &extracted }),
            around,
        }
    }

    /// Whether the request has a span: the sampler decides about unsampled callers.
    fn has_span(&self) -> bool {
        match self.input.traces {
            Traces::Recorded => true,
            Traces::SampledOut => self.parent.is_valid() && !self.parent.is_sampled(),
            Traces::Filtered => false,
        }
    }

    fn check_span(&self, span: &SpanData, inside: &SpanContext) {
        assert_eq!(&span.span_context, inside, "the current span");
        assert_eq!(span.parent_span_id, self.parent.span_id(), "the parent");
        if self.parent.is_valid() {
            assert_eq!(inside.trace_id(), self.parent.trace_id());
        }
        assert_eq!(inside.trace_state(), self.parent.trace_state());
        let links: Vec<_> = span.links.iter().map(|link| &link.span_context).collect();
        assert_eq!(links, Vec::from_iter(&self.link), "the links");
    }

    /// Checks the context of a request without a span.
    fn check_without_span(&self, inside: &SpanContext) {
        let is_sampled_out = self.input.traces == Traces::SampledOut;
        if self.parent.is_valid() {
            assert_eq!(inside.trace_id(), self.parent.trace_id());
            assert_eq!(inside.span_id(), self.parent.span_id());
            let is_sampled = self.parent.is_sampled() && !is_sampled_out;
            assert_eq!(inside.is_sampled(), is_sampled);
        } else {
            // A trace that is not sampled begins.
            assert_eq!(inside.is_valid(), is_sampled_out);
            assert!(!inside.is_sampled());
        }
    }

    /// Whether the propagator itself reads the span that it writes beside the headers that were sent. Jaeger's does not
    /// if one with its prefix for baggage has a value that a trace state cannot have.
    fn is_read_beside_what_was_sent(&self, own: &SpanContext) -> bool {
        let propagator = (self.format.create)();
        let mut headers = self.sent.clone();
        let context = Context::new().with_remote_span_context(own.clone());
        propagator.inject_context(&context, &mut HeaderInjector(&mut headers));
        find(&propagator, &headers).is_valid()
    }

    fn check_headers(&self, inside: &Inside) {
        let (sent, found) = (&self.sent, &inside.headers);
        let is_written = self.has_span() || self.input.traces == Traces::SampledOut;
        let is_public = self.input.is_public;
        if !self.input.rewrites_headers || (!is_written && !is_public) {
            assert_eq!(found, sent, "the headers");
            return;
        }
        assert_eq!(found.get("accept"), sent.get("accept"));
        let span = inside.context.span();
        let own = span.span_context();
        let known = Some(own).filter(|_| is_written);
        assert_only(known, found, self.format, "any headers");
        if is_written && self.is_read_beside_what_was_sent(own) {
            let written = find(&(self.format.create)(), found);
            assert_eq!(written.trace_id(), own.trace_id(), "the trace written");
            assert_eq!(written.span_id(), own.span_id(), "the span written");
            // B3 can leave the decision to others, whatever the span's is.
            assert!(own.is_sampled() || !written.is_sampled());
        }
        let lines = |headers: &HeaderMap| headers.get_all("baggage").iter().cloned().collect();
        let mut baggage: Vec<_> = lines(sent);
        if is_public {
            baggage.clear();
        }
        if baggage.is_empty() && is_written {
            let mut injected = HeaderMap::new();
            let mut injector = HeaderInjector(&mut injected);
            (self.format.create)().inject_context(&self.around, &mut injector);
            baggage = lines(&injected);
        }
        assert_eq!(lines(found), baggage, "the lines of baggage");
    }
}

fn play(input: &Input) {
    let expected = Expected::new(input);
    let at = Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOn));
    let layer = layer(&at, expected.format)
        .public_endpoint(input.is_public)
        .propagate_to_inner(input.rewrites_headers);
    let layer = match input.traces {
        Traces::Recorded => layer,
        Traces::SampledOut => layer.sample_rate(0.0),
        Traces::Filtered => layer.filter(|_| false),
    };
    let inside = {
        let _around = expected.around.clone().attach();
        serve(&layer, &expected.sent)
    };
    let span = inside.context.span();
    let exported = at.exported();
    if expected.has_span() {
        assert_eq!(exported.len(), 1, "the span");
        expected.check_span(&exported[0], span.span_context());
    } else {
        assert_eq!(exported, []);
        expected.check_without_span(span.span_context());
    }
    assert_eq!(at.starts(), at.ends());
    assert_eq!(entries(&inside.context), expected.baggage, "the baggage");
    expected.check_headers(&inside);
}

impl Input {
    fn surroundings(&self) -> Context {
        surroundings(self.around, self.has_own_baggage)
    }
}
