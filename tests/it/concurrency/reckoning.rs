//! What was served, held against spans, metrics and log events.

use std::collections::HashMap;
use std::sync::Arc;

use opentelemetry::logs::AnyValue;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry_sdk::logs::{InMemoryLogExporter, InMemoryLogExporterBuilder, SdkLoggerProvider};
use tower_api_span::ApiSpanLayer;

use super::paths::PATHS;
use super::said::{Request, Verdicts};
use super::spans;
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen};

const DURATION: &str = "http.server.request.duration";
const CALL_DURATION: &str = "rpc.server.call.duration";

/// All that tells of requests.
pub struct Books {
    recorder: Recorder,
    meters: Meters,
    loggers: SdkLoggerProvider,
    logs: InMemoryLogExporter,
}

/// What has come of a request, and how it was spoken to.
pub struct Came {
    pub path: &'static str,
    pub outcome: String,
    pub verdicts: Verdicts,
    /// Something was said before its last move began.
    pub was_heard: bool,
    /// Something was begun that was not said by then: it has raced with the end.
    pub has_raced: bool,
}

/// What tells requests apart, there and there: whether it is a call, and its `error.type`.
type Kind = (bool, Option<String>);

/// The terminal event of a request as a log event: its name, `reason` and `error`.
type Terminal = (String, Option<String>, Option<String>);

impl Books {
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

    /// `layer`, whose requests are in these books.
    pub fn on(&self, layer: ApiSpanLayer) -> ApiSpanLayer {
        self.meters
            .on(layer)
            .tracer_provider(&self.recorder.provider)
            .logger_provider(&self.loggers)
    }

    /// Holds all that tells of these requests against what was said to them, and one against the other.
    /// Returns what has come of each.
    pub fn reckon(&self, requests: &[Arc<Request>]) -> Vec<Came> {
        assert_eq!(self.recorder.starts(), requests.len());
        assert_eq!(self.recorder.ends(), requests.len());
        let exported = self.recorder.exported().into_iter();
        let mut spans: HashMap<_, _> = exported
            .map(|span| (span.span_context.span_id(), span))
            .collect();
        let mut terminals = self.terminals();
        let mut kinds = HashMap::<Kind, u64>::new();
        let outcomes = requests.iter().map(|request| {
            let context = request.handle.context();
            let id = context.span().span_context().span_id();
            let path = &PATHS[request.path];
            let span = spans.remove(&id).expect("a span for each, and once");
            let seen = spans::look_at(request, span);
            let kind = (path.is_call, seen.attribute("error.type"));
            *kinds.entry(kind).or_default() += 1;
            let logged = terminals.remove(&id).expect("a log event for each");
            assert_eq!(logged, terminal(&seen), "{}", path.name);
            Came {
                path: path.name,
                outcome: seen.outcome(),
                verdicts: request.verdicts,
                was_heard: request.all().any(|count| count.in_time() > 0),
                has_raced: request.all().any(|count| count.begun() > count.in_time()),
            }
        });
        let outcomes = outcomes.collect();
        assert!(spans.is_empty() && terminals.is_empty());
        assert_eq!(self.meters.active(), 0);
        assert_eq!(self.measured(), kinds);
        outcomes
    }

    /// The terminal events among the log events, each of which is there once.
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

    /// How many requests of each kind were measured.
    fn measured(&self) -> HashMap<Kind, u64> {
        let mut kinds = HashMap::<Kind, u64>::new();
        for metric in [DURATION, CALL_DURATION] {
            for series in self.meters.of(metric) {
                let kind = (metric == CALL_DURATION, series.attribute("error.type"));
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
