//! A span processor panics, or looks at the span that is current while it is told of an end.

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

/// A processor that calls these.
struct Calls<S, E> {
    on_start: S,
    on_end: E,
}

impl<S, E> Debug for Calls<S, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Calls")
    }
}

impl<S, E> SpanProcessor for Calls<S, E>
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
    Recorder::with(|builder| builder.with_span_processor(Calls { on_start, on_end }))
}

#[test]
fn a_processor_panics_at_the_start_and_the_span_ends_there() {
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
fn a_processor_panics_at_the_end_and_the_span_is_exported_once() {
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
fn a_processor_panics_while_unwinding_and_the_span_is_exported_once() {
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

/// What the processor below has read of the span that was current: whose it is, and whether it was
/// still recording.
type Answers = Arc<Mutex<Vec<(bool, bool)>>>;

/// A recorder with a processor that reads and changes whatever span is current at an end.
fn nosy() -> (Recorder, Answers) {
    let answers = Answers::default();
    let at = recorder(|| {}, {
        let answers = Arc::clone(&answers);
        move |ended| {
            if !is_server(ended) {
                return;
            }
            let context = Context::current();
            let span = context.span();
            let its_own = *span.span_context() == ended.span_context;
            let recording = span.is_recording();
            span.set_attribute(KeyValue::new("test.nosy", true));
            span.add_event("nosy", Vec::new());
            span.set_status(Status::error("nosy"));
            span.update_name("nosy");
            span.end();
            answers
                .lock()
                .expect("not poisoned")
                .push((its_own, recording));
        }
    });
    (at, answers)
}

/// The body of a response, and the handle of its request.
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
fn a_processor_looks_at_the_current_span_and_nothing_waits() {
    for (ending, end, outcome) in [
        (
            "read",
            (|mut body| drop(read(&mut body))) as fn(tower_api_span::ResponseBody<ScriptedBody>),
            "DEPARTED",
        ),
        ("dropped", drop, "ABORTED(generator_exit)"),
    ] {
        // Nobody has the span's context attached: it is never current while it ends.
        let (at, answers) = without_deadlock(move || {
            let (at, answers) = nosy();
            end(open(&at).0);
            (at, answers)
        });
        assert_eq!(at.only().outcome(), outcome, "{ending}");
        assert_eq!(
            *answers.lock().expect("not poisoned"),
            [(false, false)],
            "{ending}"
        );

        // The same thread has, further out.
        let (at, answers) = without_deadlock(move || {
            let (at, answers) = nosy();
            let (body, handle) = open(&at);
            let _attached = handle.context().attach();
            end(body);
            (at, answers)
        });
        assert_eq!(at.only().outcome(), outcome, "{ending}, attached");
        assert_eq!(
            *answers.lock().expect("not poisoned"),
            [(true, false)],
            "{ending}, attached"
        );
        assert_eq!(at.only().attribute("test.nosy"), None);

        // Another thread has, and uses it all the while.
        let (at, answers) = without_deadlock(move || {
            let (at, answers) = nosy();
            let (body, handle) = open(&at);
            let (attached, is_attached) = channel();
            let other = thread::spawn(move || {
                let _attached = handle.context().attach();
                attached.send(()).expect("somebody waits");
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
            (at, answers)
        });
        assert_eq!(at.only().outcome(), outcome, "{ending}, elsewhere");
        assert_eq!(
            *answers.lock().expect("not poisoned"),
            [(false, false)],
            "{ending}, elsewhere"
        );
    }
}

#[test]
fn a_processor_looks_at_the_current_span_while_the_inside_unwinds_and_nothing_waits() {
    let (at, answers) = without_deadlock(|| {
        let (at, answers) = nosy();
        let mut service = answering(&at.layer(), |_| -> http::Response<String> {
            panic!("in call");
        });
        assert_eq!(panic_of(|| service.call(get())), "in call");
        (at, answers)
    });
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
    assert_eq!(*answers.lock().expect("not poisoned"), [(false, false)]);
}
