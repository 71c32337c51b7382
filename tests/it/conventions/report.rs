//! Spans as text, one line for each thing that they say, and what is wrong with them.

use std::fmt::Write as _;

use opentelemetry::trace::SpanId;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::support::recorder::Recorder;

/// Everything that a span says, sorted.
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

/// An attribute with its type; how long something took is another time's matter.
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

/// What went where, and what is wrong.
#[derive(Default)]
pub struct Report {
    counts: Vec<(String, usize)>,
    wrong: Vec<String>,
}

impl Report {
    /// Compares the one span that has ended since the last time with what is expected of it.
    pub async fn compare(&mut self, at: &Recorder, case: &str, mut expected: Vec<String>) {
        if !at.wait_for(1).await {
            self.wrong.push(format!("{case}: no span ends"));
            return;
        }
        let spans = at.spans();
        at.forget();
        expected.sort();
        let [span] = spans.as_slice() else {
            self.wrong.push(format!("{case}: {} spans", spans.len()));
            return;
        };
        let seen = lines(span);
        if seen != expected {
            let without = |all: &[String], others: &[String]| {
                let rest = all.iter().filter(|line| !others.contains(line));
                rest.map(String::as_str).collect::<Vec<_>>().join("; ")
            };
            let missing = without(&expected, &seen);
            let surplus = without(&seen, &expected);
            self.wrong
                .push(format!("{case}: expected [{missing}], but [{surplus}]"));
        }
    }

    pub fn check(&mut self, is_right: bool, otherwise: impl FnOnce() -> String) {
        if !is_right {
            self.wrong.push(otherwise());
        }
    }

    pub fn count(&mut self, what: String, rows: usize) {
        self.counts.push((what, rows));
    }

    pub fn extend(&mut self, other: Self) {
        self.counts.extend(other.counts);
        self.wrong.extend(other.wrong);
    }

    /// Prints how many rows there were, and fails if one of them is wrong.
    pub fn finish(self, title: &str) {
        let rows: usize = self.counts.iter().map(|(_, rows)| rows).sum();
        let mut text = format!("\n{title}, {rows} spans\n\n");
        for (what, rows) in &self.counts {
            writeln!(text, "{what} {rows:>5}").expect("room");
        }
        // In one piece, as tests print side by side.
        println!("{text}");
        let some: Vec<_> = self.wrong.iter().take(30).map(String::as_str).collect();
        assert!(
            self.wrong.is_empty(),
            "{} of {rows} are wrong, among them:\n{}",
            self.wrong.len(),
            some.join("\n")
        );
    }
}
