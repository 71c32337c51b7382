//! A logger that fails, and what is broken beside it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::KeyValue;
use opentelemetry::logs::Severity;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use tower::Service;
use tower_api_span::LifecycleEvents;
use tower_layer::Layer as _;

use super::{Calls, Logs, body_of};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::client::Exchange;
use crate::support::recorder::Recorder;
use crate::support::{
    answering, explode, get, handle_of, panic_of, read, ready, response, without_deadlock,
};

#[test]
fn a_logger_panics_and_nobody_notices() {
    for exchange in Exchange::all() {
        let at = Recorder::new();
        let logs = Logs::with(|builder| {
            builder.with_log_processor(Calls(|_: &SdkLogRecord| -> () { explode() }))
        });
        let layer = logs.layer(&at).lifecycle_events(LifecycleEvents::Both);
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());
        let traced = exchange.seen(&mut layer.layer(exchange.service(|_| {})), get());
        assert_eq!(traced, bare, "{}", exchange.name);
        assert_eq!(at.only().outcome(), exchange.outcome, "{}", exchange.name);
        assert_eq!(logs.names(), [""; 0], "{}", exchange.name);
    }
}

#[test]
fn a_logger_panics_at_one_event_and_the_others_are_emitted() {
    let at = Recorder::new();
    let logs = Logs::with(|builder| {
        builder.with_log_processor(Calls(|record: &SdkLogRecord| {
            if record.event_name() == Some("api.ARRIVED") {
                explode();
            }
        }))
    });
    let layer = logs.layer(&at).lifecycle_events(LifecycleEvents::Both);
    let mut body = body_of(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    assert_eq!(
        logs.names(),
        ["api.ABORTED", "http.server.request.exception"]
    );
}

#[test]
fn a_logger_panics_while_unwinding_and_the_first_panic_goes_on() {
    let at = Recorder::new();
    let logs = Logs::with(|builder| {
        builder.with_log_processor(Calls(|_: &SdkLogRecord| -> () { explode() }))
    });
    let body = body_of(&logs.layer(&at), get(), 200, ScriptedBody::new([Data(3)]));
    let panic = panic_of(move || {
        let _body = body;
        panic!("elsewhere in the task");
    });
    assert_eq!(panic, "elsewhere in the task");
    assert_eq!(at.only().outcome(), "ABORTED(panic)");
}

#[test]
fn a_slow_logger_holds_no_lock() {
    let (at, late) = without_deadlock(|| {
        let at = Recorder::new();
        let (entered, is_entered) = channel();
        let (done, is_done): (Sender<()>, Receiver<()>) = channel();
        let waits = Mutex::new((entered, is_done));
        let logs = Logs::with(|builder| {
            builder.with_log_processor(Calls(move |_: &SdkLogRecord| {
                let waits = waits.lock().expect("no panic");
                waits.0.send(()).expect("somebody waits");
                waits.1.recv().expect("somebody is done");
            }))
        });
        let mut handle = tower_api_span::SpanHandle::default();
        let mut body = {
            let mut service = answering(&logs.layer(&at), |request| {
                handle = handle_of(&request);
                response(200, ScriptedBody::new([Data(3), Error]))
            });
            ready(service.call(get())).expect("a response").into_body()
        };
        let other = thread::spawn(move || {
            is_entered.recv().expect("the logger is called");
            let is_recording = handle.is_recording();
            handle.add_event("late", Vec::new());
            handle.set_attribute(KeyValue::new("test.late", true));
            // Too late: it is decided.
            handle.abort("generation_error", "too late");
            thread::sleep(Duration::from_millis(5));
            done.send(()).expect("the logger waits");
            is_recording
        });
        assert!(read(&mut body).is_err());
        (at, other.join().expect("no panic"))
    });
    assert!(late, "the span is open all the while");
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.attribute("test.late").as_deref(), Some("true"));
    let names: Vec<_> = span.0.events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["api.ARRIVED", "late", "api.ABORTED"]);
}

/// A processor that wants only what `wants` says, and takes down what it is asked.
#[derive(Debug)]
struct Picky {
    wants: fn(Severity) -> bool,
    asked: Asked,
    got: Arc<Mutex<Vec<Option<&'static str>>>>,
}

/// Severity, target and name.
type Asked = Arc<Mutex<Vec<(Severity, String, Option<String>)>>>;

impl LogProcessor for Picky {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.got.lock().expect("no panic").push(record.event_name());
    }

    fn event_enabled(&self, severity: Severity, target: &str, name: Option<&str>) -> bool {
        let asked = (severity, target.to_owned(), name.map(str::to_owned));
        self.asked.lock().expect("no panic").push(asked);
        (self.wants)(severity)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn what_nobody_wants_is_not_emitted() {
    let (asked, got) = (Asked::default(), Arc::default());
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(Picky {
            wants: |severity| severity >= Severity::Error,
            asked: Arc::clone(&asked),
            got: Arc::clone(&got),
        })
        .build();
    let at = Recorder::new();
    let layer = at
        .layer()
        .logger_provider(&provider)
        .lifecycle_events(LifecycleEvents::AsLogs);
    let mut body = body_of(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    let of = |severity, name: &str| {
        let target = "tower-api-span".to_owned();
        (severity, target, Some(name.to_owned()))
    };
    let exception = "http.server.request.exception";
    assert_eq!(
        *asked.lock().expect("no panic"),
        [
            of(Severity::Info, "api.ARRIVED"),
            of(Severity::Info, "api.ABORTED"),
            of(Severity::Error, exception),
        ]
    );
    assert_eq!(*got.lock().expect("no panic"), [Some(exception)]);
}

#[test]
fn a_classification_panics_and_there_is_no_exception() {
    let (at, logs) = (Recorder::new(), Logs::new());
    let layer = logs
        .layer(&at)
        .lifecycle_events(LifecycleEvents::Both)
        .classify(|_, _, _| explode());
    let mut body = body_of(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    assert_eq!(logs.names(), ["api.ARRIVED"]);
    assert_eq!(at.only().outcome(), "none");
}

#[test]
fn a_provider_that_is_shut_down_is_no_harm() {
    let (at, logs) = (Recorder::new(), Logs::new());
    let layer = logs.layer(&at);
    logs.provider.shutdown().expect("once");
    let mut body = body_of(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    assert_eq!(at.only().outcome(), "ABORTED(exception)");
}
