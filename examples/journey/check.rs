//! Holds what was seen against what was expected.

use crate::client::Caller;
use crate::journey::Run;
use crate::scenarios::Expected;
use crate::spans::{EndedSpan, Spans};
use crate::timeline::millis;

const HANDOFF_TO_CORE: &str = "api.HANDOFF_TO_CORE";
const FIRST_RESPONSE_FROM_CORE: &str = "api.FIRST_RESPONSE_FROM_CORE";

/// What should have been there instead of what was; `None` if all is as expected.
pub(crate) fn expected_instead(expected: &Expected, run: &Run, spans: &Spans) -> Option<String> {
    let mut instead = Vec::new();
    match &run.observed {
        Ok(observed) if observed.seen == expected.seen => {}
        Ok(observed) => instead.push(format!("client {} (not {})", expected.seen, observed.seen)),
        Err(error) => instead.push(format!("client {} (not: {error})", expected.seen)),
    }
    let requests: Vec<_> = spans.requests(run.caller.trace_id).collect();
    match requests[..] {
        [span] => of_span(expected, run.caller, span, spans, &mut instead),
        _ => instead.push(format!("exactly one span (not {})", requests.len())),
    }
    (!instead.is_empty()).then(|| instead.join(", "))
}

fn of_span(
    expected: &Expected,
    caller: Caller,
    span: &EndedSpan,
    spans: &Spans,
    instead: &mut Vec<String>,
) {
    if span.outcome != expected.outcome {
        instead.push(format!("span {} (not {})", expected.outcome, span.outcome));
    }
    if span.status != expected.status {
        instead.push(format!("status {} (not {})", expected.status, span.status));
    }
    if span.code != expected.code {
        let shown = |code: &Option<String>| code.clone().unwrap_or("none".to_owned());
        let (expected, code) = (shown(&expected.code), shown(&span.code));
        instead.push(format!("code {expected} (not {code})"));
    }
    if span.duration() < expected.at_least() {
        let (least, took) = (millis(expected.at_least()), millis(span.duration()));
        instead.push(format!("at least {least} ms (not {took})"));
    }
    if span.parent_id != caller.span_id {
        instead.push("the caller as parent".to_owned());
    }
    let expects_handoff = expected.children() > 0;
    let has = |name| span.events.iter().any(|event| event.name == name);
    if has(HANDOFF_TO_CORE) != expects_handoff {
        let not = if expects_handoff { "a" } else { "no" };
        instead.push(format!("{not} handoff to the engine"));
    }
    if has(FIRST_RESPONSE_FROM_CORE) != span.has_data {
        let not = if span.has_data { "a" } else { "no" };
        instead.push(format!("{not} first response"));
    }
    let children = spans.children(span).count();
    if children != expected.children() {
        instead.push(format!("{} children (not {children})", expected.children()));
    }
}
