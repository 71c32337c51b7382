//! A subscriber that keeps the lines of the access log, and the line of a request by the oracle.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use http::Version;
use opentelemetry::trace::SpanContext;
use tower_api_span::{AccessLog, ApiSpanLayer};
use tracing::callsite::rebuild_interest_cache;
use tracing::dispatcher::{Dispatch, with_default};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

use super::oracle::Oracle;
use crate::tracing_output::serve;

/// A line of the access log: its level and its fields, of which `message` is one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    pub level: String,
    pub fields: BTreeMap<String, String>,
}

impl Line {
    /// Removes a field, which is a time in milliseconds, and returns it in seconds.
    pub fn take_seconds(&mut self, field: &str) -> Option<f64> {
        let text = self.fields.remove(field)?;
        Some(text.parse::<f64>().expect("a number") / 1_000.0)
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let fields = &mut self.fields;
        let earlier = fields.insert(field.name().to_owned(), format!("{value:?}"));
        assert_eq!(earlier, None, "{} is there twice", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields
            .insert(field.name().to_owned(), value.to_owned());
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "tower_api_span::access_log" {
            return;
        }
        let mut line = Line {
            level: event.metadata().level().to_string(),
            ..Line::default()
        };
        event.record(&mut line);
        self.0.lock().expect("not poisoned").push(line);
    }
}

impl Lines {
    fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.0.lock().expect("not poisoned"))
    }
}

thread_local! {
    /// One for the thread: each new subscriber makes `tracing` ask all of them about each event.
    static SUBSCRIBER: (Dispatch, Lines) = subscriber();
}

fn subscriber() -> (Dispatch, Lines) {
    const LEVELS: [Level; 5] = [
        Level::ERROR,
        Level::WARN,
        Level::INFO,
        Level::DEBUG,
        Level::TRACE,
    ];
    let lines = Lines::default();
    let dispatch = Dispatch::new(registry().with(lines.clone()));
    // If another test writes the first line just before, `tracing` caches that no subscriber reads it.
    for _ in 0..1_000 {
        with_default(&dispatch, || {
            for level in LEVELS {
                let log = AccessLog::new().level_fn(move |_| level);
                serve(&ApiSpanLayer::new().access_log(log));
            }
        });
        if lines.take().len() == LEVELS.len() {
            break;
        }
        rebuild_interest_cache();
    }
    (dispatch, lines)
}

/// Returns how many lines were written since `logged` was called.
pub fn count() -> usize {
    SUBSCRIBER.with(|(_, lines)| lines.0.lock().expect("not poisoned").len())
}

/// Returns the lines that are written while `f` runs, and what it returns.
pub fn logged<T>(f: impl FnOnce() -> T) -> (T, Vec<Line>) {
    SUBSCRIBER.with(|(dispatch, lines)| {
        lines.take();
        let output = with_default(dispatch, f);
        (output, lines.take())
    })
}

/// Returns the line of a request, without its times. `ids` are those of the context inside.
pub fn line(oracle: &Oracle, ids: &SpanContext, has_sizes: bool) -> Line {
    let ended = oracle.ended().expect("an end");
    let is_disconnect = matches!(ended.reason, Some("client_disconnect" | "generator_exit"));
    let level = match ended.reason {
        None => "INFO",
        Some(_) if ended.error_type.is_none() || is_disconnect => "WARN",
        Some(_) => "ERROR",
    };
    let outcome = match ended.reason {
        None => "DEPARTED",
        Some(_) => "ABORTED",
    };
    let version = match oracle.version() {
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    };
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    let id = |id: String| Some(id).filter(|_| ids.is_valid());
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let fields = [
        ("message", owned(Some("request completed"))),
        ("method", Some(oracle.method().to_string())),
        ("path", owned(Some(oracle.path()))),
        ("route", owned(ended.route.filter(|_| !ended.is_grpc))),
        ("version", owned(Some(version))),
        ("status", number(ended.head_status.map(u64::from))),
        ("grpc_status", owned(ended.grpc_code)),
        ("outcome", owned(Some(outcome))),
        ("reason", owned(ended.reason)),
        ("error_type", ended.error_type.clone()),
        ("error", ended.error.clone()),
        (
            "request_bytes",
            number(ended.request_bytes.filter(|_| has_sizes)),
        ),
        (
            "response_bytes",
            number(ended.response_bytes.filter(|_| has_sizes)),
        ),
        ("trace_id", id(ids.trace_id().to_string())),
        ("span_id", id(ids.span_id().to_string())),
    ];
    let fields = fields.into_iter();
    Line {
        level: level.to_owned(),
        fields: fields
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect(),
    }
}
