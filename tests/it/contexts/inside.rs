//! The span's context is current inside, and nowhere else.

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

/// A service of which every part makes a child where it runs: in the call, in the future and the
/// body, in their destructors.
fn making_children<const N: usize>(
    at: &Recorder,
    body: [Step; N],
) -> impl Service<
    Request<()>,
    Response = http::Response<ScriptedBody>,
    Error = Boom,
    Future = HandFuture<ScriptedBody>,
> {
    let at = at.clone();
    service_fn(move |_: Request<()>| {
        at.child("call");
        let child = |name| {
            let at = at.clone();
            move || drop(at.child(name))
        };
        let body = ScriptedBody::new(body.clone())
            .on_poll(child("body"))
            .on_drop(child("body's destructor"));
        // Not an `async` block: the destructor is one of the places.
        HandFuture::ready(response(200, body))
            .pending_for(1)
            .on_poll(child("future"))
            .on_drop(child("future's destructor"))
    })
}

/// That these children, and no others, are there and hang under the layer's span.
#[track_caller]
fn assert_children(at: &Recorder, names: &[&str]) {
    let server = at.only().0;
    let mut children = at.spans();
    children.retain(|span| span.span_context != server.span_context);
    let seen: Vec<_> = children.iter().map(|child| child.name.as_ref()).collect();
    assert_eq!(seen, names);
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
fn assert_nothing_current() {
    let current = Context::current();
    assert!(!current.has_active_span(), "{current:?}");
    assert_eq!(current.baggage().len(), 0);
}

#[test]
fn children_made_anywhere_inside_hang_under_the_span() {
    let at = Recorder::new();
    let mut service = at.layer().layer(making_children(&at, [Data(3)]));
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
        &at,
        &[
            "call",
            "future",
            "future",
            "future's destructor",
            "body",
            "body's destructor",
        ],
    );
    assert_eq!(at.only().outcome(), "ABORTED(client_disconnect)");
}

#[test]
fn children_made_after_the_end_hang_under_the_span_too() {
    for (end, steps) in [
        ("trailers", [Trailers(&[("a", "b")]), Data(3)]),
        ("an error", [Error, Data(3)]),
        ("a panic", [Panic, Data(3)]),
    ] {
        let at = Recorder::new();
        let mut service = at.layer().layer(making_children(&at, steps));
        let mut future = Box::pin(service.call(get()));
        assert!(poll(future.as_mut()).is_pending());
        let mut body = ready(future.as_mut()).expect("a response").into_body();
        let _ = catch_unwind(AssertUnwindSafe(|| poll_frame(&mut body)));
        let (ended, spans) = (at.only().0.end_time, at.spans().len());
        // What follows the end.
        let _ = poll_frame(&mut body);
        drop(body);
        drop(future);
        let late = at.spans().split_off(spans);
        let late: Vec<_> = late.iter().map(|span| span.name.as_ref()).collect();
        assert_eq!(late, ["body", "body's destructor"], "{end}");
        assert_eq!(at.only().0.end_time, ended, "{end}");
        assert_children(
            &at,
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
fn destructors_run_while_the_span_is_open() {
    // Given up before the head: the future; given up before the end: the body.
    for head in [false, true] {
        let at = Recorder::new();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let look = |place: &'static str| {
            let (at, seen) = (at.clone(), Arc::clone(&seen));
            move || {
                let context = Context::current();
                context.span().add_event(place, Vec::new());
                // Looked at outside: a destructor is no place to fail in.
                let found = (place, context.span().is_recording(), at.ends());
                seen.lock().expect("not poisoned").push(found);
            }
        };
        let mut service = at.layer().layer(service_fn(|_: Request<()>| {
            let body = ScriptedBody::new([Data(3)]).on_drop(look("body"));
            HandFuture::ready(response(200, body)).on_drop(look("future"))
        }));
        let mut future = Box::pin(service.call(get()));
        let body = head.then(|| ready(future.as_mut()).expect("a response").into_body());
        drop(future);
        drop(body);
        assert_eq!(
            *seen.lock().expect("not poisoned"),
            [("future", true, 0), ("body", true, 0)]
        );
        let events = at.only().events();
        assert_eq!(
            events,
            ["api.ARRIVED", "future", "body", "api.ABORTED"],
            "{head}"
        );
    }
}

#[test]
fn outside_nothing_is_current() {
    for (name, traced, request) in [
        ("traced", true, get as fn() -> Request<()>),
        ("traced, from a caller", true, || called("01")),
        ("filtered, from a caller", false, || called("01")),
        ("unsampled", true, || called("00")),
    ] {
        let at = Recorder::new();
        let layer = at.layer().filter(move |_| traced);
        let mut service = layer.layer(making_children(&at, [Data(3), Pending, Trailers(&[])]));
        let mut future = Box::pin(service.call(request()));
        assert_nothing_current();
        assert!(poll(future.as_mut()).is_pending());
        assert_nothing_current();
        let mut body = ready(future.as_mut()).expect("a response").into_body();
        assert_nothing_current();
        drop(future);
        assert_nothing_current();
        for _ in 0..3 {
            let _ = poll_frame(&mut body);
            assert_nothing_current();
        }
        drop(body);
        assert_nothing_current();
        // That anything was current at all: sampled children hang under somebody.
        let children = at.spans();
        let roots = children
            .iter()
            .filter(|child| child.name != "GET" && child.parent_span_id == SpanId::INVALID);
        assert_eq!(roots.count(), 0, "{name}");
    }
}

#[test]
fn outside_nothing_is_current_after_a_panic() {
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
            let at = Recorder::new();
            let mut service = at.layer().layer(service_fn(|_: Request<()>| inner()));
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let mut body = ready(service.call(request))
                    .expect("a response")
                    .into_body();
                read(&mut body).expect("bytes");
            }));
            assert!(panicked.is_err(), "{place}");
            assert_nothing_current();
            assert_eq!(at.ends(), 1, "{place}");
        }
    }
}

#[test]
fn what_was_current_outside_is_current_again() {
    #[derive(Debug, PartialEq)]
    struct Mine(u8);
    let at = Recorder::new();
    let _outside = Context::current().with_value(Mine(7)).attach();
    let mut service = at.layer().layer(service_fn(|request: Request<()>| {
        // What is current flows on, with the span on top.
        assert_eq!(Context::current().get(), Some(&Mine(7)));
        let inside = Context::current().span().span_context().clone();
        assert_eq!(inside, *handle_of(&request).context().span().span_context());
        HandFuture::ready(response(200, ScriptedBody::new([Data(3)])))
    }));
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    drop(body);
    assert_eq!(Context::current().get(), Some(&Mine(7)));
    assert_nothing_current();
}
