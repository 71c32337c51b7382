//! Recorders of spans, metrics and log events, and the comparison of served requests with them.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry_sdk::logs::{InMemoryLogExporter, InMemoryLogExporterBuilder, SdkLoggerProvider};
use tower_api_span::ApiSpanLayer;

use super::paths::PATHS;
use super::request::{Request, Verdicts};
use super::spans;
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen};

const DURATION: &str = "http.server.request.duration";
const RPC_DURATION: &str = "rpc.server.call.duration";

/// The recorders of all signals.
pub struct Recorders {
    recorder: Recorder,
    meters: Meters,
    loggers: SdkLoggerProvider,
    logs: InMemoryLogExporter,
}

/// A request whose span was checked.
pub struct Checked {
    pub path: &'static str,
    pub outcome: String,
    pub verdicts: Verdicts,
    /// A call returned before the last step began.
    pub has_calls_in_time: bool,
    /// A call began and did not return by then: it raced with the end.
    pub has_raced: bool,
}

/// The kind of a request in spans and metrics: whether it is gRPC, and its `error.type`.
type Kind = (bool, Option<String>);

/// The terminal event of a request: its name, `reason` and `error`.
type Terminal = (String, Option<String>, Option<String>);

impl Recorders {
    pub fn new() -> Self {
        let logs = InMemoryLogExporterBuilder::new().build();
        let loggers = SdkLoggerProvider::builder();
        Self {
            recorder: Recorder::new(),
            meters: Meters::new(),
            loggers: loggers.with_simple_exporter(logs.clone()).build(),
            logs,
        }
    }

    /// Sets the providers of `layer` to these recorders.
    pub fn attach(&self, layer: ApiSpanLayer) -> ApiSpanLayer {
        self.meters
            .on(layer)
            .tracer_provider(&self.recorder.provider)
            .logger_provider(&self.loggers)
    }

    /// Compares all signals of these requests with the calls on them, and with each other.
    pub fn check(&self, requests: &[Arc<Request>]) -> Vec<Checked> {
        assert_eq!(self.recorder.starts(), requests.len());
        assert_eq!(self.recorder.ends(), requests.len());
        let exported = self.recorder.exported().into_iter();
        let mut spans: HashMap<_, _> = exported
            .map(|span| (span.span_context.span_id(), span))
            .collect();
        let mut terminals = self.terminals();
        let mut kinds = HashMap::<Kind, u64>::new();
        let checked = requests.iter().map(|request| {
            let context = request.handle.context();
            let id = context.span().span_context().span_id();
            let path = &PATHS[request.path];
            let span = spans.remove(&id).expect("one span of each request");
            let seen = spans::check(request, span);
            let kind = (path.is_grpc, seen.attribute("error.type"));
            *kinds.entry(kind).or_default() += 1;
            let logged = terminals
                .remove(&id)
                .expect("one log event of each request");
            assert_eq!(logged, terminal(&seen), "{}", path.name);
            Checked {
                path: path.name,
                outcome: seen.outcome(),
                verdicts: request.verdicts,
                has_calls_in_time: request.all_counts().any(|count| count.in_time() > 0),
                has_raced: request
                    .all_counts()
                    .any(|count| count.begun() > count.in_time()),
            }
        });
        let checked = checked.collect();
        assert!(spans.is_empty() && terminals.is_empty());
        assert_eq!(self.meters.active(), 0);
        assert_eq!(self.measured(), kinds);
        checked
    }

    /// Returns the terminal events among the log events, at most one of each request.
    fn terminals(&self) -> HashMap<SpanId, Terminal> {
        let mut terminals = HashMap::new();
        for log in self.logs.get_emitted_logs().expect("logs") {
            let record = log.record;
            let name = record.event_name().expect("a name");
            if !["api.DEPARTED", "api.ABORTED"].contains(&name) {
                continue;
            }
            let attribute = |key: &str| {
                let mut all = record.attributes_iter();
                let (_, value) = all.find(|(known, _)| known.as_str() == key)?;
                match value {
                    AnyValue::String(text) => Some(text.to_string()),
                    other => panic!("{key} is {other:?}"),
                }
            };
            let terminal = (name.to_owned(), attribute("reason"), attribute("error"));
            let id = record.trace_context().expect("a trace").span_id;
            assert_eq!(terminals.insert(id, terminal), None, "two terminal events");
        }
        terminals
    }

    /// Returns how many requests of each kind were measured.
    fn measured(&self) -> HashMap<Kind, u64> {
        let mut kinds = HashMap::<Kind, u64>::new();
        for metric in [DURATION, RPC_DURATION] {
            for series in self.meters.of(metric) {
                let kind = (metric == RPC_DURATION, series.attribute("error.type"));
                *kinds.entry(kind).or_default() += Series::count(&series);
            }
        }
        kinds
    }
}

fn terminal(seen: &Seen) -> Terminal {
    let name = format!("api.{}", seen.attribute("api.outcome").expect("an outcome"));
    (name, seen.attribute("api.abort.reason"), seen.error())
}
