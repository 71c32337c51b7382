//! Every propagator, as it is: the layer finds the caller that a direct `extract` finds, and leaves none of its
//! headers beside its own.

pub(crate) mod formats;
mod inputs;
mod proxies;
mod several;
mod undeclared;

use http::{HeaderMap, Request};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::trace::{Sampler, SpanData};
use tower::Service as _;
use tower_api_span::ApiSpanLayer;

use crate::support::body::ScriptedBody;
use crate::support::recorder::Recorder;
use crate::support::{answering, handle_of, ready, response};
use formats::{Boxed, FORMATS, Format, Given, OTHER_NAMES};
pub(crate) use inputs::headers;
use inputs::{Input, inputs};

/// Returns a recorder that records every span, whatever the caller has decided.
fn recorder() -> Recorder {
    Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOn))
}

pub(crate) fn layer(at: &Recorder, format: &Format) -> ApiSpanLayer {
    // Each wraps the propagator, except that for W3C, whose type the layer detects.
    if format.name == "W3C" {
        return at.layer().propagator(w3c());
    }
    at.layer().propagator(Given((format.create)()))
}

fn w3c() -> opentelemetry_sdk::propagation::TraceContextPropagator {
    opentelemetry_sdk::propagation::TraceContextPropagator::new()
}

/// What the handler gets: the headers, and the current context.
pub(crate) struct Inside {
    pub(crate) headers: HeaderMap,
    pub(crate) context: Context,
}

/// Serves a request with these headers.
pub(crate) fn serve(layer: &ApiSpanLayer, headers: &HeaderMap) -> Inside {
    let mut inside = None;
    let mut service = answering(layer, |request: Request<()>| {
        let context = Context::current();
        let handle = handle_of(&request).context();
        assert_eq!(
            handle.span().span_context(),
            context.span().span_context(),
            "the context of the handle"
        );
        inside = Some(Inside {
            headers: request.headers().clone(),
            context,
        });
        response(200, ScriptedBody::full(0))
    });
    let mut request = Request::new(());
    *request.headers_mut() = headers.clone();
    drop(ready(service.call(request)));
    drop(service);
    inside.expect("the handler is called")
}

/// Returns the caller that a propagator itself finds, or an invalid one.
pub(crate) fn find(propagator: &Boxed, headers: &HeaderMap) -> SpanContext {
    let context = propagator.extract_with_context(&Context::new(), &HeaderExtractor(headers));
    let span = context.span();
    let caller = span.span_context();
    if caller.is_valid() {
        caller.clone()
    } else {
        SpanContext::empty_context()
    }
}

pub(crate) fn entries(context: &Context) -> Vec<String> {
    let entries = context.baggage().iter();
    let mut entries: Vec<_> = entries
        .map(|(key, (value, metadata))| format!("{key}={value};{}", metadata.as_str()))
        .collect();
    entries.sort();
    entries
}

/// Calls `check` with each propagator, and the headers of each caller.
fn for_each(mut check: impl FnMut(&Format, &Input, &str)) {
    let inputs = inputs();
    for format in &FORMATS {
        for input in &inputs {
            let case = format!("{}, headers: {}", format.name, input.name);
            check(format, input, &case);
        }
    }
}

/// Asserts that the span is a child of `caller`, or a root without one.
fn assert_child(span: &SpanData, caller: &SpanContext, case: &str) {
    let own = &span.span_context;
    assert_eq!(span.parent_span_id, caller.span_id(), "{case}");
    assert_eq!(span.parent_span_is_remote, caller.is_valid(), "{case}");
    if caller.is_valid() {
        assert_eq!(own.trace_id(), caller.trace_id(), "{case}");
    }
    assert_eq!(own.trace_state(), caller.trace_state(), "{case}");
    assert_eq!(span.links.iter().count(), 0, "{case}");
}

#[test]
fn caller_is_the_one_that_a_direct_extract_finds() {
    let mut found = 0;
    for_each(|format, input, case| {
        let at = recorder();
        let read = &input.as_the_sdk_should_read;
        let propagator = (format.create)();
        let caller = find(&propagator, read);
        let inside = serve(&layer(&at, format), &input.headers);
        let spans = at.exported();
        assert_eq!(spans.len(), 1, "{case}");
        assert_child(&spans[0], &caller, case);
        let bare = propagator.extract_with_context(&Context::new(), &HeaderExtractor(read));
        assert_eq!(entries(&inside.context), entries(&bare), "{case}");
        assert_eq!(inside.headers, input.headers, "{case}");
        found += usize::from(caller.is_valid());
    });
    assert!(found > 200, "{found} callers were found");
}

#[test]
fn callers_sampled_flag_decides_as_with_a_direct_extract() {
    for_each(|format, input, case| {
        let at = Recorder::new();
        let caller = find(&(format.create)(), &input.as_the_sdk_should_read);
        serve(&layer(&at, format), &input.headers);
        // Without valid ids there is no caller that could decide.
        let is_sampled = caller.is_sampled() || !caller.is_valid();
        assert_eq!(at.exported().len(), usize::from(is_sampled), "{case}");
    });
}

#[test]
fn caller_is_propagated_without_a_tracer_as_a_direct_extract_finds_it() {
    for_each(|format, input, case| {
        let at = Recorder::new();
        let layer = layer(&at, format).filter(|_| false);
        let read = &input.as_the_sdk_should_read;
        let propagator = (format.create)();
        let inside = serve(&layer.propagate_to_inner(true), &input.headers);
        let span = inside.context.span();
        let (found, caller) = (span.span_context(), find(&propagator, read));
        if caller.is_valid() {
            assert_eq!(found, &caller, "{case}");
        } else {
            assert!(!found.is_valid(), "{case}");
        }
        let bare = propagator.extract_with_context(&Context::new(), &HeaderExtractor(read));
        assert_eq!(entries(&inside.context), entries(&bare), "{case}");
        assert_eq!(inside.headers, input.headers, "{case}");
    });
}

#[test]
fn untrusted_caller_is_linked_whatever_its_format() {
    for_each(|format, input, case| {
        let at = Recorder::new();
        let caller = find(&(format.create)(), &input.as_the_sdk_should_read);
        let inside = serve(&layer(&at, format).public_endpoint(true), &input.headers);
        let spans = at.exported();
        assert_eq!(spans.len(), 1, "the caller does not decide: {case}");
        let span = &spans[0];
        assert_eq!(span.parent_span_id, SpanId::INVALID, "{case}");
        assert_eq!(span.span_context.trace_state().header(), "", "{case}");
        let links: Vec<_> = span.links.iter().map(|link| &link.span_context).collect();
        if caller.is_valid() {
            assert_eq!(links, [&caller], "{case}");
        } else {
            assert!(links.is_empty(), "{case}");
        }
        assert_eq!(entries(&inside.context), [""; 0], "{case}");
    });
}

/// Asserts that no propagator finds another caller in the headers than the span `own`, if it is one.
pub(crate) fn assert_only(
    own: Option<&SpanContext>,
    headers: &HeaderMap,
    format: &Format,
    case: &str,
) {
    // A header of the application's own is known only to a layer with the propagator for it.
    let is_known = |reader: &&Format| reader.name != OTHER_NAMES || format.name == OTHER_NAMES;
    for reader in FORMATS.iter().filter(is_known) {
        let found = find(&(reader.create)(), headers);
        let ids = |span: &SpanContext| (span.trace_id(), span.span_id());
        let is_own = own.is_some_and(|own| ids(own) == ids(&found));
        let reader = reader.name;
        let is_only = is_own || !found.is_valid();
        assert!(is_only, "{case}: {reader} finds {found:?} in {headers:?}");
    }
    // Formats whose propagators are not released for this version.
    for name in [
        "x-cloud-trace-context",
        "x-datadog-trace-id",
        "x-datadog-parent-id",
        "uberctx-k",
        "x-b3-parentspanid",
    ] {
        assert!(!headers.contains_key(name), "{case}: {name}");
    }
}

#[test]
fn no_header_of_the_caller_is_left_beside_the_spans() {
    for_each(|format, input, case| {
        for is_public in [false, true] {
            let at = recorder();
            let layer = layer(&at, format).propagate_to_inner(true);
            let inside = serve(&layer.public_endpoint(is_public), &input.headers);
            let spans = at.exported();
            assert_eq!(spans.len(), 1, "{case}");
            let own = &spans[0].span_context;
            let case = format!("{case}, public: {is_public}");
            assert_only(Some(own), &inside.headers, format, &case);
            let found = find(&(format.create)(), &inside.headers);
            assert_eq!(found.span_id(), own.span_id(), "{case}: it finds the span");
            assert_eq!(found.trace_id(), own.trace_id(), "{case}");
            let (baggage, callers) = (inside.headers.get("baggage"), input.headers.get("baggage"));
            assert_eq!(baggage, callers.filter(|_| !is_public), "{case}");
            assert_eq!(inside.headers.get("accept"), input.headers.get("accept"));
        }
    });
}

#[test]
fn no_header_of_an_untrusted_caller_is_left_without_a_span() {
    for_each(|format, input, case| {
        let at = recorder();
        let layer = layer(&at, format).filter(|_| false).public_endpoint(true);
        let inside = serve(&layer.propagate_to_inner(true), &input.headers);
        assert_only(None, &inside.headers, format, case);
        assert!(!inside.headers.contains_key("baggage"), "{case}");
        assert!(!inside.context.span().span_context().is_valid(), "{case}");
        assert_eq!(inside.headers.get("accept"), input.headers.get("accept"));
    });
}

#[test]
fn caller_that_the_rate_does_not_keep_is_propagated_unsampled_whatever_its_format() {
    for_each(|format, input, case| {
        for is_public in [false, true] {
            let at = recorder();
            let layer = layer(&at, format).propagate_to_inner(true).sample_rate(0.0);
            let inside = serve(&layer.public_endpoint(is_public), &input.headers);
            let caller = find(&(format.create)(), &input.as_the_sdk_should_read);
            let is_left_to_the_sampler = caller.is_valid() && !caller.is_sampled() && !is_public;
            assert_eq!(at.starts(), usize::from(is_left_to_the_sampler), "{case}");
            if is_left_to_the_sampler {
                continue;
            }
            let span = inside.context.span();
            let own = span.span_context();
            assert!(own.is_valid() && !own.is_sampled(), "{case}");
            let is_callers = caller.is_valid() && !is_public;
            assert_eq!(own.span_id() == caller.span_id(), is_callers, "{case}");
            assert_only(Some(own), &inside.headers, format, case);
            let found = find(&(format.create)(), &inside.headers);
            assert_eq!(
                found.span_id(),
                own.span_id(),
                "{case}: it finds the context"
            );
            assert!(!found.is_sampled(), "{case}");
        }
    });
}
