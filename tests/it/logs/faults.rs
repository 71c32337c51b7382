//! Loggers that panic, block or are shut down, and a panicking classification: the response is unaffected.

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

use super::{FnProcessor, Logs, open_body};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::client::Exchange;
use crate::support::recorder::Recorder;
use crate::support::{
    answering, explode, get, handle_of, panic_of, read, ready, response, without_deadlock,
};

#[test]
fn a_panicking_logger_changes_neither_the_response_nor_the_span() {
    for exchange in Exchange::all() {
        let recorder = Recorder::new();
        let logs = Logs::with(|builder| {
            builder.with_log_processor(FnProcessor(|_: &SdkLogRecord| -> () { explode() }))
        });
        let layer = logs
            .layer(&recorder)
            .lifecycle_events(LifecycleEvents::Both);
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());
        let traced = exchange.seen(&mut layer.layer(exchange.service(|_| {})), get());
        assert_eq!(traced, bare, "{}", exchange.name);
        assert_eq!(
            recorder.only().outcome(),
            exchange.outcome,
            "{}",
            exchange.name
        );
        assert_eq!(logs.names(), [""; 0], "{}", exchange.name);
    }
}

#[test]
fn a_logger_panic_at_one_event_does_not_stop_the_others() {
    let recorder = Recorder::new();
    let logs = Logs::with(|builder| {
        builder.with_log_processor(FnProcessor(|record: &SdkLogRecord| {
            if record.event_name() == Some("api.ARRIVED") {
                explode();
            }
        }))
    });
    let layer = logs
        .layer(&recorder)
        .lifecycle_events(LifecycleEvents::Both);
    let mut body = open_body(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    assert_eq!(
        logs.names(),
        ["api.ABORTED", "http.server.request.exception"]
    );
}

#[test]
fn a_logger_panic_during_unwinding_leaves_the_first_panic_in_place() {
    let recorder = Recorder::new();
    let logs = Logs::with(|builder| {
        builder.with_log_processor(FnProcessor(|_: &SdkLogRecord| -> () { explode() }))
    });
    let body = open_body(
        &logs.layer(&recorder),
        get(),
        200,
        ScriptedBody::new([Data(3)]),
    );
    let panic = panic_of(move || {
        let _body = body;
        panic!("elsewhere in the task");
    });
    assert_eq!(panic, "elsewhere in the task");
    assert_eq!(recorder.only().outcome(), "ABORTED(panic)");
}

#[test]
fn a_blocked_logger_leaves_the_handle_usable() {
    let (recorder, was_recording) = without_deadlock(|| {
        let recorder = Recorder::new();
        let (entered, is_entered) = channel();
        let (done, is_done): (Sender<()>, Receiver<()>) = channel();
        let channels = Mutex::new((entered, is_done));
        let logs = Logs::with(|builder| {
            builder.with_log_processor(FnProcessor(move |_: &SdkLogRecord| {
                let channels = channels.lock().expect("no panic");
                channels.0.send(()).expect("the other thread waits");
                channels.1.recv().expect("the other thread is done");
            }))
        });
        let mut handle = tower_api_span::SpanHandle::default();
        let mut body = {
            let mut service = answering(&logs.layer(&recorder), |request| {
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
            // Too late: the outcome is decided.
            handle.mark_aborted("generation_error", "too late");
            done.send(()).expect("the logger waits");
            is_recording
        });
        assert!(read(&mut body).is_err());
        (recorder, other.join().expect("no panic"))
    });
    assert!(was_recording, "the span is open while the logger blocks");
    let span = recorder.only();
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.attribute("test.late").as_deref(), Some("true"));
    let names: Vec<_> = span.0.events.iter().map(|event| &*event.name).collect();
    assert_eq!(names, ["api.ARRIVED", "late", "api.ABORTED"]);
}

/// A processor that enables events by severity, and records the calls to it.
#[derive(Debug)]
struct Filtering {
    is_enabled: fn(Severity) -> bool,
    queries: Queries,
    emitted: Arc<Mutex<Vec<Option<&'static str>>>>,
}

/// Severity, target and name of each `event_enabled` call.
type Queries = Arc<Mutex<Vec<(Severity, String, Option<String>)>>>;

impl LogProcessor for Filtering {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.emitted
            .lock()
            .expect("no panic")
            .push(record.event_name());
    }

    fn event_enabled(&self, severity: Severity, target: &str, name: Option<&str>) -> bool {
        let query = (severity, target.to_owned(), name.map(str::to_owned));
        self.queries.lock().expect("no panic").push(query);
        (self.is_enabled)(severity)
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[test]
fn an_event_disabled_by_the_logger_is_not_emitted() {
    let (queries, emitted) = (Queries::default(), Arc::default());
    let provider = SdkLoggerProvider::builder()
        .with_log_processor(Filtering {
            is_enabled: |severity| severity >= Severity::Error,
            queries: Arc::clone(&queries),
            emitted: Arc::clone(&emitted),
        })
        .build();
    let recorder = Recorder::new();
    let layer = recorder
        .layer()
        .logger_provider(&provider)
        .lifecycle_events(LifecycleEvents::AsLogs);
    let mut body = open_body(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    let query = |severity, name: &str| {
        let target = "tower-api-span".to_owned();
        (severity, target, Some(name.to_owned()))
    };
    let exception = "http.server.request.exception";
    assert_eq!(
        *queries.lock().expect("no panic"),
        [
            query(Severity::Info, "api.ARRIVED"),
            query(Severity::Info, "api.ABORTED"),
            query(Severity::Error, exception),
        ]
    );
    assert_eq!(*emitted.lock().expect("no panic"), [Some(exception)]);
}

#[test]
fn a_panicking_classification_emits_no_exception_event() {
    let (recorder, logs) = (Recorder::new(), Logs::new());
    let layer = logs
        .layer(&recorder)
        .lifecycle_events(LifecycleEvents::Both)
        .classify(|_| explode());
    let mut body = open_body(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    assert_eq!(logs.names(), ["api.ARRIVED"]);
    assert_eq!(recorder.only().outcome(), "none");
}

#[test]
fn a_logger_provider_that_is_shut_down_does_not_affect_the_span() {
    let (recorder, logs) = (Recorder::new(), Logs::new());
    let layer = logs.layer(&recorder);
    logs.provider
        .shutdown()
        .expect("the first shutdown succeeds");
    let mut body = open_body(&layer, get(), 200, ScriptedBody::new([Data(3), Error]));
    assert!(read(&mut body).is_err());
    assert_eq!(recorder.only().outcome(), "ABORTED(exception)");
}
