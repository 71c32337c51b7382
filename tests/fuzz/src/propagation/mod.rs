//! Propagators of every format: the caller that they find, and the headers that are left to the inner service.
//!
//! An input is two bytes of settings ([`Settings::take`]), and lines of headers, whose first byte selects the name.
//! The request goes through one layer. It must find the caller that its propagator extracts itself, and the current
//! span stays the parent of a caller in its own trace. The inner service must get exactly the headers of its context
//! and of the application. An untrusted caller is linked, and no propagator finds anything of it in these headers.

mod headers;
mod renamed;

use std::sync::LazyLock;

use http::{HeaderMap, Request, Response};
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer};
use crate::formats::{Boxed, FORMATS, Given, OTHER_NAMES};
use crate::input::take_byte;
use crate::sampler::{SAMPLER_INPUT, SamplerInput, observed_provider};
use crate::traceparent::{baggage_pairs, surrounding};
use renamed::Renamed;

static PROVIDER: LazyLock<SdkTracerProvider> = LazyLock::new(observed_provider);

/// The propagator of a layer, as far as the rules differ.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// It reads no other headers than those that every layer knows.
    Known,
    /// It is given without a wrapper.
    W3c,
    /// The application has chosen the name of its header, which it declares, and a prefix, which it does not.
    OtherNames,
    Renamed,
}

/// The settings of the layer, and the context around it.
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
#[derive(Clone, Copy, Debug)]
struct Settings {
    kind: Kind,
    name: &'static str,
    create: fn() -> Boxed,
    is_public: bool,
    is_propagated: bool,
    is_traced: bool,
    /// The sampling rate is 0.
    is_sampled_out: bool,
    /// A span is current around the layer, sampled or not.
    current: Option<bool>,
    has_baggage: bool,
}

impl Settings {
    /// The first byte selects the propagator: 0 is [`Renamed`], and [`FORMATS`] follow. The second has a bit for each
    /// setting.
    fn take(input: &mut &[u8]) -> Self {
        let format = usize::from(take_byte(input) % 32).min(FORMATS.len());
        let (name, create): (_, fn() -> Boxed) = match format.checked_sub(1) {
            Some(format) => (FORMATS[format].name, FORMATS[format].create),
            None => ("renamed", || Box::new(Renamed::default())),
        };
        let kind = match name {
            "renamed" => Kind::Renamed,
            OTHER_NAMES => Kind::OtherNames,
            "W3C" => Kind::W3c,
            _ => Kind::Known,
        };
        let bits = take_byte(input);
        let is_traced = bits & 4 == 0;
        Self {
            kind,
            name,
            create,
            is_public: bits & 1 != 0,
            is_propagated: bits & 2 != 0,
            is_traced,
            is_sampled_out: is_traced && bits & 8 != 0,
            current: (bits & 16 != 0).then_some(bits & 32 != 0),
            has_baggage: bits & 64 != 0,
        }
    }

    fn layer(self) -> ApiSpanLayer {
        let layer = ApiSpanLayer::new()
            .tracer_provider(&*PROVIDER)
            .public_endpoint(self.is_public)
            .propagate_to_inner(self.is_propagated)
            .sample_rate(if self.is_sampled_out { 0.0 } else { 1.0 })
            .filter(move |_| self.is_traced);
        if self.kind == Kind::W3c {
            layer.propagator(TraceContextPropagator::new())
        } else {
            layer.propagator(self.propagator())
        }
    }

    fn propagator(self) -> Given {
        Given((self.create)())
    }

    fn around(self) -> Context {
        let around = Context::new();
        let around = match self.current {
            Some(is_sampled) => around.with_remote_span_context(surrounding(is_sampled)),
            None => around,
        };
        if self.has_baggage {
            around.with_baggage([KeyValue::new("own", "1")])
        } else {
            around
        }
    }
}

/// What the sampler and the inner service get.
#[derive(Debug)]
struct Observed {
    sampler_input: Option<SamplerInput>,
    context: Context,
    headers: HeaderMap,
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::take(&mut input);
    let headers = headers::parse(input);
    let observed = play(settings, &headers);
    let what = format!("{settings:?} {headers:?} {observed:?}");
    let is_own = check_context(&observed, &headers, settings, &what);
    check_headers(&observed, &headers, is_own, settings, &what);
}

fn play(settings: Settings, headers: &HeaderMap) -> Observed {
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    SAMPLER_INPUT.set(None);
    let mut inside = None;
    let _around = settings.around().attach();
    drop(answer(&settings.layer(), request, |request| {
        inside = Some((Context::current(), request.headers().clone()));
        Response::new(Frames::none())
    }));
    let (context, headers) = inside.expect("the service was called");
    Observed {
        sampler_input: SAMPLER_INPUT.take(),
        context,
        headers,
    }
}

/// Returns the valid caller that a propagator finds.
fn find(propagator: &dyn TextMapPropagator, headers: &HeaderMap) -> Option<SpanContext> {
    let found = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let found = found.span().span_context().clone();
    found.is_valid().then_some(found)
}

/// Checks parent, link and context. Returns whether the request has a context of its own: that of its span, or one
/// that is sampled out.
fn check_context(observed: &Observed, headers: &HeaderMap, settings: Settings, what: &str) -> bool {
    let propagator = settings.propagator();
    let read = headers::as_the_sdk_should_read(headers);
    let around = settings.current.map(surrounding);
    // The current span is nearer than a caller in the same trace.
    let is_nearer = |caller: &SpanContext| {
        let mut around = around.iter();
        around.any(|around| around.trace_id() == caller.trace_id())
    };
    let caller = find(&propagator, &read).filter(|caller| !is_nearer(caller));
    let trusted = caller.clone().filter(|_| !settings.is_public);
    let parent = trusted.or(around.clone());
    let linked = caller.filter(|_| settings.is_public);

    let is_out = settings.is_sampled_out && parent.as_ref().is_none_or(SpanContext::is_sampled);
    let starts = settings.is_traced && !is_out;
    let expected = starts.then(|| SamplerInput {
        parent: parent.clone().unwrap_or(SpanContext::NONE),
        links: linked.into_iter().collect(),
    });
    assert_eq!(observed.sampler_input, expected, "{what}");
    check_current(observed, parent.as_ref(), (starts, is_out), what);

    let expected = if settings.is_public {
        settings.around()
    } else {
        propagator.extract_with_context(&settings.around(), &HeaderExtractor(&read))
    };
    let baggage = baggage_pairs(&observed.context);
    assert_eq!(baggage, baggage_pairs(&expected), "{what}");
    starts || is_out
}

/// Checks the span in the context of the inner service, by whether a span starts or is sampled out.
fn check_current(
    observed: &Observed,
    parent: Option<&SpanContext>,
    (starts, is_out): (bool, bool),
    what: &str,
) {
    let span = observed.context.span();
    let current = span.span_context();
    let none = SpanContext::NONE;
    let parent = parent.unwrap_or(&none);
    if !starts && !is_out {
        assert_eq!(current, parent, "{what}");
        return;
    }
    assert!(current.is_valid(), "{what}");
    assert_eq!(current.is_sampled(), starts, "{what}");
    assert_eq!(current.trace_state(), parent.trace_state(), "{what}");
    if parent.is_valid() {
        assert_eq!(current.trace_id(), parent.trace_id(), "{what}");
        assert_eq!(current.span_id() == parent.span_id(), is_out, "{what}");
    }
}

/// Checks the headers of the inner service.
fn check_headers(
    observed: &Observed,
    headers: &HeaderMap,
    is_own: bool,
    settings: Settings,
    what: &str,
) {
    let propagator = settings.propagator();
    let written = is_own.then(|| headers::injected(&propagator, &observed.context));
    let mut expected = headers::expected(headers, written.clone(), &settings);
    if !settings.is_propagated {
        assert_eq!(observed.headers, expected, "{what}");
        return;
    }
    let mut received = observed.headers.clone();
    headers::remove_undeclared(&mut received, &settings);
    headers::remove_undeclared(&mut expected, &settings);
    assert_eq!(received, expected, "{what}");
    if settings.is_public {
        // Of all that is left, each propagator reads only what the layer has written.
        let written = written.unwrap_or_default();
        let others = FORMATS.iter().filter(|format| format.name != OTHER_NAMES);
        let others = others.map(|format| (format.name, Given((format.create)())));
        for (name, reader) in others.chain([(settings.name, propagator)]) {
            let found = find(&reader, &observed.headers);
            assert_eq!(found, find(&reader, &written), "{name}: {what}");
        }
    }
}
