//! What is drawn of each request: the client's view, the span, its child spans and their events. The terminal, SVG
//! and HTML draw the same.

use std::time::SystemTime;

use crate::client::Observed;
use crate::journey::Run;
use crate::legend::{CLIENT, ENGINE, HEAD, SPAN, letter};
use crate::scenarios::Scenario;
use crate::spans::{EndedSpan, Spans, since};
use crate::style::Tone;
use crate::timeline::{Bar, Mark, Scale, millis};

/// Requests on one scale.
pub(crate) struct Drawing {
    pub(crate) scale: Scale,
    pub(crate) requests: Vec<Request>,
}

/// One request.
pub(crate) struct Request {
    pub(crate) name: &'static str,
    /// What is requested, and the protocol.
    pub(crate) target: String,
    /// The client's bar if it has not failed, the span's, and those of its child spans.
    pub(crate) bars: Vec<Bar>,
    /// What the client saw, or how it failed.
    pub(crate) seen: String,
    /// The span's outcome and status.
    pub(crate) outcome: String,
    pub(crate) tone: Tone,
}

impl Drawing {
    pub(crate) fn new(runs: &[(&Scenario, &Run)], spans: &Spans) -> Self {
        let requests = runs.iter();
        let requests = requests.map(|(scenario, run)| Request::new(scenario, run, spans));
        Self::of_requests(requests.collect())
    }

    /// Returns the requests with a scale for the longest of them.
    pub(crate) fn of_requests(requests: Vec<Request>) -> Self {
        let bars = requests.iter().flat_map(|request| &request.bars);
        let longest = bars.map(|bar| bar.to).max();
        Self {
            scale: Scale::up_to(longest.unwrap_or_default()),
            requests,
        }
    }
}

impl Request {
    fn new(scenario: &Scenario, run: &Run, spans: &Spans) -> Self {
        let origin = origin(run, spans);
        let observed = run.observed.iter();
        let mut bars: Vec<_> = observed.map(|seen| client_bar(seen, origin)).collect();
        for span in spans.requests(run.caller.trace_id) {
            bars.push(span_bar(span, origin));
            let children = spans.children(span);
            bars.extend(children.map(|child| engine_bar(child, origin)));
        }
        let requests = spans.requests(run.caller.trace_id);
        let outcomes: Vec<_> = requests
            .map(|span| format!("{}, status {}", span.outcome, span.status))
            .collect();
        let tone = spans.requests(run.caller.trace_id).next().map(tone);
        Self {
            name: scenario.name,
            target: format!("{}, {}", scenario.target, run.protocol.name()),
            bars,
            seen: match &run.observed {
                Ok(observed) => observed.seen.to_string(),
                Err(error) => error.clone(),
            },
            outcome: match outcomes[..] {
                [] => "no span".to_owned(),
                _ => outcomes.join("; "),
            },
            tone: tone.unwrap_or(Tone::Bad),
        }
    }

    /// Returns the marks of all bars, in order of time.
    pub(crate) fn marks(&self) -> Vec<&Mark> {
        let mut marks: Vec<_> = self.bars.iter().flat_map(|bar| &bar.marks).collect();
        marks.sort_by_key(|mark| mark.at);
        marks
    }

    /// Returns the letters of the marks, each with its time.
    pub(crate) fn times(&self) -> Vec<String> {
        let marks = self.marks().into_iter();
        let times = marks.map(|mark| format!("{} {}", mark.letter, millis(mark.at)));
        times.collect()
    }
}

fn client_bar(observed: &Observed, origin: SystemTime) -> Bar {
    let head = observed.head.map(|head| Mark {
        letter: HEAD,
        name: "response head".to_owned(),
        at: since(origin, head),
    });
    Bar {
        label: CLIENT,
        from: since(origin, observed.sent),
        to: since(origin, observed.ended),
        marks: head.into_iter().collect(),
        note: observed.seen.to_string(),
        tone: Tone::Client,
    }
}

fn span_bar(span: &EndedSpan, origin: SystemTime) -> Bar {
    let first = span.time_to_first_chunk;
    let first = first.map(|time| format!(", first token after {}", millis(time)));
    Bar {
        label: SPAN,
        from: since(origin, span.started),
        to: since(origin, span.ended),
        marks: marks(span, origin),
        note: format!(
            "{} ms{}",
            millis(span.duration()),
            first.unwrap_or_default()
        ),
        tone: tone(span),
    }
}

fn engine_bar(span: &EndedSpan, origin: SystemTime) -> Bar {
    Bar {
        label: ENGINE,
        from: since(origin, span.started),
        to: since(origin, span.ended),
        marks: marks(span, origin),
        note: format!("{} ms", millis(span.duration())),
        tone: Tone::Child,
    }
}

fn marks(span: &EndedSpan, origin: SystemTime) -> Vec<Mark> {
    let mut marks: Vec<_> = span
        .events
        .iter()
        .map(|event| Mark {
            letter: letter(&event.name),
            name: event.name.clone(),
            at: since(origin, event.at),
        })
        .collect();
    marks.sort_by_key(|mark| mark.at);
    marks
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

/// Requests for the tests of the drawings.
#[cfg(test)]
pub(crate) mod samples {
    use std::time::Duration;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    pub(crate) fn bar(label: &'static str, from: u64, to: u64, marks: &[(char, u64)]) -> Bar {
        let marks = marks.iter().map(|(letter, at)| Mark {
            letter: *letter,
            name: format!("event {letter}"),
            at: ms(*at),
        });
        Bar {
            label,
            from: ms(from),
            to: ms(to),
            marks: marks.collect(),
            note: format!("{label}'s note"),
            tone: Tone::Good,
        }
    }

    /// Returns a request of 20 ms, with names that need escapes.
    pub(crate) fn request() -> Request {
        Request {
            name: "a < b & \"c\"",
            target: "Watch(\"x\"), gRPC".to_owned(),
            bars: vec![
                bar(CLIENT, 0, 20, &[(HEAD, 4)]),
                bar(SPAN, 2, 20, &[('A', 2), ('X', 20)]),
                bar(ENGINE, 4, 18, &[('T', 10)]),
            ],
            seen: "200, 39 bytes, complete".to_owned(),
            outcome: "ABORTED(panic), status Error".to_owned(),
            tone: Tone::Bad,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_order() {
        assert_eq!(
            samples::request().times(),
            ["A 2.0", "R 4.0", "T 10.0", "X 20.0"]
        );
    }
}
