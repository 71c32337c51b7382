//! A span processor panics, or uses the current span while a span ends.

use std::fmt::Debug;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tower::Service;
use tower_api_span::SpanHandle;
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::client::Exchange;
use crate::support::recorder::{Recorder, is_server};
use crate::support::{
    answering, explode, get, handle_of, panic_of, read, ready, response, without_deadlock,
};

/// A processor that calls these functions.
struct CallbackProcessor<S, E> {
    on_start: S,
    on_end: E,
}

impl<S, E> Debug for CallbackProcessor<S, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CallbackProcessor")
    }
}

impl<S, E> SpanProcessor for CallbackProcessor<S, E>
where
    S: Fn() + Send + Sync,
    E: Fn(&SpanData) + Send + Sync,
{
    fn on_start(&self, _: &mut Span, _: &Context) {
        (self.on_start)();
    }

    fn on_end(&self, span: SpanData) {
        (self.on_end)(&span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

fn recorder<S, E>(on_start: S, on_end: E) -> Recorder
where
    S: Fn() + Send + Sync + 'static,
    E: Fn(&SpanData) + Send + Sync + 'static,
{
    Recorder::with(|builder| builder.with_span_processor(CallbackProcessor { on_start, on_end }))
}

#[test]
fn processor_that_panics_on_start_leaves_a_span_without_outcome() {
    for exchange in Exchange::all() {
        let at = recorder(|| explode(), |_| {});
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());
        let traced = exchange.seen(&mut at.layer().layer(exchange.service(|_| {})), get());
        assert_eq!(traced, bare, "{}", exchange.name);
        assert_eq!((at.starts(), at.ends()), (1, 1), "{}", exchange.name);
        assert_eq!(at.only().outcome(), "none", "{}", exchange.name);
    }
}

#[test]
fn processor_that_panics_on_end_exports_the_span_once() {
    for exchange in Exchange::all() {
        let at = recorder(|| {}, |_| explode());
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());
        let traced = exchange.seen(&mut at.layer().layer(exchange.service(|_| {})), get());
        assert_eq!(traced, bare, "{}", exchange.name);
        assert_eq!((at.starts(), at.ends()), (1, 1), "{}", exchange.name);
        assert_eq!(at.only().outcome(), exchange.outcome, "{}", exchange.name);
    }
}

#[test]
fn processor_that_panics_during_unwinding_exports_the_span_once() {
    let at = recorder(|| {}, |_| explode());
    let mut service = answering(&at.layer(), |_| response(200, ScriptedBody::new([Data(3)])));
    let body = ready(service.call(get())).expect("a response").into_body();
    let panic = panic_of(move || {
        let _body = body;
        panic!("elsewhere in the task");
    });
    assert_eq!(panic, "elsewhere in the task");
    assert_eq!((at.starts(), at.ends()), (1, 1));
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
}

/// For each end: whether the current span was the one that ended, and whether it was recording.
type Observations = Arc<Mutex<Vec<(bool, bool)>>>;

/// Returns a recorder whose processor reads and changes the current span whenever a span ends.
fn meddling_recorder() -> (Recorder, Observations) {
    let observations = Observations::default();
    let at = recorder(|| {}, {
        let observations = Arc::clone(&observations);
        move |ended| {
            if !is_server(ended) {
                return;
            }
            let context = Context::current();
            let span = context.span();
            let is_ended_span = *span.span_context() == ended.span_context;
            let recording = span.is_recording();
            span.set_attribute(KeyValue::new("test.meddled", true));
            span.add_event("meddled", Vec::new());
            span.set_status(Status::error("meddled"));
            span.update_name("meddled");
            span.end();
            observations
                .lock()
                .expect("not poisoned")
                .push((is_ended_span, recording));
        }
    });
    (at, observations)
}

/// Returns the body of an open response, and the handle of its request.
fn open(at: &Recorder) -> (tower_api_span::ResponseBody<ScriptedBody>, SpanHandle) {
    let mut handle = SpanHandle::default();
    let body = {
        let mut service = answering(&at.layer(), |request| {
            handle = handle_of(&request);
            response(200, ScriptedBody::new([Data(3)]))
        });
        ready(service.call(get())).expect("a response").into_body()
    };
    (body, handle)
}

#[test]
fn processor_that_uses_the_current_span_does_not_deadlock() {
    for (ending, end, outcome) in [
        (
            "read",
            (|mut body| drop(read(&mut body))) as fn(tower_api_span::ResponseBody<ScriptedBody>),
            "DEPARTED",
        ),
        ("dropped", drop, "ABORTED(generator_exit)"),
    ] {
        // The span's context is not attached: the span is never current while it ends.
        let (at, observations) = without_deadlock(move || {
            let (at, observations) = meddling_recorder();
            end(open(&at).0);
            (at, observations)
        });
        assert_eq!(at.only().outcome(), outcome, "{ending}");
        assert_eq!(
            *observations.lock().expect("not poisoned"),
            [(false, false)],
            "{ending}"
        );

        // The same thread has the context attached, further out.
        let (at, observations) = without_deadlock(move || {
            let (at, observations) = meddling_recorder();
            let (body, handle) = open(&at);
            let _attached = handle.context().attach();
            end(body);
            (at, observations)
        });
        assert_eq!(at.only().outcome(), outcome, "{ending}, attached");
        assert_eq!(
            *observations.lock().expect("not poisoned"),
            [(true, false)],
            "{ending}, attached"
        );
        assert_eq!(at.only().attribute("test.meddled"), None);

        // Another thread has the context attached and uses it throughout.
        let (at, observations) = without_deadlock(move || {
            let (at, observations) = meddling_recorder();
            let (body, handle) = open(&at);
            let (attached, is_attached) = channel();
            let other = thread::spawn(move || {
                let _attached = handle.context().attach();
                attached.send(()).expect("the test waits");
                let context = Context::current();
                while context.span().is_recording() {
                    context
                        .span()
                        .set_attribute(KeyValue::new("test.other", true));
                    thread::yield_now();
                }
            });
            is_attached.recv().expect("attached");
            end(body);
            other.join().expect("no panic");
            (at, observations)
        });
        assert_eq!(at.only().outcome(), outcome, "{ending}, elsewhere");
        assert_eq!(
            *observations.lock().expect("not poisoned"),
            [(false, false)],
            "{ending}, elsewhere"
        );
    }
}

#[test]
fn the_context_is_current_while_a_callback_reads_the_completion_and_not_while_the_span_ends() {
    for (ending, end) in [
        (
            "read",
            (|mut body| drop(read(&mut body))) as fn(tower_api_span::ResponseBody<ScriptedBody>),
        ),
        ("dropped", drop),
    ] {
        let (at, observations) = without_deadlock(move || {
            let (at, observations) = meddling_recorder();
            let layer = at.layer().tracing_span(true).on_completion(|completion| {
                let current = Context::current().span().span_context().span_id();
                assert_eq!(current, completion.span_id(), "it is current");
                // The layer catches panics here, so the attribute shows that there was none.
                let span = Context::current();
                span.span()
                    .set_attribute(KeyValue::new("test.called", true));
            });
            let mut service = answering(&layer, |_| response(200, ScriptedBody::new([Data(3)])));
            end(ready(service.call(get())).expect("a response").into_body());
            (at, observations)
        });
        let seen = observations.lock().expect("not poisoned").clone();
        assert_eq!(seen, [(false, false)], "{ending}");
        let called = at.only().attribute("test.called");
        assert_eq!(called.as_deref(), Some("true"), "{ending}");
    }
}

#[test]
fn processor_that_uses_the_current_span_during_unwinding_does_not_deadlock() {
    let (at, observations) = without_deadlock(|| {
        let (at, observations) = meddling_recorder();
        let mut service = answering(&at.layer(), |_| -> http::Response<String> {
            panic!("in call");
        });
        assert_eq!(panic_of(|| service.call(get())), "in call");
        (at, observations)
    });
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
    assert_eq!(
        *observations.lock().expect("not poisoned"),
        [(false, false)]
    );
}
