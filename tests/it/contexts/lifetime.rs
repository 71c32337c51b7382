//! The span's lifetime: only the response ends it. A context, handle or thread that outlives the
//! response neither keeps the span open nor keeps its data alive.

use std::sync::mpsc::channel;
use std::thread;

use http::Request;
use opentelemetry::trace::{SpanContext, TraceContextExt as _, TraceFlags};
use opentelemetry::{Context, KeyValue};
use tower::Service;
use tower_api_span::SpanHandle;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Trailers};
use crate::support::foreign::Foreign;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, handle_of, poll_frame, read, ready, response};

/// All parts of a request that a handler can keep.
struct Kept {
    context: Context,
    handle: SpanHandle,
    request: Request<()>,
}

impl Kept {
    fn new(request: Request<()>) -> Self {
        Self {
            context: Context::current(),
            handle: handle_of(&request),
            request,
        }
    }

    #[track_caller]
    fn assert_inert(&self) {
        assert!(!self.context.span().is_recording());
        assert!(!self.handle.is_recording());
        assert!(!handle_of(&self.request).is_recording());
        assert!(!self.handle.context().span().is_recording());
    }
}

#[test]
fn context_and_handle_that_outlive_the_response_do_not_prolong_the_span() {
    let recorder = Recorder::new();
    let mut kept = None;
    let mut service = answering(&recorder.layer(), |request| {
        kept = Some(Kept::new(request));
        response(200, ScriptedBody::new([Data(3)]))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    // The span has ended although the body has not been dropped.
    let span = recorder.only();
    assert_eq!(span.outcome(), "DEPARTED");
    drop(service);
    let kept = kept.expect("a request");
    kept.assert_inert();
    // A late child still has the span as its parent.
    assert_eq!(*kept.context.span().span_context(), span.0.span_context);
    let _attached = kept.handle.context().attach();
    recorder.child("late");
    assert_eq!(
        recorder.named("late").parent_span_id,
        span.0.span_context.span_id()
    );
    assert_eq!(recorder.only().0.end_time, span.0.end_time);
}

#[test]
fn context_and_handle_that_outlive_the_response_do_not_keep_the_span_alive() {
    for (name, tracer) in [
        ("recording", Foreign::new()),
        ("unsampled", Foreign::new().recording(false)),
        (
            "without ids",
            Foreign::new().with_span_context(SpanContext::NONE),
        ),
    ] {
        let mut kept = None;
        let mut service = answering(&tracer.layer(), |request| {
            kept = Some(Kept::new(request));
            response(200, ScriptedBody::new([Data(3)]))
        });
        let mut body = ready(service.call(get())).expect("a response").into_body();
        assert_eq!(tracer.counts(), (1, 0, 0), "{name}");
        read(&mut body).expect("bytes");
        assert_eq!(tracer.counts(), (1, 1, 1), "{name}");
        drop(body);
        drop(service);
        let kept = kept.expect("a request");
        kept.assert_inert();
        drop(kept);
        assert_eq!(tracer.counts(), (1, 1, 1), "{name}");
    }
}

#[test]
fn thread_that_outlives_the_response_does_not_prolong_the_span() {
    let recorder = Recorder::new();
    let (ended, has_ended) = channel::<()>();
    let mut has_ended = Some(has_ended);
    let mut task = None;
    let mut service = answering(&recorder.layer(), |request| {
        let (handle, recorder) = (handle_of(&request), recorder.clone());
        let has_ended = has_ended.take().expect("one request");
        task = Some(thread::spawn(move || {
            let _attached = handle.context().attach();
            has_ended.recv().expect("the response ends");
            handle.set_attribute(KeyValue::new("test.late", true));
            recorder.child("late");
        }));
        response(200, ScriptedBody::new([Data(3)]))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    let span = recorder.only();
    assert_eq!(span.outcome(), "DEPARTED");
    ended.send(()).expect("the thread waits");
    drop(service);
    task.expect("a request").join().expect("no panic");
    assert_eq!(recorder.only().attribute("test.late"), None);
    assert_eq!(
        recorder.named("late").parent_span_id,
        span.0.span_context.span_id()
    );
}

#[test]
fn handler_that_calls_end_does_not_end_the_span() {
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |request| {
        let context = handle_of(&request).context();
        context.span().end();
        context
            .span()
            .end_with_timestamp(std::time::SystemTime::UNIX_EPOCH);
        Context::current().span().end();
        assert!(context.span().is_recording());
        context.span().add_event("after", Vec::new());
        response(200, ScriptedBody::new([Data(3), Trailers(&[])]))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert_eq!(recorder.ends(), 0);
    let _ = poll_frame(&mut body);
    assert_eq!(recorder.ends(), 0);
    let _ = poll_frame(&mut body);
    let span = recorder.only();
    assert_eq!(span.outcome(), "DEPARTED");
    assert_eq!(span.events(), ["api.ARRIVED", "after", "api.DEPARTED"]);
    assert!(span.0.start_time <= span.0.end_time);
}

#[test]
fn handler_that_drops_the_last_context_does_not_end_the_span() {
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |mut request| {
        // The extensions hold the handle.
        request.extensions_mut().clear();
        drop(request);
        response(200, ScriptedBody::new([Data(3)]))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    assert_eq!((recorder.starts(), recorder.ends()), (1, 0));
    read(&mut body).expect("bytes");
    assert_eq!(recorder.only().outcome(), "DEPARTED");
    assert_eq!(
        recorder.only().0.span_context.trace_flags(),
        TraceFlags::SAMPLED
    );
}
