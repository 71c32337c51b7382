//! Sampling by the layer's rate: the API's span and the engine's span are kept or dropped together.

use http::{HeaderMap, HeaderValue, Request};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_http::HeaderInjector;
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample as _};
use tower::Service;
use tower_api_span::ApiSpanLayer;

use super::llm;
use crate::support::body::ScriptedBody;
use crate::support::recorder::{Recorder, w3c};
use crate::support::{CALLER, TRACE, answering, called, get, handle_of, read, ready, response};

/// The trace context and headers that the inner service receives.
struct Inside {
    current: SpanContext,
    child: SpanContext,
    tenant: Option<String>,
    /// The request headers.
    headers: HeaderMap,
    /// The headers after an injection of the current context.
    injected: HeaderMap,
}

/// Serves `request`. The handler starts the engine's span.
fn serve(recorder: &Recorder, layer: &ApiSpanLayer, request: Request<()>) -> Inside {
    let mut inside = None;
    let mut service = answering(layer, |request| {
        let context = Context::current();
        let mut injected = HeaderMap::new();
        w3c().inject_context(&context, &mut HeaderInjector(&mut injected));
        inside = Some(Inside {
            current: context.span().span_context().clone(),
            child: recorder.child("llm_core"),
            tenant: context.baggage().get("tenant").map(ToString::to_string),
            headers: request.headers().clone(),
            injected,
        });
        response(200, ScriptedBody::full(3))
    });
    let body = ready(service.call(request)).expect("a response");
    read(&mut body.into_body()).expect("bytes");
    drop(service);
    inside.expect("the service was called")
}

/// Returns a request from a sampled caller in this trace.
fn called_in_trace(trace_id: TraceId) -> Request<()> {
    let mut request = get();
    let value = format!("00-{trace_id}-{CALLER}-01");
    let value = HeaderValue::from_str(&value).expect("a value");
    request.headers_mut().insert("traceparent", value);
    request
}

/// Returns trace ids spread over the whole range, the same in each run.
fn trace_ids() -> impl Iterator<Item = TraceId> {
    let mixed = |n: u128| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    (1..=1_000).map(move |n| TraceId::from(mixed(n) ^ (mixed(n) >> 64)))
}

#[test]
fn a_request_sampled_out_has_unsampled_children_and_headers() {
    for (case, mut request, has_caller) in [
        ("no caller", get(), false),
        ("a caller", called("01"), true),
        ("a caller with another flag too", called("03"), true),
    ] {
        let recorder = Recorder::new();
        let layer = llm(&recorder).sample_rate(0.0).propagate_to_inner(true);
        let state = HeaderValue::from_static("vendor=1");
        if has_caller {
            request.headers_mut().insert("tracestate", state.clone());
        }
        let tenant = HeaderValue::from_static("tenant=blue");
        request.headers_mut().insert("baggage", tenant);
        let inside = serve(&recorder, &layer, request);
        assert_eq!(
            (recorder.starts(), recorder.exported().len()),
            (0, 0),
            "{case}"
        );

        let Inside { current, child, .. } = &inside;
        assert!(current.is_valid() && !current.is_sampled(), "{case}");
        assert!(!child.is_sampled(), "{case}");
        assert_eq!(child.trace_id(), current.trace_id(), "{case}");
        let is_callers = current.trace_id().to_string() == TRACE;
        assert_eq!(is_callers, has_caller, "{case}");
        if has_caller {
            assert_eq!(current.span_id().to_string(), CALLER, "{case}");
        }
        assert_eq!(inside.tenant.as_deref(), Some("blue"), "{case}");

        let expected = format!("00-{}-{}-00", current.trace_id(), current.span_id());
        for headers in [&inside.headers, &inside.injected] {
            assert_eq!(headers["traceparent"], expected, "{case}");
            assert_eq!(headers["baggage"], "tenant=blue", "{case}");
        }
        let got = inside.headers.get("tracestate");
        assert_eq!(got, has_caller.then_some(&state), "{case}");
    }
}

#[test]
fn requests_sampled_out_without_a_caller_have_distinct_ids() {
    let recorder = Recorder::new();
    let layer = llm(&recorder).sample_rate(0.0);
    let mut ids: Vec<_> = (0..100)
        .map(|_| {
            let ids = serve(&recorder, &layer, get()).current;
            (ids.trace_id(), ids.span_id())
        })
        .collect();
    for is_same in [
        |a: &(TraceId, SpanId), b: &(TraceId, SpanId)| a.0 == b.0,
        |a: &(TraceId, SpanId), b: &(TraceId, SpanId)| a.1 == b.1,
    ] {
        ids.sort_by_key(|ids| (ids.0.to_bytes(), ids.1.to_bytes()));
        ids.dedup_by(|a, b| is_same(a, b));
        assert_eq!(ids.len(), 100);
    }
}

#[test]
fn a_rate_of_one_samples_the_api_span_and_the_engine_span() {
    for request in [get(), called("01")] {
        let recorder = Recorder::new();
        let layer = llm(&recorder).sample_rate(1.0).propagate_to_inner(true);
        let inside = serve(&recorder, &layer, request);
        assert!(inside.current.is_sampled());
        let api = recorder.named("llm_request").span_context;
        let core = recorder.named("llm_core");
        assert_eq!(core.parent_span_id, api.span_id());
        assert_eq!(core.span_context.trace_id(), api.trace_id());
        let expected = format!("00-{}-{}-01", api.trace_id(), api.span_id());
        assert_eq!(inside.headers["traceparent"], expected);
    }
}

#[test]
fn a_rate_between_zero_and_one_keeps_or_drops_both_spans_together() {
    type Engine = fn(&Recorder, &Request<()>);
    let in_process: Engine = |recorder, _| {
        recorder.child("llm_core");
    };
    let over_http: Engine = |recorder, request| {
        // The engine runs in another process, so no context is current.
        let _guard = Context::new().attach();
        let mut forwarded = get();
        *forwarded.headers_mut() = request.headers().clone();
        let layer = recorder.layer().span_name("llm_core");
        let mut engine = answering(&layer, |_| response(200, ScriptedBody::full(3)));
        let body = ready(engine.call(forwarded)).expect("a response");
        read(&mut body.into_body()).expect("bytes");
    };
    for (case, engine) in [("in the process", in_process), ("HTTP", over_http)] {
        for has_caller in [false, true] {
            let recorder = Recorder::new();
            let layer = llm(&recorder).sample_rate(0.3).propagate_to_inner(true);
            let mut service = answering(&layer, |request| {
                engine(&recorder, &request);
                response(200, ScriptedBody::full(3))
            });
            let mut kept = 0;
            for trace_id in trace_ids() {
                let request = if has_caller {
                    called_in_trace(trace_id)
                } else {
                    get()
                };
                let body = ready(service.call(request)).expect("a response");
                read(&mut body.into_body()).expect("bytes");
                let mut names: Vec<_> =
                    recorder.spans().into_iter().map(|span| span.name).collect();
                names.sort_unstable();
                recorder.forget();
                if !names.is_empty() {
                    assert_eq!(names, ["llm_core", "llm_request"], "{case}, {has_caller}");
                    kept += 1;
                }
            }
            assert!((200..=400).contains(&kept), "{case}, {has_caller}: {kept}");
        }
    }
}

#[test]
fn the_rate_samples_the_same_traces_as_the_sdk() {
    for rate in [0.01, 0.3, 0.9] {
        let recorder = Recorder::new();
        let layer = llm(&recorder).sample_rate(rate);
        for trace_id in trace_ids() {
            let sdk = Sampler::TraceIdRatioBased(rate).should_sample(
                None,
                trace_id,
                "",
                &SpanKind::Server,
                &[],
                &[],
            );
            let is_kept = sdk.decision == SamplingDecision::RecordAndSample;
            let inside = serve(&recorder, &layer, called_in_trace(trace_id));
            assert_eq!(inside.current.trace_id(), trace_id);
            assert_eq!(inside.current.is_sampled(), is_kept, "{rate} {trace_id}");
        }
    }
}

#[test]
fn an_unsampled_caller_stays_unsampled_at_any_rate() {
    for rate in [0.0, 0.3, 1.0] {
        let recorder = Recorder::new();
        let layer = llm(&recorder).sample_rate(rate).propagate_to_inner(true);
        let inside = serve(&recorder, &layer, called("00"));
        assert_eq!(recorder.starts(), 0, "{rate}");
        assert!(!inside.current.is_sampled() && !inside.child.is_sampled());
        let traceparent = inside.headers["traceparent"].to_str().expect("text");
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")), "{rate}");
        assert!(traceparent.ends_with("-00"), "{rate}: {traceparent}");
    }
}

#[test]
fn a_filtered_request_and_one_without_a_tracer_keep_the_callers_context() {
    let recorder = Recorder::new();
    let with_rate = || llm(&recorder).sample_rate(0.0).propagate_to_inner(true);
    let no_tracer = || ApiSpanLayer::llm().propagator(w3c()).sample_rate(0.0);
    for (case, layer, is_sampled) in [
        ("filtered", with_rate().filter(|_| false), true),
        ("no tracer", no_tracer().propagate_to_inner(true), true),
        ("sampled out", with_rate().filter(|_| true), false),
    ] {
        let sent = called("01").headers().clone();
        let inside = serve(&recorder, &layer, called("01"));
        assert_eq!(inside.current.is_sampled(), is_sampled, "{case}");
        assert_eq!(inside.child.is_sampled(), is_sampled, "{case}");
        assert_eq!(inside.current.span_id().to_string(), CALLER, "{case}");
        assert_eq!(inside.headers == sent, is_sampled, "{case}");
    }
}

/// A propagation format with one header: `{trace id}/{span id}/{flag}`.
#[derive(Debug)]
struct OneHeader([String; 1]);

impl TextMapPropagator for OneHeader {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        let span = context.span();
        let span = span.span_context();
        let flag = u8::from(span.is_sampled());
        let value = format!("{}/{}/{flag}", span.trace_id(), span.span_id());
        injector.set("x-one", value);
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        let parts: Vec<_> = extractor
            .get("x-one")
            .into_iter()
            .flat_map(|value| value.split('/'))
            .collect();
        let [trace_id, span_id, flag] = parts[..] else {
            return context.clone();
        };
        context.with_remote_span_context(SpanContext::new(
            TraceId::from_hex(trace_id).expect("a trace id"),
            SpanId::from_hex(span_id).expect("a span id"),
            TraceFlags::default().with_sampled(flag == "1"),
            true,
            TraceState::NONE,
        ))
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

#[test]
fn a_caller_with_another_propagation_format_is_sampled_by_the_rate() {
    for (rate, flag, starts) in [(0.0, "1", 0), (0.0, "0", 0), (1.0, "1", 2), (1.0, "0", 0)] {
        let recorder = Recorder::new();
        let layer = llm(&recorder)
            .propagator(OneHeader(["x-one".to_owned()]))
            .sample_rate(rate)
            .propagate_to_inner(true);
        let mut request = get();
        let value = HeaderValue::from_str(&format!("{TRACE}/{CALLER}/{flag}")).expect("a value");
        request.headers_mut().insert("x-one", value);
        let inside = serve(&recorder, &layer, request);
        assert_eq!(recorder.starts(), starts, "{rate} {flag}");
        assert_eq!(inside.current.is_sampled(), starts > 0, "{rate} {flag}");
        assert_eq!(inside.current.trace_id().to_string(), TRACE);
        let current = &inside.current;
        let expected = format!(
            "{TRACE}/{}/{}",
            current.span_id(),
            u8::from(current.is_sampled())
        );
        assert_eq!(inside.headers["x-one"], expected, "{rate} {flag}");
    }
}

#[test]
fn a_request_sampled_out_has_an_inert_handle() {
    let recorder = Recorder::new();
    let mut service = answering(&llm(&recorder).sample_rate(0.0), |request| {
        let handle = handle_of(&request);
        assert!(!handle.is_recording());
        handle.handoff_to_core();
        let context = handle.context();
        let current = Context::current();
        assert_eq!(context.span().span_context(), current.span().span_context());
        response(200, ScriptedBody::full(3))
    });
    ready(service.call(called("01"))).expect("a response");
}
