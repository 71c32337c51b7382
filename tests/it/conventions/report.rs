//! Compares spans, as lines of text, with the expected ones, and reports the differences.

use std::fmt::Write as _;

use opentelemetry::trace::SpanId;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::support::recorder::Recorder;

/// Returns the contents of a span as sorted lines.
fn lines(span: &SpanData) -> Vec<String> {
    let scope = &span.instrumentation_scope;
    let mut lines = vec![
        format!("name: {}", span.name),
        format!("kind: {:?}", span.span_kind),
        format!("status: {:?}", span.status),
        format!("schema: {}", scope.schema_url().unwrap_or("none")),
    ];
    if span.parent_span_id != SpanId::INVALID {
        lines.push("parent".to_owned());
    }
    lines.extend(span.links.iter().map(|_| "link".to_owned()));
    for (number, event) in span.events.iter().enumerate() {
        let attributes: Vec<_> = event.attributes.iter().map(line).collect();
        let attributes = attributes.join(", ");
        lines.push(format!("event {number}: {} ({attributes})", event.name));
    }
    lines.extend(span.attributes.iter().map(line));
    lines.sort();
    lines
}

/// Formats an attribute with its type and value. The values of times are left out.
fn line(attribute: &KeyValue) -> String {
    let key = attribute.key.as_str();
    match &attribute.value {
        Value::String(text) => format!("{key}: string {text}"),
        Value::I64(number) => format!("{key}: int {number}"),
        Value::F64(seconds) if key.starts_with("api.time_to_") && *seconds >= 0.0 => {
            format!("{key}: double")
        }
        other => format!("{key}: {other:?}"),
    }
}

/// The number of rows checked, and the differences found.
#[derive(Default)]
pub struct Report {
    counts: Vec<(String, usize)>,
    failures: Vec<String>,
}

impl Report {
    /// Compares the only span that has ended since the last call with the expected lines.
    pub async fn compare(&mut self, recorder: &Recorder, case: &str, mut expected: Vec<String>) {
        if !recorder.wait_for(1).await {
            self.failures.push(format!("{case}: no span has ended"));
            return;
        }
        let spans = recorder.spans();
        recorder.forget();
        expected.sort();
        let [span] = spans.as_slice() else {
            self.failures.push(format!("{case}: {} spans", spans.len()));
            return;
        };
        let actual = lines(span);
        if actual != expected {
            let without = |all: &[String], others: &[String]| {
                let rest = all.iter().filter(|line| !others.contains(line));
                rest.map(String::as_str).collect::<Vec<_>>().join("; ")
            };
            let missing = without(&expected, &actual);
            let surplus = without(&actual, &expected);
            self.failures
                .push(format!("{case}: expected [{missing}], got [{surplus}]"));
        }
    }

    pub fn check(&mut self, is_correct: bool, message: impl FnOnce() -> String) {
        if !is_correct {
            self.failures.push(message());
        }
    }

    pub fn count(&mut self, what: String, rows: usize) {
        self.counts.push((what, rows));
    }

    pub fn extend(&mut self, other: Self) {
        self.counts.extend(other.counts);
        self.failures.extend(other.failures);
    }

    /// Prints the number of rows, and panics if any of them failed.
    pub fn finish(self, title: &str) {
        let rows: usize = self.counts.iter().map(|(_, rows)| rows).sum();
        let mut text = format!("\n{title}, {rows} spans\n\n");
        for (what, rows) in &self.counts {
            writeln!(text, "{what} {rows:>5}").expect("writing to a string succeeds");
        }
        // Printed at once, because tests run in parallel.
        println!("{text}");
        let first: Vec<_> = self.failures.iter().take(30).map(String::as_str).collect();
        assert!(
            self.failures.is_empty(),
            "{} of {rows} rows failed, the first ones:\n{}",
            self.failures.len(),
            first.join("\n")
        );
    }
}
