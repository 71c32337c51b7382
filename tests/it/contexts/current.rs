//! The span's context is current inside the wrapped service, and nowhere else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use http::Request;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use tower::{Service, service_fn};
use tower_layer::Layer as _;

use crate::support::body::Step::{self, Data, Error, Panic, Pending, Trailers};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::future::HandFuture;
use crate::support::recorder::Recorder;
use crate::support::{called, get, handle_of, poll, poll_frame, read, ready, response};

/// A service that creates a child span in its call, future and body, and in their destructors.
fn service_with_children<const N: usize>(
    recorder: &Recorder,
    body: [Step; N],
) -> impl Service<
    Request<()>,
    Response = http::Response<ScriptedBody>,
    Error = Boom,
    Future = HandFuture<ScriptedBody>,
> {
    let recorder = recorder.clone();
    service_fn(move |_: Request<()>| {
        recorder.child("call");
        let child = |name| {
            let recorder = recorder.clone();
            move || drop(recorder.child(name))
        };
        let body = ScriptedBody::new(body.clone())
            .on_poll(child("body"))
            .on_drop(child("body's destructor"));
        // Not an `async` block, which has no destructor to hook into.
        HandFuture::ready(response(200, body))
            .pending_for(1)
            .on_poll(child("future"))
            .on_drop(child("future's destructor"))
    })
}

/// Asserts that exactly these children were created, as children of the layer's span.
#[track_caller]
fn assert_children(recorder: &Recorder, names: &[&str]) {
    let server = recorder.only().0;
    let mut children = recorder.spans();
    children.retain(|span| span.span_context != server.span_context);
    let created: Vec<_> = children.iter().map(|child| child.name.as_ref()).collect();
    assert_eq!(created, names);
    for child in children {
        assert_eq!(
            child.parent_span_id,
            server.span_context.span_id(),
            "{}",
            child.name
        );
        assert_eq!(
            child.span_context.trace_id(),
            server.span_context.trace_id(),
            "{}",
            child.name
        );
    }
}

#[track_caller]
fn assert_no_current_span() {
    let current = Context::current();
    assert!(!current.has_active_span(), "{current:?}");
    assert_eq!(current.baggage().len(), 0);
}

#[test]
fn child_created_anywhere_inside_has_the_span_as_parent() {
    let recorder = Recorder::new();
    let mut service = recorder
        .layer()
        .layer(service_with_children(&recorder, [Data(3)]));
    let mut future = Box::pin(service.call(get()));
    assert!(poll(future.as_mut()).is_pending());
    let mut body = ready(future.as_mut()).expect("a response").into_body();
    drop(future);
    assert!(matches!(
        poll_frame(&mut body),
        std::task::Poll::Ready(Some(Ok(_)))
    ));
    drop(body);
    assert_children(
        &recorder,
        &[
            "call",
            "future",
            "future",
            "future's destructor",
            "body",
            "body's destructor",
        ],
    );
    assert_eq!(recorder.only().outcome(), "ABORTED(client_disconnect)");
}

#[test]
fn child_created_after_the_end_has_the_span_as_parent() {
    for (end, steps) in [
        ("trailers", [Trailers(&[("a", "b")]), Data(3)]),
        ("an error", [Error, Data(3)]),
        ("a panic", [Panic, Data(3)]),
    ] {
        let recorder = Recorder::new();
        let mut service = recorder
            .layer()
            .layer(service_with_children(&recorder, steps));
        let mut future = Box::pin(service.call(get()));
        assert!(poll(future.as_mut()).is_pending());
        let mut body = ready(future.as_mut()).expect("a response").into_body();
        let _ = catch_unwind(AssertUnwindSafe(|| poll_frame(&mut body)));
        let (ended, spans) = (recorder.only().0.end_time, recorder.spans().len());
        // The body goes on after the span's end.
        let _ = poll_frame(&mut body);
        drop(body);
        drop(future);
        let late = recorder.spans().split_off(spans);
        let late: Vec<_> = late.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(late, ["body", "body's destructor"], "{end}");
        assert_eq!(recorder.only().0.end_time, ended, "{end}");
        assert_children(
            &recorder,
            &[
                "call",
                "future",
                "future",
                "future's destructor",
                "body",
                "body",
                "body's destructor",
            ],
        );
    }
}

#[test]
fn destructors_of_a_dropped_response_run_while_the_span_is_open() {
    // Dropped before the head: the future. Dropped before the end: the body.
    for has_head in [false, true] {
        let recorder = Recorder::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let observe = |place: &'static str| {
            let (recorder, seen) = (recorder.clone(), Arc::clone(&seen));
            move || {
                let context = Context::current();
                context.span().add_event(place, Vec::new());
                // Asserted below: a panic in a destructor could abort the test.
                let found = (place, context.span().is_recording(), recorder.ends());
                seen.lock().expect("not poisoned").push(found);
            }
        };
        let mut service = recorder.layer().layer(service_fn(|_: Request<()>| {
            let body = ScriptedBody::new([Data(3)]).on_drop(observe("body"));
            HandFuture::ready(response(200, body)).on_drop(observe("future"))
        }));
        let mut future = Box::pin(service.call(get()));
        let body = has_head.then(|| ready(future.as_mut()).expect("a response").into_body());
        drop(future);
        drop(body);
        assert_eq!(
            *seen.lock().expect("not poisoned"),
            [("future", true, 0), ("body", true, 0)]
        );
        let events = recorder.only().events();
        assert_eq!(
            events,
            ["api.ARRIVED", "future", "body", "api.ABORTED"],
            "has head: {has_head}"
        );
    }
}

#[test]
fn outside_no_span_is_current() {
    for (name, traced, request) in [
        ("traced", true, get as fn() -> Request<()>),
        ("traced, from a caller", true, || called("01")),
        ("filtered, from a caller", false, || called("01")),
        ("unsampled", true, || called("00")),
    ] {
        let recorder = Recorder::new();
        let layer = recorder.layer().filter(move |_| traced);
        let mut service = layer.layer(service_with_children(
            &recorder,
            [Data(3), Pending, Trailers(&[])],
        ));
        let mut future = Box::pin(service.call(request()));
        assert_no_current_span();
        assert!(poll(future.as_mut()).is_pending());
        assert_no_current_span();
        let mut body = ready(future.as_mut()).expect("a response").into_body();
        assert_no_current_span();
        drop(future);
        assert_no_current_span();
        for _ in 0..3 {
            let _ = poll_frame(&mut body);
            assert_no_current_span();
        }
        drop(body);
        assert_no_current_span();
        // A context was current inside: every sampled child has a parent.
        let children = recorder.spans();
        let roots = children
            .iter()
            .filter(|child| child.name != "GET" && child.parent_span_id == SpanId::INVALID);
        assert_eq!(roots.count(), 0, "{name}");
    }
}

#[test]
fn outside_no_span_is_current_after_a_panic() {
    type Service = HandFuture<ScriptedBody>;
    for (place, inner) in [
        ("call", (|| panic!("in call")) as fn() -> Service),
        ("poll", || {
            HandFuture::ready(response(200, ScriptedBody::full(0))).on_poll(|| panic!("in poll"))
        }),
        ("future's destructor", || {
            HandFuture::ready(response(200, ScriptedBody::full(0))).on_drop(|| panic!("in drop"))
        }),
        ("poll_frame", || {
            HandFuture::ready(response(200, ScriptedBody::new([Panic])))
        }),
        ("body's destructor", || {
            let body = ScriptedBody::new([Data(3)]).on_drop(|| panic!("in drop"));
            HandFuture::ready(response(200, body))
        }),
    ] {
        for request in [get(), called("01")] {
            let recorder = Recorder::new();
            let mut service = recorder.layer().layer(service_fn(|_: Request<()>| inner()));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let mut body = ready(service.call(request))
                    .expect("a response")
                    .into_body();
                read(&mut body).expect("bytes");
            }));
            assert!(panicked.is_err(), "{place}");
            assert_no_current_span();
            assert_eq!(recorder.ends(), 1, "{place}");
        }
    }
}

#[test]
fn outer_context_is_visible_inside_and_restored_outside() {
    #[derive(Debug, PartialEq)]
    struct Marker(u8);
    for request in [get, || called("01"), || called("00")] {
        let recorder = Recorder::new();
        let _outside = Context::current().with_value(Marker(7)).attach();
        let mut service = recorder.layer().layer(service_fn(|request: Request<()>| {
            // The outer context is kept, with the span added.
            assert_eq!(Context::current().get(), Some(&Marker(7)));
            let inside = Context::current().span().span_context().clone();
            assert_eq!(inside, *handle_of(&request).context().span().span_context());
            HandFuture::ready(response(200, ScriptedBody::new([Data(3)])))
        }));
        let answer = ready(service.call(request())).expect("a response");
        let mut body = answer.into_body();
        read(&mut body).expect("bytes");
        drop(body);
        assert_eq!(Context::current().get(), Some(&Marker(7)));
        assert_no_current_span();
    }
}
