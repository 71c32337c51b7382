//! What was seen beside what was expected.

use std::fmt::Write;

use crate::PATIENCE;
use crate::client::Seen;
use crate::scenarios::{Expected, Scenario};
use crate::spans::{EndedSpan, Spans};

/// One line a request, one more where it is wrong, and a summary.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) as_expected: bool,
}

const COLUMNS: usize = 7;
const HEADINGS: [&str; COLUMNS] = ["scenario", "client", "span", "status", "http", "ms", ""];

impl Report {
    /// Compares what clients saw, and what spans say, with what the table of scenarios expects.
    pub(crate) fn of(travelled: &[(&Scenario, Result<Seen, String>)], spans: &Spans) -> Self {
        let mut lines = vec![(HEADINGS.map(str::to_owned), None)];
        let mut wrong = 0;
        for (scenario, seen) in travelled {
            let spans: Vec<_> = spans.of(scenario.path).collect();
            let instead = expected_instead(&scenario.expected, seen, &spans);
            wrong += usize::from(instead.is_some());
            lines.push((cells(scenario, seen, &spans, instead.is_none()), instead));
        }

        let mut text = aligned(&lines);
        let (requests, started, ended) = (travelled.len(), spans.started(), spans.ended());
        let as_many = started == requests && ended == requests;
        // Nothing can go wrong in writing to a string.
        let _ = writeln!(
            text,
            "{requests} requests, {wrong} not as expected; {started} spans started, {ended} ended{}",
            if as_many {
                ""
            } else {
                ": WRONG, expected instead: one span a request"
            },
        );
        Self {
            text,
            as_expected: wrong == 0 && as_many,
        }
    }
}

fn cells(
    scenario: &Scenario,
    seen: &Result<Seen, String>,
    spans: &[&EndedSpan],
    as_expected: bool,
) -> [String; COLUMNS] {
    let seen = match seen {
        Ok(seen) => seen.to_string(),
        Err(error) => error.clone(),
    };
    // More than one are all shown, which is a strange sight and meant to be.
    let each = |cell: fn(&EndedSpan) -> String| {
        let cells: Vec<_> = spans.iter().map(|span| cell(span)).collect();
        cells.join(" + ")
    };
    [
        scenario.name.to_owned(),
        format!("{} {seen}", scenario.method),
        if spans.is_empty() {
            format!("no span within {PATIENCE:?}")
        } else {
            each(|span| span.outcome.clone())
        },
        each(|span| span.status.to_owned()),
        each(|span| shown(span.http_status)),
        each(|span| format!("{:.1}", span.duration.as_secs_f64() * 1_000.0)),
        if as_expected { "ok" } else { "WRONG" }.to_owned(),
    ]
}

/// What should have been there instead of what was; `None` if all is as expected.
fn expected_instead(
    expected: &Expected,
    seen: &Result<Seen, String>,
    spans: &[&EndedSpan],
) -> Option<String> {
    let mut instead = Vec::new();
    if seen.as_ref() != Ok(&expected.seen) {
        instead.push(format!("client {}", expected.seen));
    }
    match spans {
        [span] => {
            if span.outcome != expected.outcome {
                instead.push(format!("span {}", expected.outcome));
            }
            if span.status != expected.status {
                instead.push(format!("status {}", expected.status));
            }
            let http_status = expected.seen.head.map(|head| head.status);
            if span.http_status != http_status {
                instead.push(format!("http {}", shown(http_status)));
            }
            if span.duration < expected.at_least {
                instead.push(format!("at least {:?}", expected.at_least));
            }
        }
        _ => instead.push(format!(
            "exactly one span, {} with status {}",
            expected.outcome, expected.status
        )),
    }
    (!instead.is_empty()).then(|| instead.join(", "))
}

fn shown(http_status: Option<u16>) -> String {
    http_status.map_or("-".to_owned(), |status| status.to_string())
}

/// The lines in columns, as wide as their widest cell.
fn aligned(lines: &[([String; COLUMNS], Option<String>)]) -> String {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
        let cells = lines.iter().map(|(cells, _)| cells[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let mut text = String::new();
    for (cells, instead) in lines {
        let padded: Vec<_> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(padded.join("  ").trim_end());
        text.push('\n');
        if let Some(instead) = instead {
            text.push_str("    expected instead: ");
            text.push_str(instead);
            text.push('\n');
        }
    }
    text
}
