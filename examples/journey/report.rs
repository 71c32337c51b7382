//! The tables: one row per scenario, one line per difference, and a summary.

use std::fmt::Write;

use crate::check::differences;
use crate::drawing::tone;
use crate::journey::{Run, ScenarioRuns};
use crate::spans::{EndedSpan, Spans};
use crate::style::{Style, Tone};

/// The tables, and whether all rows are as expected.
pub(crate) struct Report {
    pub(crate) text: String,
    pub(crate) as_expected: bool,
}

struct Row {
    cells: Vec<(String, Tone)>,
    /// The differences, one line each.
    wrong: Vec<String>,
}

impl Report {
    /// Compares the clients' views and the spans with the expected results.
    pub(crate) fn new(results: &[ScenarioRuns], spans: &Spans, style: Style) -> Self {
        let mut text = String::new();
        let mut wrong = 0;
        let mut expected = 0;
        for section in results.chunk_by(|one, next| one.protocols() == next.protocols()) {
            let mut rows = vec![headings(section)];
            for result in section {
                let row = row(result, spans);
                wrong += row.wrong.len();
                expected += result.runs.len() * (1 + result.scenario.expected.children());
                rows.push(row);
            }
            text.push_str(&aligned(&rows, style));
            text.push('\n');
        }

        let requests: usize = results.iter().map(|result| result.runs.len()).sum();
        let (started, ended) = (spans.started(), spans.ended());
        let as_many = started == expected && ended == expected;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{requests} requests, {wrong} not as expected; {started} spans started, {ended} ended{}",
            if as_many {
                String::new()
            } else {
                format!(": WRONG, expected {expected}")
            },
        );
        Self {
            text,
            as_expected: wrong == 0 && as_many,
        }
    }
}

fn headings(section: &[ScenarioRuns]) -> Row {
    let protocols = section
        .first()
        .map(ScenarioRuns::protocols)
        .unwrap_or_default();
    let clients = protocols.iter().map(|protocol| protocol.name());
    let cells = ["scenario", "span", "status"]
        .into_iter()
        .chain(clients)
        .chain(["check"]);
    Row {
        cells: cells.map(|cell| (cell.to_owned(), Tone::Heading)).collect(),
        wrong: Vec::new(),
    }
}

fn row(result: &ScenarioRuns, spans: &Spans) -> Row {
    let ScenarioRuns { scenario, runs } = result;
    let wrong: Vec<_> = runs
        .iter()
        .filter_map(|run| {
            let differences = differences(&scenario.expected, run, spans)?;
            let protocol = run.protocol.name();
            Some(format!("{protocol}: {differences}"))
        })
        .collect();
    let requests: Vec<_> = runs
        .iter()
        .flat_map(|run| spans.requests(run.caller.trace_id))
        .collect();
    let span_tone = requests.first().map_or(Tone::Bad, |span| tone(span));
    let mut cells = vec![
        (scenario.name.to_owned(), Tone::Client),
        (distinct(&requests, |span| &span.outcome), span_tone),
        (distinct(&requests, |span| span.status), span_tone),
    ];
    cells.extend(runs.iter().map(|run| (seen(run), Tone::Client)));
    cells.push(match wrong[..] {
        [] => ("ok".to_owned(), Tone::Good),
        _ => ("WRONG".to_owned(), Tone::Bad),
    });
    Row { cells, wrong }
}

/// Joins the cells of all protocols, without repetitions.
fn distinct<'a>(spans: &[&'a EndedSpan], cell: fn(&'a EndedSpan) -> &'a str) -> String {
    let mut cells: Vec<_> = spans.iter().map(|span| cell(span)).collect();
    cells.dedup();
    match cells[..] {
        [] => "no span".to_owned(),
        _ => cells.join(" / "),
    }
}

fn seen(run: &Run) -> String {
    match &run.observed {
        Ok(observed) => observed.seen.summary(),
        Err(_) => "failed".to_owned(),
    }
}

/// Aligns the rows in columns.
fn aligned(rows: &[Row], style: Style) -> String {
    let columns = rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.cells.get(column));
        cells.map(|(cell, _)| cell.chars().count()).max()
    };
    let widths: Vec<_> = (0..columns).filter_map(width).collect();
    let mut text = String::new();
    for Row { cells, wrong } in rows {
        let last = cells.len() - 1;
        let padded = cells.iter().zip(&widths).enumerate();
        let padded: Vec<_> = padded
            .map(|(column, ((cell, tone), width))| {
                let gap = if column == last {
                    0
                } else {
                    width - cell.chars().count()
                };
                format!("{}{:gap$}", style.paint(*tone, cell), "")
            })
            .collect();
        text.push_str(&padded.join("  "));
        text.push('\n');
        for wrong in wrong {
            text.push_str("    ");
            text.push_str(&style.paint(Tone::Bad, wrong));
            text.push('\n');
        }
    }
    text
}
