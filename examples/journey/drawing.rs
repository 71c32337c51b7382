//! Draws one request: the client's view, the span, its child spans and its events.

use std::iter;
use std::time::{Duration, SystemTime};

use crate::client::Observed;
use crate::journey::Run;
use crate::scenarios::{Scenario, Target};
use crate::spans::{EndedSpan, Spans, since};
use crate::style::{Style, Tone};
use crate::timeline::{Bar, Scale, bar, millis, ruler, text};

/// The width of the scenarios' names.
const TITLES: usize = 36;
/// The maximal width of a line of events.
const EVENTS: usize = 88;

/// Draws the requests one below the other, on one scale.
pub(crate) fn draw(requests: &[(&Scenario, &Run)], spans: &Spans, style: Style) -> String {
    let longest = requests
        .iter()
        .map(|(_, run)| duration_of_all(run, spans))
        .max();
    let scale = Scale::up_to(longest.unwrap_or_default());
    let mut drawn = ruler(scale, style);
    for (scenario, run) in requests {
        drawn.push_str(&request(scenario, run, spans, scale, style));
        drawn.push('\n');
    }
    drawn
}

fn request(scenario: &Scenario, run: &Run, spans: &Spans, scale: Scale, style: Style) -> String {
    let target = match &scenario.target {
        Target::Http { method, path } => format!("{method} {path}"),
        Target::Grpc(call) => format!("{:?}({:?})", call.method, call.service),
    };
    let title = style.paint(Tone::Heading, scenario.name);
    let gap = TITLES.saturating_sub(scenario.name.chars().count());
    let mut drawn = format!("{title}{:gap$}  {target}, {}\n", "", run.protocol.name());
    let origin = origin(run, spans);
    match &run.observed {
        Ok(observed) => drawn.push_str(&bar(&client_bar(observed, origin), scale, style)),
        Err(error) => drawn.push_str(&text("client", error, style)),
    }
    for span in spans.requests(run.caller.trace_id) {
        drawn.push_str(&bar(&span_bar(span, origin), scale, style));
        for child in spans.children(span) {
            drawn.push_str(&bar(&child_bar(child, origin), scale, style));
        }
        let children: Vec<_> = spans.children(span).collect();
        let events = lines(&events(span, &children));
        let labels = ["events"].into_iter().chain(iter::repeat(""));
        for (label, line) in labels.zip(&events) {
            drawn.push_str(&text(label, line, style));
        }
    }
    drawn
}

fn client_bar(observed: &Observed, origin: SystemTime) -> Bar<'static> {
    Bar {
        label: "client",
        from: since(origin, observed.sent),
        to: since(origin, observed.ended),
        marks: observed
            .head
            .map(|head| since(origin, head))
            .into_iter()
            .collect(),
        note: observed.seen.to_string(),
        tone: Tone::Client,
    }
}

fn span_bar(span: &EndedSpan, origin: SystemTime) -> Bar<'static> {
    Bar {
        label: "span",
        from: since(origin, span.started),
        to: since(origin, span.ended),
        marks: marks(span, origin),
        note: format!("{} ms, status {}", millis(span.duration()), span.status),
        tone: tone(span),
    }
}

fn child_bar(span: &EndedSpan, origin: SystemTime) -> Bar<'_> {
    Bar {
        label: &span.name,
        from: since(origin, span.started),
        to: since(origin, span.ended),
        marks: marks(span, origin),
        note: format!("{} ms", millis(span.duration())),
        tone: Tone::Child,
    }
}

fn marks(span: &EndedSpan, origin: SystemTime) -> Vec<Duration> {
    let events = span.events.iter();
    events.map(|event| since(origin, event.at)).collect()
}

/// Returns the events of a span and its children, with milliseconds since the span's start, and the time
/// to the first chunk of a stream (TTFT).
pub(crate) fn events(span: &EndedSpan, children: &[&EndedSpan]) -> Vec<String> {
    let own = span.events.iter().map(|event| (event, ""));
    let from_children = children.iter().flat_map(|child| {
        let events = child.events.iter();
        events.map(|event| (event, child.name.as_str()))
    });
    let mut events: Vec<_> = own.chain(from_children).collect();
    events.sort_by_key(|(event, _)| event.at);
    let mut lines: Vec<_> = events
        .iter()
        .map(|(event, child)| {
            let gap = if child.is_empty() { "" } else { " " };
            let at = millis(since(span.started, event.at));
            format!("{at} {child}{gap}{}", event.name)
        })
        .collect();
    lines.extend(
        span.time_to_first_chunk
            .map(|time| format!("TTFT {}", millis(time))),
    );
    lines
}

/// Joins the events into lines of at most [`EVENTS`] columns.
fn lines(events: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for event in events {
        match lines.last_mut() {
            Some(line) if line.len() + event.len() < EVENTS => {
                line.push_str(", ");
                line.push_str(event);
            }
            Some(line) => {
                line.push(',');
                lines.push(event.clone());
            }
            None => lines.push(event.clone()),
        }
    }
    lines
}

/// Returns the colour for a span.
pub(crate) fn tone(span: &EndedSpan) -> Tone {
    match (span.outcome.as_str(), span.status) {
        ("DEPARTED", "Unset") => Tone::Good,
        (_, "Error") => Tone::Bad,
        _ => Tone::Doubtful,
    }
}

/// Returns when the client sent the request, or when the span started if the client failed.
fn origin(run: &Run, spans: &Spans) -> SystemTime {
    let sent = run.observed.as_ref().map(|observed| observed.sent);
    let span = spans.requests(run.caller.trace_id).next();
    sent.ok()
        .or(span.map(|span| span.started))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Returns the time until the client, the span and its children have all ended.
fn duration_of_all(run: &Run, spans: &Spans) -> Duration {
    let client = run.observed.as_ref().map(|observed| observed.ended);
    let requests = spans.requests(run.caller.trace_id);
    let spans_ended = requests.flat_map(|span| {
        let children = spans.children(span).map(|child| child.ended);
        children.chain([span.ended])
    });
    let last = spans_ended.chain(client.ok()).max();
    last.map_or(Duration::ZERO, |last| since(origin(run, spans), last))
}
