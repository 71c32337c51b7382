//! Recorders of metrics and log events, and what they must contain of a request by the oracle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry::metrics::{
    Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter, MeterProvider,
    SyncInstrument, UpDownCounter,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};

use super::oracle::{Ended, Oracle};
use crate::support::body::Boom;

/// One measurement of a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    pub metric: String,
    pub value: f64,
    pub attributes: BTreeMap<String, String>,
}

/// A meter provider that keeps each measurement.
#[derive(Clone, Default)]
pub struct MetricsRecorder {
    measurements: Arc<Mutex<Vec<Measurement>>>,
    /// The number of active requests, by series.
    active: Arc<Mutex<BTreeMap<Vec<String>, i64>>>,
}

struct Instrument(String, MetricsRecorder);

impl MetricsRecorder {
    /// Returns the durations of requests.
    pub fn measurements(&self) -> Vec<Measurement> {
        let mut all = self.all();
        let durations = ["http.server.request.duration", "rpc.server.call.duration"];
        all.retain(|one| durations.contains(&one.metric.as_str()));
        all
    }

    /// Returns the measurements of all histograms.
    pub fn all(&self) -> Vec<Measurement> {
        self.measurements.lock().expect("not poisoned").clone()
    }

    fn record(&self, metric: &str, value: f64, attributes: &[KeyValue]) {
        let count = attributes.len();
        let attributes: BTreeMap<_, _> = attributes
            .iter()
            .map(|one| (one.key.to_string(), one.value.to_string()))
            .collect();
        assert_eq!(attributes.len(), count, "a key is there twice");
        let mut measurements = self.measurements.lock().expect("not poisoned");
        measurements.push(Measurement {
            metric: metric.to_owned(),
            value,
            attributes,
        });
    }

    /// Returns the numbers of active requests by method and scheme, without zeros.
    pub fn active(&self) -> BTreeMap<Vec<String>, i64> {
        let mut active = self.active.lock().expect("not poisoned").clone();
        active.retain(|_, requests| *requests != 0);
        active
    }

    fn instrument(&self, name: &str) -> Arc<Instrument> {
        Arc::new(Instrument(name.to_owned(), self.clone()))
    }
}

impl MeterProvider for MetricsRecorder {
    fn meter_with_scope(&self, _: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(self.clone()))
    }
}

impl InstrumentProvider for MetricsRecorder {
    fn i64_up_down_counter(
        &self,
        builder: InstrumentBuilder<'_, UpDownCounter<i64>>,
    ) -> UpDownCounter<i64> {
        UpDownCounter::new(self.instrument(&builder.name))
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        Histogram::new(self.instrument(&builder.name))
    }

    fn u64_histogram(&self, builder: HistogramBuilder<'_, Histogram<u64>>) -> Histogram<u64> {
        Histogram::new(self.instrument(&builder.name))
    }
}

impl SyncInstrument<f64> for Instrument {
    fn measure(&self, value: f64, attributes: &[KeyValue]) {
        let Self(name, recorder) = self;
        recorder.record(name, value, attributes);
    }
}

impl SyncInstrument<u64> for Instrument {
    fn measure(&self, value: u64, attributes: &[KeyValue]) {
        let Self(name, recorder) = self;
        let value = u32::try_from(value).expect("a small body");
        recorder.record(name, value.into(), attributes);
    }
}

impl SyncInstrument<i64> for Instrument {
    fn measure(&self, more: i64, attributes: &[KeyValue]) {
        let Self(name, recorder) = self;
        assert_eq!(name, "http.server.active_requests");
        let mut series: Vec<_> = attributes.iter().map(|one| one.value.to_string()).collect();
        series.sort();
        let mut active = recorder.active.lock().expect("not poisoned");
        *active.entry(series).or_default() += more;
    }
}

/// Returns the numbers of requests that have not ended, by method and scheme.
pub fn active<'a>(oracles: impl Iterator<Item = &'a Oracle>) -> BTreeMap<Vec<String>, i64> {
    let mut active = BTreeMap::new();
    for oracle in oracles.filter(|oracle| oracle.ended().is_none()) {
        let series = vec![oracle.method().to_string(), "http".to_owned()];
        *active.entry(series).or_default() += 1;
    }
    active
}

/// Returns the measurement of a request that took so many seconds. With the default settings it is the only one.
pub fn measurement(oracle: &Oracle, seconds: f64) -> Measurement {
    let ended = oracle.ended().expect("an end");
    let mut attributes = BTreeMap::new();
    let mut set = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            attributes.insert(key.to_owned(), value);
        }
    };
    if ended.is_grpc {
        let method = if ended.is_known_method {
            "pkg.Service/Method"
        } else {
            "_OTHER"
        };
        set("rpc.system.name", Some("grpc".to_owned()));
        set("rpc.method", Some(method.to_owned()));
        set("rpc.status_code", ended.grpc_code.map(str::to_owned));
    } else {
        let status = ended.status.map(|status| status.to_string());
        let route = ended.route.map(str::to_owned);
        set("http.request.method", Some(oracle.method().to_string()));
        set("url.scheme", Some("http".to_owned()));
        let version = oracle.protocol_version();
        set("network.protocol.version", Some(version.to_owned()));
        set("http.response.status_code", status);
        set("http.route", route);
    }
    set("error.type", ended.error_type.clone());
    Measurement {
        metric: if ended.is_grpc {
            "rpc.server.call.duration".to_owned()
        } else {
            "http.server.request.duration".to_owned()
        },
        value: seconds,
        attributes,
    }
}

/// A log event: its name, severity and attributes.
#[derive(Clone, Debug, PartialEq)]
pub struct LogEvent(&'static str, Severity, BTreeMap<String, String>);

/// A logger provider that keeps each log event.
#[derive(Clone)]
pub struct LogsRecorder {
    pub provider: SdkLoggerProvider,
    exporter: InMemoryLogExporter,
}

impl LogsRecorder {
    pub fn new() -> Self {
        let exporter = InMemoryLogExporter::default();
        let provider = SdkLoggerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        Self { provider, exporter }
    }

    /// Returns the log events in order, by span id; the id is empty without a span.
    pub fn by_span(&self) -> BTreeMap<String, Vec<LogEvent>> {
        let mut all = BTreeMap::<_, Vec<_>>::new();
        for log in self.exporter.get_emitted_logs().expect("logs") {
            let record = &log.record;
            let span = record.trace_context().map(|context| context.span_id);
            let attributes = record.attributes_iter().map(|(key, value)| match value {
                AnyValue::String(text) => (key.to_string(), text.as_str().to_owned()),
                other => (key.to_string(), format!("{other:?}")),
            });
            let event = LogEvent(
                record.event_name().expect("a name"),
                record.severity_number().expect("a severity"),
                attributes.collect(),
            );
            let span = span.map(|span| span.to_string()).unwrap_or_default();
            all.entry(span).or_default().push(event);
        }
        all
    }
}

/// Returns the log events of a request in order.
pub fn log_events(ended: &Ended, has_lifecycle: bool) -> Vec<LogEvent> {
    let mut events = Vec::new();
    if has_lifecycle {
        let info = |name, attributes| LogEvent(name, Severity::Info, attributes);
        events.push(info("api.ARRIVED", BTreeMap::new()));
        if ended.events.contains(&"api.FIRST_RESPONSE_FROM_CORE") {
            events.push(info("api.FIRST_RESPONSE_FROM_CORE", BTreeMap::new()));
        }
        events.push(match ended.reason {
            None => info("api.DEPARTED", BTreeMap::new()),
            Some(reason) => {
                let mut attributes = BTreeMap::from([("reason".to_owned(), reason.to_owned())]);
                let error = ended.error.clone();
                attributes.extend(error.map(|error| ("error".to_owned(), error)));
                let code = ended.error_code.clone();
                attributes.extend(code.map(|code| ("code".to_owned(), code)));
                info("api.ABORTED", attributes)
            }
        });
    }
    events.extend(ended.exception.as_ref().map(|exception| {
        let kind = exception.kind.unwrap_or(std::any::type_name::<Boom>());
        let mut attributes = BTreeMap::from([("exception.type".to_owned(), kind.to_owned())]);
        let message = ended.error.clone();
        attributes.extend(message.map(|message| ("exception.message".to_owned(), message)));
        LogEvent(
            if ended.is_grpc {
                "rpc.server.call.exception"
            } else {
                "http.server.request.exception"
            },
            if exception.is_error {
                Severity::Error
            } else {
                Severity::Debug
            },
            attributes,
        )
    }));
    events
}
