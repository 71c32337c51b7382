//! What is believed of callers: public endpoints.

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

/// A request of a stranger's, with baggage and a state of its own.
fn stranger(flags: &str) -> Request<()> {
    let mut request = called(flags);
    let headers = request.headers_mut();
    headers.insert("tracestate", "evil=1".parse().expect("a value"));
    headers.insert("baggage", "user=admin".parse().expect("a value"));
    request
}

/// That a span begins a trace of its own, with the caller as its only link.
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

/// That a span is the caller's child.
fn assert_child(span: &Seen, case: &str) {
    assert_eq!(span.0.parent_span_id.to_string(), CALLER, "{case}");
    assert!(span.0.parent_span_is_remote, "{case}");
    let trace = span.0.span_context.trace_id().to_string();
    assert_eq!(trace, TRACE, "{case}");
    assert_eq!(span.0.links.iter().count(), 0, "{case}");
}

fn baggage(context: &Context) -> Vec<String> {
    let all = context.baggage().iter();
    all.map(|(key, (value, _))| format!("{key}={value}"))
        .collect()
}

#[test]
fn a_stranger_calls_and_the_span_is_a_root_that_links_to_it() {
    // A stranger says what it likes about sampling, and is sampled as all are.
    for (flags, is_sampled) in [("01", true), ("00", false)] {
        let at = Recorder::with(|builder| {
            builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        });
        serve(&at.layer().public_endpoint(true), stranger(flags), |_| {});
        let span = at.only();
        assert_linked(&span, is_sampled, flags);
        assert!(span.0.span_context.is_sampled(), "{flags}");
    }
}

#[test]
fn a_stranger_cannot_have_itself_sampled() {
    let at = Recorder::with(|builder| {
        builder.with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOff)))
    });
    for (is_public, ends) in [(true, 0), (false, 1)] {
        serve(
            &at.layer().public_endpoint(is_public),
            stranger("01"),
            |_| {},
        );
        assert_eq!(at.exported().len(), ends);
    }
}

#[test]
fn nobody_calls_and_there_is_no_link() {
    for (case, traceparent) in [
        ("no caller", None),
        ("a malformed one", Some("00-1-2-01")),
        (
            "one without ids",
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
fn a_strangers_baggage_does_not_reach_the_handler() {
    for (is_public, expected) in [(true, &[][..]), (false, &["user=admin"])] {
        let at = Recorder::new();
        serve(
            &at.layer().public_endpoint(is_public),
            stranger("01"),
            |request| {
                for context in [Context::current(), handle_of(request).context()] {
                    assert_eq!(baggage(&context), expected);
                    assert!(context.has_active_span());
                }
            },
        );
        assert_eq!(at.ends(), 1);
    }
}

/// The headers that a handler gets, in the order traceparent, tracestate, baggage.
fn inner(headers: &HeaderMap) -> [Option<String>; 3] {
    ["traceparent", "tracestate", "baggage"].map(|name| {
        let mut values = headers.get_all(name).iter();
        let value = values.next().map(|value| value.to_str().expect("a text"));
        assert_eq!(values.next(), None, "{name} is there twice");
        value.map(str::to_owned)
    })
}

#[test]
fn the_headers_are_as_they_came_unless_they_are_rewritten() {
    let at = Recorder::new();
    let layer = at.layer().public_endpoint(true);
    serve(&layer, stranger("01"), |request| {
        assert_eq!(request.headers(), stranger("01").headers());
    });
    at.forget();

    let mut got = [const { None }; 3];
    serve(&layer.propagate_to_inner(true), stranger("01"), |request| {
        got = inner(request.headers());
    });
    let spans = at.exported();
    let span = &spans[0].span_context;
    let own = format!("00-{}-{}-01", span.trace_id(), span.span_id());
    assert_eq!(got, [Some(own), None, None]);
}

#[test]
fn without_a_span_a_stranger_is_taken_out_of_rewritten_headers_too() {
    let at = Recorder::new();
    let layer = at.layer().public_endpoint(true);
    let off = ApiSpanLayer::new()
        .tracer_provider(&NoopTracerProvider::new())
        .public_endpoint(true);
    for (rule, layer) in [("filtered", layer.filter(|_| false)), ("no tracer", off)] {
        let mut got = [const { None }; 3];
        serve(&layer.clone(), stranger("01"), |request| {
            got = inner(request.headers());
        });
        assert!(got.iter().all(Option::is_some), "{rule}: as they came");
        serve(&layer.propagate_to_inner(true), stranger("01"), |request| {
            got = inner(request.headers());
        });
        assert_eq!(got, [None, None, None], "{rule}");
    }
    assert_eq!(at.starts(), 0);
}

#[test]
fn a_friends_baggage_goes_on_where_the_headers_are_rewritten() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .propagate_to_inner(true)
        .public_endpoint_fn(|_| false);
    serve(&layer, stranger("01"), |request| {
        let [traceparent, tracestate, baggage] = inner(request.headers());
        let traceparent = traceparent.expect("a traceparent");
        assert!(traceparent.starts_with(&format!("00-{TRACE}-")));
        assert!(!traceparent.contains(CALLER));
        assert_eq!(tracestate.as_deref(), Some("evil=1"));
        assert_eq!(baggage.as_deref(), Some("user=admin"));
    });
    assert_child(&at.only(), "a friend");
}

#[test]
fn what_is_current_around_the_layer_stays_the_parent() {
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
    serve(&layer, stranger("01"), |request| {
        assert_eq!(baggage(&Context::current()), ["own=1"]);
        let [traceparent, _, baggage] = inner(request.headers());
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

#[test]
fn two_public_layers_are_stacked_and_the_inner_span_is_a_child_of_the_outer() {
    for (rewritten, links) in [(false, 1), (true, 0)] {
        let at = Recorder::new();
        let outer = at.layer().public_endpoint(true);
        let mut service = ServiceBuilder::new()
            .layer(outer.propagate_to_inner(rewritten))
            .layer(at.layer().public_endpoint(true))
            .service(service_fn(|_: Request<()>| {
                HandFuture::ready(response(200, ScriptedBody::full(0)))
            }));
        drop(ready(service.call(stranger("01"))));
        let spans: Vec<_> = at.spans().into_iter().filter(is_server).collect();
        let [inner, outer] = &spans[..] else {
            panic!("two spans, not {}", spans.len());
        };
        assert_linked(&Seen(outer.clone()), true, "the outer one");
        assert_eq!(inner.parent_span_id, outer.span_context.span_id());
        // Where the outer one has taken the stranger out of the headers, nobody sees it any more.
        assert_eq!(inner.links.iter().count(), links, "{rewritten}");
    }
}

#[test]
fn there_is_no_span_and_a_strangers_context_is_not_current_all_the_same() {
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
            serve(&layer, stranger("01"), |request| {
                is_called = true;
                for context in [Context::current(), handle_of(request).context()] {
                    let is_callers = context.span().span_context().trace_id().to_string() == TRACE;
                    assert_eq!(is_callers, !is_public, "{case}");
                    assert_eq!(baggage(&context).is_empty(), is_public, "{case}");
                    // Of a stranger, there is not even a flag that says no.
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
fn a_stranger_is_sampled_out_and_the_headers_say_so_without_it() {
    let at = Recorder::new();
    let layer = at.layer().sample_rate(0.0).public_endpoint(true);
    serve(&layer.propagate_to_inner(true), stranger("01"), |request| {
        let [traceparent, tracestate, baggage] = inner(request.headers());
        let traceparent = traceparent.expect("a traceparent");
        assert!(traceparent.ends_with("-00"), "{traceparent}");
        assert!(!traceparent.contains(TRACE), "{traceparent}");
        assert_eq!((tracestate, baggage), (None, None));
    });
    assert_eq!(at.starts(), 0);
}

/// What a function says of a caller, and what becomes of it.
struct Case {
    rule: &'static str,
    set: fn(ApiSpanLayer) -> ApiSpanLayer,
    has_caller: bool,
    is_child: bool,
}

/// Whether this is not one of ours.
fn without_token(request: &request::Parts) -> bool {
    !request.headers.contains_key("x-internal-token")
}

#[test]
fn a_function_says_who_is_a_stranger() {
    for Case {
        rule,
        set,
        has_caller,
        is_child,
    } in [
        Case {
            rule: "it says yes",
            set: |layer| layer.public_endpoint_fn(|_| true),
            has_caller: true,
            is_child: false,
        },
        Case {
            rule: "it says no",
            set: |layer| layer.public_endpoint_fn(|_| false),
            has_caller: true,
            is_child: true,
        },
        Case {
            rule: "it says yes, of nobody",
            set: |layer| layer.public_endpoint_fn(|_| true),
            has_caller: false,
            is_child: false,
        },
        Case {
            rule: "it says no, of nobody",
            set: |layer| layer.public_endpoint_fn(|_| false),
            has_caller: false,
            is_child: false,
        },
        Case {
            rule: "there is none",
            set: |layer| layer,
            has_caller: true,
            is_child: true,
        },
        Case {
            rule: "it reads the request",
            set: |layer| layer.public_endpoint_fn(without_token),
            has_caller: true,
            is_child: false,
        },
        Case {
            rule: "it says no, and all are strangers anyway",
            set: |layer| layer.public_endpoint(true).public_endpoint_fn(|_| false),
            has_caller: true,
            is_child: false,
        },
        Case {
            rule: "it panics, and has not said that somebody is a friend",
            set: |layer| layer.public_endpoint_fn(|_| panic!("who is there?")),
            has_caller: true,
            is_child: false,
        },
    ] {
        let at = Recorder::new();
        let request = if has_caller { stranger("01") } else { get() };
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
fn a_friend_is_known_by_what_it_sends() {
    let at = Recorder::new();
    let mut request = stranger("01");
    let token = "t".parse().expect("a value");
    request.headers_mut().insert("x-internal-token", token);
    serve(
        &at.layer().public_endpoint_fn(without_token),
        request,
        |_| {},
    );
    assert_child(&at.only(), "a token");
}
