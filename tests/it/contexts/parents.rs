//! The parent of the span.

use http::Request;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceId};
use opentelemetry::{Context, trace};
use tower::{Service, ServiceBuilder, service_fn};
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::future::HandFuture;
use crate::support::recorder::{Recorder, Seen, is_server};
use crate::support::{
    CALLER, TRACE, answering, called, get, handle_of, poll_frame, read, ready, response,
};

/// Serves `request`, calls `handler` inside, and returns the span.
fn serve<H: FnMut(&Request<()>)>(
    recorder: &Recorder,
    request: Request<()>,
    mut handler: H,
) -> Seen {
    let mut service = answering(&recorder.layer(), move |request| {
        handler(&request);
        response(200, ScriptedBody::new([Data(3)]))
    });
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
    recorder.only()
}

fn with_headers(headers: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::get("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("a request")
}

/// Returns the trace id, the parent span id, and whether the parent is remote.
fn parent(span: &Seen) -> (String, String, bool) {
    (
        span.0.span_context.trace_id().to_string(),
        span.0.parent_span_id.to_string(),
        span.0.parent_span_is_remote,
    )
}

#[test]
fn traced_caller_is_the_parent() {
    let recorder = Recorder::new();
    let span = serve(&recorder, called("01"), |_| {});
    assert_eq!(parent(&span), (TRACE.to_owned(), CALLER.to_owned(), true));
    assert!(span.0.span_context.is_sampled() && !span.0.span_context.is_remote());
    assert_ne!(span.0.span_context.span_id().to_string(), CALLER);
}

#[test]
fn missing_or_invalid_traceparent_makes_a_root_span() {
    let good = format!("00-{TRACE}-{CALLER}-01");
    let padded = format!("00-{TRACE}-{CALLER}-01-more");
    for (case, headers) in [
        ("missing", &[][..]),
        (
            "malformed",
            &[("traceparent", "00-1-2-01"), ("tracestate", "a=1")],
        ),
        (
            "repeated",
            &[
                ("traceparent", &good),
                ("traceparent", &good),
                ("tracestate", "a=1"),
            ],
        ),
        ("longer than its version", &[("traceparent", &padded)]),
        ("tracestate alone", &[("tracestate", "a=1")]),
    ] {
        let recorder = Recorder::new();
        let span = serve(&recorder, with_headers(headers), |_| {});
        assert_eq!(span.0.parent_span_id, SpanId::INVALID, "{case}");
        assert_ne!(span.0.span_context.trace_id().to_string(), TRACE, "{case}");
        assert!(!span.0.parent_span_is_remote, "{case}");
        assert_eq!(span.0.span_context.trace_state().header(), "", "{case}");
    }
}

#[test]
fn several_tracestate_headers_are_joined() {
    let recorder = Recorder::new();
    let traceparent = format!("00-{TRACE}-{CALLER}-01");
    let span = serve(
        &recorder,
        with_headers(&[
            ("tracestate", "a=1"),
            ("traceparent", &traceparent),
            ("tracestate", "b=2"),
        ]),
        |_| {
            assert_eq!(
                Context::current()
                    .span()
                    .span_context()
                    .trace_state()
                    .header(),
                "a=1,b=2"
            );
        },
    );
    assert_eq!(span.0.span_context.trace_state().header(), "a=1,b=2");
}

#[test]
fn baggage_reaches_the_handler() {
    for headers in [
        &[("baggage", "tenant=blue"), ("baggage", "shard=7")][..],
        &[
            ("traceparent", "malformed"),
            ("baggage", "tenant=blue,shard=7"),
        ],
    ] {
        let recorder = Recorder::new();
        serve(&recorder, with_headers(headers), |request| {
            for context in [Context::current(), handle_of(request).context()] {
                let value = |key| context.baggage().get(key).map(ToString::to_string);
                assert_eq!(value("tenant").as_deref(), Some("blue"));
                assert_eq!(value("shard").as_deref(), Some("7"));
                assert!(context.has_active_span());
            }
        });
    }
}

#[test]
fn outer_span_is_the_parent_unless_the_caller_is_in_another_trace() {
    let same = TraceId::from_hex(TRACE).expect("a trace id");
    for (case, outer, request, expected) in [
        ("no caller", TraceId::from(7), get(), None),
        (
            "another trace",
            TraceId::from(7),
            called("01"),
            Some(CALLER),
        ),
        ("the caller's trace", same, called("01"), None),
    ] {
        let recorder = Recorder::new();
        let outer = SpanContext::new(
            outer,
            SpanId::from(9),
            trace::TraceFlags::SAMPLED,
            false,
            trace::TraceState::NONE,
        );
        let _outer = Context::new()
            .with_remote_span_context(outer.clone())
            .attach();
        let span = serve(&recorder, request, |_| {});
        let (trace, parent, remote) = parent(&span);
        let outer = (outer.trace_id().to_string(), outer.span_id().to_string());
        let caller = expected.map(|caller| (TRACE.to_owned(), caller.to_owned()));
        assert_eq!(remote, caller.is_some(), "{case}");
        assert_eq!((trace, parent), caller.unwrap_or(outer), "{case}");
    }
}

#[test]
fn inner_of_two_stacked_layers_makes_a_child_of_the_outer_span() {
    for (case, request) in [("root", get()), ("from a caller", called("01"))] {
        let recorder = Recorder::new();
        let mut service = ServiceBuilder::new()
            .layer(recorder.layer())
            .layer(recorder.layer())
            .service(service_fn(|request: Request<()>| {
                assert!(handle_of(&request).is_recording());
                HandFuture::ready(response(200, ScriptedBody::new([Data(3)])))
            }));
        let mut body = ready(service.call(request))
            .expect("a response")
            .into_body();
        read(&mut body).expect("bytes");
        let servers: Vec<_> = recorder.spans().into_iter().filter(is_server).collect();
        // The inner span ends first.
        let [inner, outer] = &servers[..] else {
            panic!("{case}: two spans, not {}", servers.len());
        };
        assert_eq!(inner.parent_span_id, outer.span_context.span_id(), "{case}");
        assert_eq!(
            inner.span_context.trace_id(),
            outer.span_context.trace_id(),
            "{case}"
        );
        let caller = (case != "root").then_some(CALLER);
        let parent = outer.parent_span_id.to_string();
        assert_eq!(
            (parent != SpanId::INVALID.to_string()).then_some(parent.as_str()),
            caller
        );
    }
}

#[test]
fn filtered_out_request_keeps_the_caller_as_parent() {
    let recorder = Recorder::new();
    let layer = recorder.layer().filter(|_| false);
    let child = |name| {
        let recorder = recorder.clone();
        move || drop(recorder.child(name))
    };
    let mut service = layer.layer(service_fn(|request: Request<()>| {
        assert!(request.extensions().is_empty());
        let handle = handle_of(&request);
        assert!(!handle.is_recording());
        let (inert, current) = (handle.context(), Context::current());
        assert_eq!(inert.span().span_context(), current.span().span_context());
        assert_eq!(current.span().span_context().span_id().to_string(), CALLER);
        let body = ScriptedBody::new([Data(3)])
            .on_poll(child("body"))
            .on_drop(child("body's destructor"));
        HandFuture::ready(response(200, body))
            .on_poll(child("future"))
            .on_drop(child("future's destructor"))
    }));
    let mut body = ready(service.call(called("01")))
        .expect("a response")
        .into_body();
    let _ = poll_frame(&mut body);
    drop(body);
    let spans = recorder.spans();
    let names: Vec<_> = spans.iter().map(|span| span.name.as_ref()).collect();
    assert_eq!(
        names,
        ["future", "future's destructor", "body", "body's destructor"]
    );
    for span in &spans {
        assert_eq!(span.parent_span_id.to_string(), CALLER, "{}", span.name);
        assert!(span.parent_span_is_remote, "{}", span.name);
    }
}
