//! Instruments that panic, block or use the handle: the response, the span and the log events are unaffected.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use opentelemetry::metrics::{
    Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, MeterProvider,
    SyncInstrument, UpDownCounter,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tower_api_span::{ApiSpanLayer, LifecycleEvents, SpanHandle};
use tower_layer::Layer as _;

use super::endings::ALL;
use super::{CALL_DURATION, DURATION};
use crate::support::client::Exchange;
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::{defused, explode, get, handle_of, without_deadlock};

/// A provider whose instruments call this function with their name.
#[derive(Clone)]
pub struct Calling(Arc<dyn Fn(&str) + Send + Sync>);

struct Instrument {
    name: String,
    calls: Calling,
}

impl Calling {
    pub fn new(f: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(f))
    }

    fn instrument(&self, name: &str) -> Arc<Instrument> {
        Arc::new(Instrument {
            name: name.to_owned(),
            calls: self.clone(),
        })
    }
}

impl MeterProvider for Calling {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        (self.0)("meter");
        Meter::new(Arc::new(self.clone()))
    }
}

impl InstrumentProvider for Calling {
    fn i64_up_down_counter(
        &self,
        builder: InstrumentBuilder<'_, UpDownCounter<i64>>,
    ) -> UpDownCounter<i64> {
        UpDownCounter::new(self.instrument(&builder.name))
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        (self.0)("instrument");
        Histogram::new(self.instrument(&builder.name))
    }

    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        Histogram::new(self.instrument(&builder.name))
    }
}

impl<T> SyncInstrument<T> for Instrument {
    fn measure(&self, _: T, _: &[KeyValue]) {
        (self.calls.0)(&self.name);
    }
}

/// Turns on all metrics.
fn with_all_metrics(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer
        .active_requests(true)
        .body_sizes(true)
        .response_times(true)
        .gen_ai_metrics(true)
}

#[test]
fn a_panicking_instrument_changes_neither_the_response_nor_the_span_nor_the_logs() {
    for faulty in [
        "meter",
        "instrument",
        "http.server.active_requests",
        DURATION,
        "api.server.time_to_head",
        "http.server.response.body.size",
        "gen_ai.server.request.duration",
    ] {
        for exchange in Exchange::all() {
            let why = format!("{faulty}, {}", exchange.name);
            let without_fault = run_with_fault(&exchange, "none", &why);
            assert_eq!(
                run_with_fault(&exchange, faulty, &why),
                without_fault,
                "{why}"
            );
        }
    }
}

/// Runs an exchange while the `faulty` instrument panics. Checks the response and the span, and returns the
/// names of the log events.
fn run_with_fault(exchange: &Exchange, faulty: &'static str, why: &str) -> Vec<&'static str> {
    let recorder = Recorder::new();
    let exporter = InMemoryLogExporter::default();
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let provider = Calling::new(move |name| {
        if name == faulty {
            explode();
        }
    });
    let seen = defused(|| {
        let layer = recorder.layer().logger_provider(&loggers);
        let layer = layer.lifecycle_events(LifecycleEvents::Both);
        let layer = with_all_metrics(layer.meter_provider(&provider));
        let handler = |request: &http::Request<()>| {
            handle_of(request).gen_ai().operation_name("chat");
        };
        exchange.seen(&mut layer.layer(exchange.service(handler)), get())
    });
    let bare = exchange.seen(&mut exchange.service(|_| {}), get());
    assert_eq!(seen, bare, "{why}");
    assert_eq!(recorder.only().outcome(), exchange.outcome, "{why}");
    let logs = exporter.get_emitted_logs().expect("logs");
    let names = logs.iter().filter_map(|log| log.record.event_name());
    names.collect()
}

#[test]
fn a_panicking_instrument_during_unwinding_leaves_the_outcome_panic() {
    for ending in ALL
        .iter()
        .filter(|ending| ending.error_type == Some("panic"))
    {
        let recorder = Recorder::new();
        let provider = Calling::new(|name| {
            if !["meter", "instrument"].contains(&name) {
                explode();
            }
        });
        ending.run(&with_all_metrics(
            recorder.layer().meter_provider(&provider),
        ));
        assert_eq!(
            recorder.only().outcome(),
            "ABORTED(panic)",
            "{}",
            ending.name
        );
    }
}

#[test]
fn a_panicking_histogram_leaves_active_requests_balanced() {
    let balance = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&balance);
    let provider = Calling::new(move |name| {
        calls.lock().expect("not poisoned").push(name.to_owned());
        if [DURATION, CALL_DURATION].contains(&name) {
            explode();
        }
    });
    for ending in &ALL {
        ending.run(&with_all_metrics(
            ApiSpanLayer::new().meter_provider(&provider),
        ));
        let calls = std::mem::take(&mut *balance.lock().expect("not poisoned"));
        let active = calls
            .iter()
            .filter(|name| *name == "http.server.active_requests");
        assert_eq!(active.count(), 2, "{}: one up, one down", ending.name);
    }
}

#[test]
fn an_instrument_that_uses_the_handle_does_not_deadlock() {
    without_deadlock(|| {
        let handle = Arc::new(Mutex::new(SpanHandle::default()));
        let inside = Arc::clone(&handle);
        let called = Arc::new(Mutex::new(0));
        let counts = Arc::clone(&called);
        let provider = Calling::new(move |_| {
            let handle = inside.lock().expect("not poisoned").clone();
            handle.add_event("measured", Vec::new());
            handle.set_attribute(KeyValue::new("test.measured", true));
            handle.gen_ai().output_tokens(1);
            *counts.lock().expect("not poisoned") += usize::from(handle.is_recording());
        });
        let recorder = Recorder::new();
        let exchange = Exchange::all().remove(0);
        let layer = with_all_metrics(recorder.layer().meter_provider(&provider));
        let handler = |request: &http::Request<()>| {
            *handle.lock().expect("not poisoned") = handle_of(request);
        };
        exchange.seen(&mut layer.layer(exchange.service(handler)), get());
        let span = recorder.only();
        assert_eq!(span.outcome(), "DEPARTED");
        assert!(
            *called.lock().expect("not poisoned") > 0,
            "the instrument is called while the span is open"
        );
        assert_eq!(span.attribute("test.measured").as_deref(), Some("true"));
    });
}

#[test]
fn a_blocked_instrument_leaves_the_handle_usable() {
    without_deadlock(|| {
        let (block, blocked) = channel::<()>();
        let (release, released): (Sender<()>, Receiver<()>) = channel();
        let gate = Mutex::new((block, released));
        let provider = Calling::new(move |name| {
            if name == DURATION {
                let gate = gate.lock().expect("not poisoned");
                gate.0.send(()).expect("the test waits");
                gate.1.recv().expect("the test releases it");
            }
        });
        let recorder = Recorder::new();
        let layer = recorder.layer().meter_provider(&provider);
        let (sender, handle) = channel();
        let request = std::thread::spawn(move || {
            let exchange = Exchange::all().remove(0);
            let handler = move |request: &http::Request<()>| {
                sender.send(handle_of(request)).expect("the test waits");
            };
            exchange.seen(&mut layer.layer(exchange.service(handler)), get());
        });
        let handle = handle.recv().expect("a handle");
        blocked.recv().expect("the duration is recorded");
        assert!(handle.is_recording(), "the span is still open");
        handle.set_attribute(KeyValue::new("test.measured", true));
        release.send(()).expect("the instrument waits");
        request.join().expect("no panic");
        let span = recorder.only();
        assert_eq!(span.attribute("test.measured").as_deref(), Some("true"));
    });
}

#[test]
fn a_panicking_classification_records_the_duration_without_an_error_type() {
    for ending in &ALL {
        let meters = Meters::new();
        let layer = meters.layer().active_requests(true);
        defused(|| ending.run(&layer.classify(|_| explode())));
        let metric = if ending.is_grpc() {
            CALL_DURATION
        } else {
            DURATION
        };
        let series = meters.only(metric);
        assert_eq!(series.count(), 1, "{}", ending.name);
        assert_eq!(series.attribute("error.type"), None, "{}", ending.name);
        assert_eq!(meters.active(), 0, "{}", ending.name);
    }
}
