//! Propagators that read more than they declare, and contexts that come from elsewhere than the headers.

use std::collections::HashMap;

use http::{Request, Response};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId};
use opentelemetry::{Context, KeyValue};
use opentelemetry_aws::trace::XrayPropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tower::{Service as _, ServiceBuilder, service_fn};

use super::formats::{Boxed, Given, Late, WithoutFields, default_b3};
use super::inputs::headers;
use super::{entries, recorder, serve};
use crate::support::body::ScriptedBody;
use crate::support::future::HandFuture;
use crate::support::recorder::{Recorder, is_server};
use crate::support::{CALLER, TRACE, ready, response};

const B3_SINGLE: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1";

#[test]
fn propagator_that_is_set_behind_a_wrapper_later_is_asked_from_then_on() {
    let at = recorder();
    let late = Late::default();
    let layer = at.layer().propagator(late.clone());
    let (b3, w3c) = (
        headers(&[("b3", B3_SINGLE)]),
        headers(&[("traceparent", &format!("00-{TRACE}-{CALLER}-01"))]),
    );
    let parents = || {
        at.forget();
        serve(&layer, &b3);
        serve(&layer, &w3c);
        let spans = at.exported();
        let parent = |at: usize| spans[at].parent_span_id != SpanId::INVALID;
        [parent(0), parent(1)]
    };
    assert_eq!(parents(), [false, false]);
    late.set(default_b3());
    assert_eq!(parents(), [true, false]);
    late.set(Box::new(TraceContextPropagator::new()));
    assert_eq!(parents(), [false, true]);
}

/// Adds what the process has, whatever the headers are.
#[derive(Debug)]
enum OfProcess {
    Baggage,
    Parent,
}

impl TextMapPropagator for OfProcess {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        match self {
            Self::Baggage => context.with_baggage([KeyValue::new("region", "north")]),
            Self::Parent => context.with_remote_span_context(SpanContext::new(
                TraceId::from_hex(TRACE).expect("a trace id"),
                SpanId::from_hex(CALLER).expect("a span id"),
                TraceFlags::SAMPLED,
                true,
                opentelemetry::trace::TraceState::NONE,
            )),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn context_that_a_propagator_adds_without_a_header_is_used() {
    for sent in [&[][..], &[("accept", "*/*")]] {
        let at = recorder();
        let layer = at.layer().propagator(OfProcess::Baggage);
        let inside = serve(&layer, &headers(sent));
        assert_eq!(entries(&inside.context), ["region=north;"], "{sent:?}");
        assert_eq!(at.only().0.parent_span_id, SpanId::INVALID, "{sent:?}");

        let at = recorder();
        serve(&at.layer().propagator(OfProcess::Parent), &headers(sent));
        assert_eq!(at.only().0.parent_span_id.to_string(), CALLER, "{sent:?}");
    }
}

/// Reads the caller from a header of the application's own, or from another if that is absent. Writes
/// `traceparent`.
#[derive(Debug, Default)]
pub(crate) struct OldNames(TraceContextPropagator);

impl TextMapPropagator for OldNames {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        struct Renamed<'a>(&'a dyn Extractor);
        impl Extractor for Renamed<'_> {
            fn get(&self, key: &str) -> Option<&str> {
                if key != "traceparent" {
                    return None;
                }
                let Self(headers) = self;
                headers.get("x-old").or_else(|| headers.get("x-older"))
            }

            fn keys(&self) -> Vec<&str> {
                Vec::new()
            }
        }
        self.0.extract_with_context(context, &Renamed(extractor))
    }

    fn fields(&self) -> FieldIter<'_> {
        self.0.fields()
    }
}

#[test]
fn header_that_the_propagator_reads_and_does_not_declare_is_stripped_at_a_public_endpoint() {
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let older = caller.replace("4bf9", "5bf9");
    let sent = headers(&[("x-old", &caller), ("x-older", &older), ("accept", "*/*")]);
    let old_names = || OldNames(TraceContextPropagator::new());
    let kept = |is_public: bool, is_traced: bool| {
        let at = recorder();
        let layer = at.layer().propagator(old_names()).propagate_to_inner(true);
        let layer = layer.public_endpoint(is_public).filter(move |_| is_traced);
        let inside = serve(&layer, &sent);
        let names = ["x-old", "x-older", "accept", "traceparent"];
        names.map(|name| inside.headers.contains_key(name))
    };
    assert_eq!(kept(true, true), [false, false, true, true]);
    assert_eq!(kept(true, false), [false, false, true, false]);
    // A trusted caller's other headers are the application's.
    assert_eq!(kept(false, true), [true, true, true, true]);
    assert_eq!(kept(false, false), [true, true, true, false]);
}

/// Reads the caller, and a header of the application: another caller is found only with it.
#[derive(Debug)]
struct Signed(Boxed);

impl TextMapPropagator for Signed {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        self.0.inject_context(context, injector);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let _tenant = extractor
            .get("authorization")
            .or_else(|| extractor.get("host"));
        self.0.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn header_of_the_application_that_a_propagator_reads_stays_at_a_public_endpoint() {
    let old_names = || -> Boxed { Box::new(OldNames(TraceContextPropagator::new())) };
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let application = [("authorization", "Bearer 1"), ("host", "a")];
    for (rule, propagator) in [
        ("found in a header", Signed(old_names())),
        // The caller is found whatever the headers are.
        ("of the process", Signed(Box::new(OfProcess::Parent))),
    ] {
        let at = recorder();
        let layer = at.layer().propagator(propagator).public_endpoint(true);
        let layer = layer.propagate_to_inner(true).filter(|_| false);
        let sent = [&application[..], &[("x-old", &caller)]].concat();
        let inside = serve(&layer, &headers(&sent));
        let is_of_process = rule == "of the process";
        for (name, _) in application {
            assert!(inside.headers.contains_key(name), "{rule}: {name}");
        }
        let is_old_kept = inside.headers.contains_key("x-old");
        assert_eq!(is_old_kept, is_of_process, "{rule}");
    }
}

/// Finds a caller as long as one of the headers `x-part-..` is there.
#[derive(Debug)]
struct Parts;

impl TextMapPropagator for Parts {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let names = extractor.keys();
        let parts = names.iter().filter(|name| name.starts_with("x-part-"));
        let parts: Vec<_> = parts.filter_map(|name| extractor.get(name)).collect();
        if parts.is_empty() {
            return context.clone();
        }
        context.with_remote_span_context(SpanContext::new(
            TraceId::from(parts.iter().map(|part| part.len() as u128).sum::<u128>()),
            SpanId::from(9),
            TraceFlags::SAMPLED,
            true,
            opentelemetry::trace::TraceState::NONE,
        ))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn every_header_by_which_an_untrusted_caller_is_found_is_stripped() {
    // With more than sixteen, the others that the propagator reads are removed, too, if they are behind these in the
    // alphabet.
    for (count, is_last_kept) in [(1, true), (2, true), (16, true), (17, false), (90, false)] {
        let name = |nth| -> &'static str { format!("x-part-{nth}").leak() };
        let names: Vec<_> = (0..count).map(name).collect();
        let mut sent: Vec<_> = names.iter().map(|name| (*name, "1")).collect();
        sent.extend([("authorization", "Bearer 1"), ("zone", "a")]);
        let at = recorder();
        let layer = at.layer().propagator(Parts).public_endpoint(true);
        let layer = layer.propagate_to_inner(true).filter(|_| false);
        let inside = serve(&layer, &headers(&sent));
        for name in &names {
            assert!(!inside.headers.contains_key(*name), "{name} of {count}");
        }
        let kept = ["authorization", "zone"].map(|name| inside.headers.contains_key(name));
        assert_eq!(kept, [true, is_last_kept], "{count}");
    }
}

/// Finds the caller in the last line of a header.
#[derive(Debug)]
struct LastLine;

impl TextMapPropagator for LastLine {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let lines = extractor.get_all("x-old").unwrap_or_default();
        let sent = lines
            .last()
            .map(|line| ("traceparent".to_owned(), (*line).to_owned()));
        let sent: HashMap<_, _> = sent.into_iter().collect();
        TraceContextPropagator::new().extract_with_context(context, &sent)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn an_untrusted_caller_in_a_later_line_of_a_header_is_stripped() {
    let caller = format!("00-{TRACE}-{CALLER}-01");
    let at = recorder();
    let layer = at.layer().propagator(LastLine).public_endpoint(true);
    let layer = layer.propagate_to_inner(true).filter(|_| false);
    let sent = [("x-old", "junk"), ("x-old", &*caller), ("accept", "*/*")];
    let inside = serve(&layer, &headers(&sent));
    assert!(!inside.headers.contains_key("x-old"));
    assert!(inside.headers.contains_key("accept"));
}

/// Finds the same caller in either of two headers.
#[derive(Debug)]
struct Either;

impl TextMapPropagator for Either {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let found = ["x-one", "x-other"].map(|name| extractor.get(name).is_some());
        if found == [false, false] {
            return context.clone();
        }
        OfProcess::Parent.extract_with_context(context, extractor)
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

#[test]
fn an_untrusted_caller_that_is_in_two_headers_is_stripped() {
    let at = recorder();
    let layer = at.layer().propagator(Either).public_endpoint(true);
    let layer = layer.propagate_to_inner(true).filter(|_| false);
    let sent = [("x-one", "1"), ("x-other", "1"), ("accept", "*/*")];
    let inside = serve(&layer, &headers(&sent));
    let kept = sent.map(|(name, _)| inside.headers.contains_key(name));
    assert_eq!(kept, [false, false, true]);
}

#[test]
fn headers_of_a_trusted_caller_stay_if_the_propagator_writes_only_baggage() {
    let at = recorder();
    let baggage: Boxed = Box::new(BaggagePropagator::new());
    let layer = at.layer().propagator(WithoutFields(baggage));
    let sent = headers(&[("b3", B3_SINGLE), ("traceparent", "theirs")]);
    let around = Context::new().with_baggage([KeyValue::new("own", "1")]);
    let _around = around.attach();
    let inside = serve(&layer.propagate_to_inner(true), &sent);
    let expected = [
        ("b3", B3_SINGLE),
        ("traceparent", "theirs"),
        ("baggage", "own=1"),
    ];
    assert_eq!(inside.headers, headers(&expected));
}

/// The load balancers of AWS send a trace id alone. The default sampler drops the spans of a caller that is not
/// sampled, and would take this one for such a caller.
#[test]
fn trace_id_without_a_span_id_is_no_caller() {
    let at = Recorder::new();
    let layer = at.layer().propagator(XrayPropagator::new());
    let sent = headers(&[(
        "x-amzn-trace-id",
        "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736",
    )]);
    serve(&layer, &sent);
    assert_eq!(at.only().0.parent_span_id, SpanId::INVALID);

    // A span that is current around the layer stays the parent.
    at.forget();
    let outer = SpanContext::new(
        TraceId::from(7),
        SpanId::from(9),
        TraceFlags::SAMPLED,
        false,
        opentelemetry::trace::TraceState::NONE,
    );
    let _around = Context::new().with_remote_span_context(outer).attach();
    serve(&layer, &sent);
    let spans = at.exported();
    assert_eq!(spans[0].parent_span_id, SpanId::from(9));
    assert_eq!(spans[0].span_context.trace_id(), TraceId::from(7));
}

#[test]
fn outer_layers_span_stays_current_if_an_inner_layer_reads_the_same_caller_and_has_no_span() {
    let at = Recorder::new();
    let layer = at.layer().propagator(Given(default_b3()));
    let mut service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(layer.filter(|_| false))
        .service(service_fn(|_: Request<()>| {
            Context::map_current(|current| {
                assert!(current.span().is_recording());
                current.span().add_event("handled", Vec::new());
            });
            let response: Response<_> = response(200, ScriptedBody::full(0));
            HandFuture::ready(response)
        }));
    let mut request = Request::new(());
    *request.headers_mut() = headers(&[("b3", B3_SINGLE)]);
    drop(ready(service.call(request)));
    let span = at.only();
    assert_eq!(span.events(), ["api.ARRIVED", "handled", "api.DEPARTED"]);
    assert_eq!(span.0.parent_span_id.to_string(), CALLER);
}

#[test]
fn stacked_layers_nest_their_spans_below_a_caller_in_another_format() {
    let at = Recorder::new();
    let layer = at.layer().propagator(Given(default_b3()));
    let mut service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(layer)
        .service(service_fn(|_: Request<()>| {
            HandFuture::ready(response(200, ScriptedBody::full(0)))
        }));
    let mut request = Request::new(());
    *request.headers_mut() = headers(&[("b3", B3_SINGLE)]);
    drop(ready(service.call(request)));
    let spans: Vec<_> = at.spans().into_iter().filter(is_server).collect();
    let [inner, outer] = &spans[..] else {
        panic!("{} spans, expected two", spans.len());
    };
    assert_eq!(outer.parent_span_id.to_string(), CALLER);
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    assert!(!inner.parent_span_is_remote);
}
