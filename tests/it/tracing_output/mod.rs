//! What the subscriber of `tracing` gets: the access log, and the request's span.
//!
//! The subscribers are thread-local, so that they do not affect other tests.

mod access_log;
mod fields;
mod opentelemetry_bridges;
mod request_span;
mod request_tracer;
mod side_by_side;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tower::Service as _;
use tower_api_span::ApiSpanLayer;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::body::ScriptedBody;
use crate::support::subscriber::with_subscriber;
use crate::support::{answering, get, read, ready, response};

/// What a subscriber has written.
#[derive(Clone, Default)]
pub struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    pub fn text(&self) -> String {
        let bytes = self.0.lock().expect("no panic").clone();
        String::from_utf8(bytes).expect("text")
    }

    /// Returns each line, parsed as JSON.
    pub fn json(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Written {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// Serves one request with an answer of three bytes.
pub fn serve(layer: &ApiSpanLayer) {
    let mut service = answering(layer, |_| response(200, ScriptedBody::full(3)));
    let response = ready(service.call(get())).expect("a response");
    read(&mut response.into_body()).expect("bytes");
}

/// Returns what is written while `f` runs with a subscriber that is made for the writer.
pub fn written<S>(subscriber: impl FnOnce(Written) -> S, f: impl FnOnce()) -> Written
where
    S: Subscriber + Send + Sync + 'static,
{
    let written = Written::default();
    with_subscriber(subscriber(written.clone()), f);
    written
}

/// Returns a subscriber that writes lines of JSON, up to this level.
pub fn json_subscriber(to: Written, level: tracing::Level) -> impl Subscriber + Send + Sync {
    tracing_subscriber::fmt()
        .json()
        .with_max_level(level)
        .with_writer(to)
        .finish()
}

/// Whether a line is not one of the internal logs, which the API and the layer write with feature `internal-logs`.
pub fn is_of_requests(line: &Value) -> bool {
    let target = line["target"].as_str();
    !target.is_some_and(|target| target.starts_with("opentelemetry") || target == "tower-api-span")
}

/// Returns the lines as JSON that are written while `f` runs.
pub fn json(f: impl FnOnce()) -> Vec<Value> {
    let subscriber = |to| json_subscriber(to, tracing::Level::TRACE);
    let lines = written(subscriber, f).json();
    lines.into_iter().filter(is_of_requests).collect()
}
