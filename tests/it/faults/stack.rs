//! The thread's stack of contexts is in use, or gone with the thread: nothing can be attached, and
//! everything else goes on.

use std::any::Any;
use std::cell::RefCell;

use opentelemetry::Context;
use tower::Service;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, read, ready, response};

#[test]
fn the_stack_is_in_use_and_the_request_is_served() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
    // In there the stack is borrowed, and attaching panics.
    Context::map_current(|_| {
        let mut body = ready(service.call(get())).expect("a response").into_body();
        assert_eq!(read(&mut body), Ok(b"xxx".to_vec()));
    });
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn the_stack_is_in_use_and_a_body_is_dropped_while_unwinding() {
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
fn the_thread_is_gone_and_what_it_kept_ends_its_span() {
    thread_local!(static KEPT: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) });
    let at = Recorder::new();
    let thread = std::thread::spawn({
        let at = at.clone();
        move || {
            // Used first, so that it is destroyed last, after the stack of contexts.
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
