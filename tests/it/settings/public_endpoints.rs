//! Public endpoints: an untrusted caller is only linked, and its baggage and headers are dropped.

use http::{HeaderMap, Request, request};
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Sampler;
use tower::{Service as _, ServiceBuilder, service_fn};
use tower_api_span::ApiSpanLayer;

use super::serve;
use crate::support::body::ScriptedBody;
use crate::support::future::HandFuture;
use crate::support::recorder::{Recorder, Seen, is_server, w3c};
use crate::support::{CALLER, TRACE, called, get, handle_of, ready, response};

/// Returns a request with `traceparent`, `tracestate` and `baggage` of a caller.
fn request_of_caller(flags: &str) -> Request<()> {
    let mut request = called(flags);
    let headers = request.headers_mut();
    headers.insert("tracestate", "evil=1".parse().expect("a value"));
    headers.insert("baggage", "user=admin".parse().expect("a value"));
    request
}

/// Asserts that the span is a root of its own trace, with the caller as its only link.
fn assert_linked(span: &Seen, is_sampled: bool, case: &str) {
    assert_root(span, case);
    let links: Vec<_> = span.0.links.iter().collect();
    let [link] = links[..] else {
        panic!("{case}: {} links", links.len());
    };
    let caller = &link.span_context;
    assert_eq!(caller.trace_id().to_string(), TRACE, "{case}");
    assert_eq!(caller.span_id().to_string(), CALLER, "{case}");
    assert_eq!(caller.is_sampled(), is_sampled, "{case}");
    assert!(caller.is_remote(), "{case}");
    assert!(link.attributes.is_empty(), "{case}");
}

fn assert_root(span: &Seen, case: &str) {
    assert_eq!(span.0.parent_span_id, SpanId::INVALID, "{case}");
    assert!(!span.0.parent_span_is_remote, "{case}");
    let own = &span.0.span_context;
    assert_ne!(own.trace_id().to_string(), TRACE, "{case}");
    assert_eq!(own.trace_state().header(), "", "{case}");
}

/// Asserts that the span is a child of the caller.
fn assert_child(span: &Seen, case: &str) {
    assert_eq!(span.0.parent_span_id.to_string(), CALLER, "{case}");
    assert!(span.0.parent_span_is_remote, "{case}");
    let trace = span.0.span_context.trace_id().to_string();
    assert_eq!(trace, TRACE, "{case}");
    assert_eq!(span.0.links.iter().count(), 0, "{case}");
}

fn baggage_entries(context: &Context) -> Vec<String> {
    let all = context.baggage().iter();
    all.map(|(key, (value, _))| format!("{key}={value}"))
        .collect()
}

#[test]
fn untrusted_caller_gives_a_root_span_with_a_link() {
    // The caller's sampled flag has no effect.
    for (flags, is_sampled) in [("01", true), ("00", false)] {
        let at = Recorder::with(|builder| {
            builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        });
        serve(
            &at.layer().public_endpoint(true),
            request_of_caller(flags),
            |_| {},
        );
        let span = at.only();
        assert_linked(&span, is_sampled, flags);
        assert!(span.0.span_context.is_sampled(), "{flags}");
    }
}

#[test]
fn untrusted_caller_does_not_decide_sampling() {
    let at = Recorder::with(|builder| {
        builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
    });
    for (is_public, ends) in [(true, 0), (false, 1)] {
        serve(
            &at.layer().public_endpoint(is_public),
            request_of_caller("01"),
            |_| {},
        );
        assert_eq!(at.exported().len(), ends);
    }
}

#[test]
fn request_without_a_caller_has_no_link() {
    for (case, traceparent) in [
        ("no caller", None),
        ("malformed", Some("00-1-2-01")),
        (
            "zero ids",
            Some("00-00000000000000000000000000000000-0000000000000000-01"),
        ),
    ] {
        let at = Recorder::new();
        let mut request = get();
        if let Some(traceparent) = traceparent {
            let value = traceparent.parse().expect("a value");
            request.headers_mut().insert("traceparent", value);
        }
        serve(&at.layer().public_endpoint(true), request, |_| {});
        let span = at.only();
        assert_root(&span, case);
        assert_eq!(span.0.links.iter().count(), 0, "{case}");
    }
}

#[test]
fn untrusted_baggage_does_not_reach_the_handler() {
    for (is_public, expected) in [(true, &[][..]), (false, &["user=admin"])] {
        let at = Recorder::new();
        serve(
            &at.layer().public_endpoint(is_public),
            request_of_caller("01"),
            |request| {
                for context in [Context::current(), handle_of(request).context()] {
                    assert_eq!(baggage_entries(&context), expected);
                    assert!(context.has_active_span());
                }
            },
        );
        assert_eq!(at.ends(), 1);
    }
}

/// Returns `traceparent`, `tracestate` and `baggage` of the request that the handler receives.
fn trace_headers(headers: &HeaderMap) -> [Option<String>; 3] {
    ["traceparent", "tracestate", "baggage"].map(|name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().expect("a text"));
        assert_eq!(values.next(), None, "{name} appears twice");
        value.map(str::to_owned)
    })
}

#[test]
fn headers_are_unchanged_unless_they_are_rewritten() {
    let at = Recorder::new();
    let layer = at.layer().public_endpoint(true);
    serve(&layer, request_of_caller("01"), |request| {
        assert_eq!(request.headers(), request_of_caller("01").headers());
    });
    at.forget();

    let mut got = [const { None }; 3];
    serve(
        &layer.propagate_to_inner(true),
        request_of_caller("01"),
        |request| {
            got = trace_headers(request.headers());
        },
    );
    let spans = at.exported();
    let span = &spans[0].span_context;
    let own = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(got, [Some(own), None, None]);
}

#[test]
fn untrusted_headers_are_stripped_without_a_span() {
    let at = Recorder::new();
    let layer = at.layer().public_endpoint(true);
    let off = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .public_endpoint(true);
    for (rule, layer) in [("filtered", layer.filter(|_| false)), ("no tracer", off)] {
        let mut got = [const { None }; 3];
        serve(&layer.clone(), request_of_caller("01"), |request| {
            got = trace_headers(request.headers());
        });
        assert!(got.iter().all(Option::is_some), "{rule}: unchanged");
        serve(
            &layer.propagate_to_inner(true),
            request_of_caller("01"),
            |request| {
                got = trace_headers(request.headers());
            },
        );
        assert_eq!(got, [None, None, None], "{rule}");
    }
    assert_eq!(at.starts(), 0);
}

#[test]
fn trusted_baggage_is_kept_in_rewritten_headers() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .propagate_to_inner(true)
        .public_endpoint_fn(|_| false);
    serve(&layer, request_of_caller("01"), |request| {
        let [traceparent, tracestate, baggage] = trace_headers(request.headers());
        let traceparent = traceparent.expect("a traceparent");
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")));
        assert!(!traceparent.contains(CALLER));
        assert_eq!(tracestate.as_deref(), Some("evil=1"));
        assert_eq!(baggage.as_deref(), Some("user=admin"));
    });
    assert_child(&at.only(), "a trusted caller");
}

#[test]
fn context_around_the_layer_stays_the_parent() {
    let at = Recorder::new();
    let outer = SpanContext::new(
        TraceId::from(7),
        SpanId::from(9),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let around = Context::new()
        .with_remote_span_context(outer.clone())
        .with_baggage([KeyValue::new("own", "1")]);
    let _around = around.attach();
    let layer = at.layer().public_endpoint(true).propagate_to_inner(true);
    serve(&layer, request_of_caller("01"), |request| {
        assert_eq!(baggage_entries(&Context::current()), ["own=1"]);
        let [traceparent, _, baggage] = trace_headers(request.headers());
        let trace = format!("00-{}-", outer.trace_id());
        assert!(traceparent.is_some_and(|own| own.starts_with(&trace)));
        assert_eq!(baggage.as_deref(), Some("own=1"));
    });
    let span = at.only();
    assert_eq!(span.0.parent_span_id, outer.span_id());
    assert_eq!(span.0.span_context.trace_id(), outer.trace_id());
    let links: Vec<_> = span.0.links.iter().collect();
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].span_context.span_id().to_string(), CALLER);
}

/// Trace id and span id identify a span. A span id alone may be there twice.
#[test]
fn untrusted_caller_with_the_span_id_of_the_span_around_the_layer_is_linked() {
    let at = Recorder::new();
    let around = SpanContext::new(
        TraceId::from(7),
        SpanId::from_hex(CALLER).expect("a span id"),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    );
    let _around = Context::new().with_remote_span_context(around).attach();
    serve(&at.layer().public_endpoint(true), called("01"), |_| {});
    let span = at.only();
    assert_eq!(span.0.span_context.trace_id(), TraceId::from(7));
    let links: Vec<_> = span.0.links.iter().collect();
    let [link] = links[..] else {
        panic!("{} links", links.len());
    };
    assert_eq!(link.span_context.trace_id().to_string(), TRACE);
}

#[test]
fn stacked_public_layers_nest_their_spans() {
    for (rewritten, links) in [(false, 1), (true, 0)] {
        let at = Recorder::new();
        let outer = at.layer().public_endpoint(true);
        let mut service = ServiceBuilder::new()
            .layer(outer.propagate_to_inner(rewritten))
            .layer(at.layer().public_endpoint(true))
            .service(service_fn(|_: Request<()>| {
                HandFuture::ready(response(200, ScriptedBody::full(0)))
            }));
        drop(ready(service.call(request_of_caller("01"))));
        let spans: Vec<_> = at.spans().into_iter().filter(is_server).collect();
        let [inner, outer] = &spans[..] else {
            panic!("{} spans, expected two", spans.len());
        };
        assert_linked(&Seen(outer.clone()), true, "the outer span");
        assert_eq!(inner.parent_span_id, outer.span_context.span_id());
        // If the outer layer has rewritten the headers, the inner one has no caller to link.
        assert_eq!(inner.links.iter().count(), links, "{rewritten}");
    }
}

#[test]
fn untrusted_context_is_not_current_without_a_span() {
    let at = Recorder::new();
    let no_tracer = ApiSpanLayer::new().propagator(w3c());
    for (case, layer) in [
        ("filtered out", at.layer().filter(|_| false)),
        ("no tracer", no_tracer),
        ("sampled out", at.layer().sample_rate(0.0)),
    ] {
        for is_public in [false, true] {
            let mut is_called = false;
            let layer = layer.clone().public_endpoint(is_public);
            serve(&layer, request_of_caller("01"), |request| {
                is_called = true;
                for context in [Context::current(), handle_of(request).context()] {
                    let is_callers = context.span().span_context().trace_id().to_string() == TRACE;
                    assert_eq!(is_callers, !is_public, "{case}");
                    assert_eq!(baggage_entries(&context).is_empty(), is_public, "{case}");
                    // An untrusted context is dropped entirely: not even a cleared sampled flag remains.
                    let is_sampled = context.span().span_context().is_sampled();
                    let is_kept = !is_public && case != "sampled out";
                    assert_eq!(is_sampled, is_kept, "{case}");
                }
            });
            assert!(is_called);
        }
    }
    assert_eq!(at.starts(), 0);
}

#[test]
fn untrusted_request_sampled_out_gets_unsampled_headers_of_its_own() {
    let at = Recorder::new();
    let layer = at.layer().sample_rate(0.0).public_endpoint(true);
    serve(
        &layer.propagate_to_inner(true),
        request_of_caller("01"),
        |request| {
            let [traceparent, tracestate, baggage] = trace_headers(request.headers());
            let traceparent = traceparent.expect("a traceparent");
            assert!(traceparent.ends_with("-00"), "{traceparent}");
            assert!(!traceparent.contains(TRACE), "{traceparent}");
            assert_eq!((tracestate, baggage), (None, None));
        },
    );
    assert_eq!(at.starts(), 0);
}

/// A setting, and whether the span is then a child of the caller.
struct Case {
    rule: &'static str,
    set: fn(ApiSpanLayer) -> ApiSpanLayer,
    has_caller: bool,
    is_child: bool,
}

/// Returns whether the request lacks the token of a trusted caller.
fn without_token(request: &request::Parts) -> bool {
    !request.headers.contains_key("x-internal-token")
}

#[test]
fn public_endpoint_fn_decides_which_callers_are_trusted() {
    for Case {
        rule,
        set,
        has_caller,
        is_child,
    } in [
        Case {
            rule: "the callback returns true",
            set: |layer| layer.public_endpoint_fn(|_| true),
            has_caller: true,
            is_child: false,
        },
        Case {
            rule: "the callback returns false",
            set: |layer| layer.public_endpoint_fn(|_| false),
            has_caller: true,
            is_child: true,
        },
        Case {
            rule: "the callback returns true, without a caller",
            set: |layer| layer.public_endpoint_fn(|_| true),
            has_caller: false,
            is_child: false,
        },
        Case {
            rule: "the callback returns false, without a caller",
            set: |layer| layer.public_endpoint_fn(|_| false),
            has_caller: false,
            is_child: false,
        },
        Case {
            rule: "no callback",
            set: |layer| layer,
            has_caller: true,
            is_child: true,
        },
        Case {
            rule: "the callback reads the request",
            set: |layer| layer.public_endpoint_fn(without_token),
            has_caller: true,
            is_child: false,
        },
        Case {
            rule: "public_endpoint(true) overrides the callback",
            set: |layer| layer.public_endpoint(true).public_endpoint_fn(|_| false),
            has_caller: true,
            is_child: false,
        },
        Case {
            rule: "a callback that panics counts as true",
            set: |layer| layer.public_endpoint_fn(|_| panic!("no answer")),
            has_caller: true,
            is_child: false,
        },
    ] {
        let at = Recorder::new();
        let request = if has_caller {
            request_of_caller("01")
        } else {
            get()
        };
        serve(&set(at.layer()), request, |_| {});
        let span = at.only();
        match (has_caller, is_child) {
            (true, true) => assert_child(&span, rule),
            (true, false) => assert_linked(&span, true, rule),
            (false, _) => {
                assert_root(&span, rule);
                assert_eq!(span.0.links.iter().count(), 0, "{rule}");
            }
        }
    }
}

#[test]
fn public_endpoint_fn_trusts_a_request_with_a_token() {
    let at = Recorder::new();
    let mut request = request_of_caller("01");
    let token = "t".parse().expect("a value");
    request.headers_mut().insert("x-internal-token", token);
    serve(
        &at.layer().public_endpoint_fn(without_token),
        request,
        |_| {},
    );
    assert_child(&at.only(), "a token");
}
