//! Compares the client's view and the span with the expected ones.

use crate::client::Caller;
use crate::journey::Run;
use crate::scenarios::Expected;
use crate::spans::{EndedSpan, Spans};
use crate::timeline::millis;

const HANDOFF_TO_CORE: &str = "api.HANDOFF_TO_CORE";
const FIRST_RESPONSE_FROM_CORE: &str = "api.FIRST_RESPONSE_FROM_CORE";

/// Returns what differs from the expected result; `None` if nothing does.
pub(crate) fn differences(expected: &Expected, run: &Run, spans: &Spans) -> Option<String> {
    let mut differences = Vec::new();
    match &run.observed {
        Ok(observed) if observed.seen == expected.seen => {}
        Ok(observed) => differences.push(format!(
            "client saw {}, expected {}",
            observed.seen, expected.seen
        )),
        Err(error) => differences.push(format!(
            "client failed ({error}), expected {}",
            expected.seen
        )),
    }
    let requests: Vec<_> = spans.requests(run.caller.trace_id).collect();
    match requests[..] {
        [span] => compare_span(expected, run.caller, span, spans, &mut differences),
        _ => differences.push(format!("{} spans, expected 1", requests.len())),
    }
    (!differences.is_empty()).then(|| differences.join(", "))
}

fn compare_span(
    expected: &Expected,
    caller: Caller,
    span: &EndedSpan,
    spans: &Spans,
    differences: &mut Vec<String>,
) {
    if span.outcome != expected.outcome {
        differences.push(format!(
            "span {}, expected {}",
            span.outcome, expected.outcome
        ));
    }
    if span.status != expected.status {
        differences.push(format!(
            "status {}, expected {}",
            span.status, expected.status
        ));
    }
    if span.code != expected.code {
        let shown = |code: &Option<String>| code.clone().unwrap_or("none".to_owned());
        let (expected, code) = (shown(&expected.code), shown(&span.code));
        differences.push(format!("code {code}, expected {expected}"));
    }
    if span.duration() < expected.min_duration() {
        let (least, took) = (millis(expected.min_duration()), millis(span.duration()));
        differences.push(format!("duration {took} ms, expected at least {least}"));
    }
    if span.parent_id != caller.span_id {
        differences.push("the parent is not the caller".to_owned());
    }
    let expects_handoff = expected.children() > 0;
    let has = |name| span.events.iter().any(|event| event.name == name);
    if has(HANDOFF_TO_CORE) != expects_handoff {
        let found = if expects_handoff {
            "no"
        } else {
            "an unexpected"
        };
        differences.push(format!("{found} handoff event"));
    }
    if has(FIRST_RESPONSE_FROM_CORE) != span.has_data {
        let found = if span.has_data { "no" } else { "an unexpected" };
        differences.push(format!("{found} first-response event"));
    }
    let children = spans.children(span).count();
    if children != expected.children() {
        differences.push(format!(
            "{children} child spans, expected {}",
            expected.children()
        ));
    }
}
