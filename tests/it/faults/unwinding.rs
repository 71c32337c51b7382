//! Panics while the thread is already unwinding, and panics in destructors. A second panic that escapes
//! would abort the whole test binary.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::{Request, Response};
use tower::{Service, service_fn};
use tower_layer::Layer as _;

use crate::support::body::Boom;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Panic};
use crate::support::foreign::{Foreign, Method};
use crate::support::future::HandFuture;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, panic_of, poll, poll_frame, read, ready, response};

#[test]
fn open_request_dropped_by_unwinding_ends_a_span_that_panics_once() {
    for (place, drop_it) in [
        (
            "future",
            (|tracer: &Foreign| {
                let mut service = answering(&tracer.layer(), |_| Response::new(String::new()));
                let _future = service.call(get());
                panic!("elsewhere in the task");
            }) as fn(&Foreign),
        ),
        ("body", |tracer| {
            let mut service = answering(&tracer.layer(), |_| {
                response(200, ScriptedBody::new([Data(3)]))
            });
            let _body = ready(service.call(get())).expect("a response").into_body();
            panic!("elsewhere in the task");
        }),
        ("body read in part", |tracer| {
            let mut service = answering(&tracer.layer(), |_| {
                response(200, ScriptedBody::new([Data(3)]))
            });
            let mut body = ready(service.call(get())).expect("a response").into_body();
            let _ = poll_frame(&mut body);
            panic!("elsewhere in the task");
        }),
    ] {
        let tracer = Foreign::new().panicking_in(Method::AFTER_START);
        assert_eq!(
            panic_of(|| drop_it(&tracer)),
            "elsewhere in the task",
            "{place}"
        );
        assert_eq!(tracer.counts(), (1, 1, 1), "{place}");
    }
}

#[test]
fn inner_service_that_panics_ends_a_span_that_panics_once() {
    for (place, unwind) in [
        (
            "call",
            (|tracer: &Foreign| {
                let mut service = answering(&tracer.layer(), |_| -> Response<String> {
                    panic!("the service panics")
                });
                drop(service.call(get()));
            }) as fn(&Foreign),
        ),
        ("poll", |tracer| {
            let mut service = tracer.layer().layer(service_fn(|_: Request<()>| {
                std::future::poll_fn(|_| -> std::task::Poll<Result<Response<String>, Boom>> {
                    panic!("the service panics")
                })
            }));
            let _ = poll(Box::pin(service.call(get())).as_mut());
        }),
        ("poll_frame", |tracer| {
            let mut service = answering(&tracer.layer(), |_| {
                response(200, ScriptedBody::new([Panic]))
            });
            let mut body = ready(service.call(get())).expect("a response").into_body();
            let _ = poll_frame(&mut body);
        }),
    ] {
        let tracer = Foreign::new().panicking_in(Method::AFTER_START);
        let panic = panic_of(|| unwind(&tracer));
        assert!(panic.ends_with("panics"), "{place}: {panic}");
        assert_eq!(tracer.counts(), (1, 1, 1), "{place}");
    }
}

#[test]
fn body_destructor_that_panics_ends_the_span_as_panic() {
    for polls in [0, 1] {
        let at = Recorder::new();
        let mut service = answering(&at.layer(), |_| {
            response(
                200,
                ScriptedBody::new([Data(3)]).on_drop(|| panic!("the body is dropped")),
            )
        });
        let mut body = ready(service.call(get())).expect("a response").into_body();
        for _ in 0..polls {
            let _ = poll_frame(&mut body);
        }
        assert_eq!(panic_of(|| drop(body)), "the body is dropped");
        assert_eq!(at.ends(), 1);
        assert_eq!(at.only().outcome(), "ABORTED(panic)");
    }
}

#[test]
fn body_destructor_that_panics_after_the_end_leaves_the_span_departed() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| {
        response(
            200,
            ScriptedBody::new([Data(3)]).on_drop(|| panic!("the body is dropped")),
        )
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    assert_eq!(panic_of(|| drop(body)), "the body is dropped");
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn future_destructor_that_panics_ends_the_span_as_panic() {
    struct Explosive;
    impl Drop for Explosive {
        fn drop(&mut self) {
            panic!("the future is dropped");
        }
    }
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(|_: Request<()>| {
        let explosive = Explosive;
        async move {
            let _explosive = explosive;
            std::future::pending::<Result<Response<String>, Boom>>().await
        }
    }));
    let future = service.call(get());
    assert_eq!(panic_of(|| drop(future)), "the future is dropped");
    assert_eq!(at.ends(), 1);
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
}

#[test]
fn completed_future_whose_destructor_panics_ends_the_span_as_panic() {
    for (case, is_traced) in [("traced", true), ("filtered", false)] {
        let at = Recorder::new();
        let layer = at.layer().filter(move |_| is_traced);
        let mut service = layer.layer(service_fn(|_: Request<()>| {
            let body = ScriptedBody::new([Data(3)]);
            HandFuture::ready(response(200, body)).on_drop(|| panic!("the future is dropped"))
        }));
        let mut future = Box::pin(service.call(get()));
        let panicked = panic_of(|| drop(poll(future.as_mut())));
        assert_eq!(panicked, "the future is dropped", "{case}");
        assert_eq!(
            at.ends(),
            usize::from(is_traced),
            "{case}: before it is dropped"
        );
        drop(future);
        assert_eq!(at.ends(), usize::from(is_traced), "{case}");
        if is_traced {
            assert_eq!(at.only().outcome(), "ABORTED(panic)");
        }
    }
}

#[test]
fn completed_future_polled_again_panics_and_keeps_the_response() {
    for (case, is_traced) in [("traced", true), ("filtered", false)] {
        let at = Recorder::new();
        let layer = at.layer().filter(move |_| is_traced);
        let mut service = answering(&layer, |_| response(200, ScriptedBody::new([Data(3)])));
        let mut future = Box::pin(service.call(get()));
        let mut body = ready(future.as_mut()).expect("a response").into_body();
        let panicked = panic_of(|| drop(poll(future.as_mut())));
        assert!(
            panicked.contains("`ResponseFuture` is not polled"),
            "{case}: {panicked}"
        );
        // The response is independent of the future.
        read(&mut body).expect("bytes");
        drop(future);
        assert_eq!(at.ends(), usize::from(is_traced), "{case}");
        if is_traced {
            assert_eq!(at.only().outcome(), "DEPARTED");
        }
    }
}

#[test]
fn span_classification_and_body_that_all_panic_end_the_span_once() {
    let tracer = Foreign::new().panicking_in(Method::AFTER_START);
    let layer = tracer.layer().classify(|_| panic!("the callback panics"));
    let mut service = answering(&layer, |_| {
        response(
            200,
            ScriptedBody::new([Data(3)]).on_drop(|| panic!("the body is dropped")),
        )
    });
    let body = ready(service.call(get())).expect("a response").into_body();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(body))).is_err());
    assert_eq!(tracer.counts(), (1, 1, 1));
}
