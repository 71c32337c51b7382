//! The thread's stack of contexts is borrowed, or destroyed with the thread. No context can be
//! attached, and the request is served all the same.

use std::any::Any;
use std::cell::RefCell;

use opentelemetry::Context;
use tower::Service;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, read, ready, response};

#[test]
fn borrowed_context_stack_does_not_fail_the_request() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
    // `map_current` borrows the stack, so that attaching a context panics.
    Context::map_current(|_| {
        let mut body = ready(service.call(get())).expect("a response").into_body();
        assert_eq!(read(&mut body), Ok(b"xxx".to_vec()));
    });
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn borrowed_context_stack_during_unwinding_ends_the_span_as_panic() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
    let body = ready(service.call(get())).expect("a response").into_body();
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        Context::map_current(|_| {
            let _body = body;
            std::panic::resume_unwind(Box::new("elsewhere"));
        });
    }));
    assert!(unwound.is_err());
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
}

#[test]
fn body_destroyed_with_its_thread_ends_the_span() {
    thread_local!(static KEPT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) });
    let at = Recorder::new();
    let thread = std::thread::spawn({
        let at = at.clone();
        move || {
            // Thread locals are destroyed in reverse order of their first use: this one after the stack.
            KEPT.with(|kept| *kept.borrow_mut() = None);
            let mut service =
                answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
            let body = ready(service.call(get())).expect("a response").into_body();
            KEPT.with(|kept| *kept.borrow_mut() = Some(Box::new(body)));
        }
    });
    thread.join().expect("no panic");
    assert_eq!(at.only().outcome(), "ABORTED(generator_exit)");
}
