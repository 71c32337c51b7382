//! The spans of a case, collected after the server has stopped.

use super::client_result::ClientResult;
use super::observers::Exchange;
use super::servers::{Running, Server};
use super::table::Row;
use crate::support::recorder::{Recorder, Seen};

/// Waits for one span per request and for the server to stop, after which no span can end.
pub async fn collect_rows(
    recorder: &Recorder,
    running: Running,
    server: Server,
    requests: Vec<(String, ClientResult)>,
) -> Vec<(Row, Option<Seen>)> {
    let observations = running.observations.clone();
    let all_ended = recorder.wait_for(requests.len()).await;
    let stopped = running.stop().await;
    let counts = (recorder.starts(), recorder.ends());
    let count = requests.len();
    let mut exchanges = observations.exchanges().into_iter();
    let is_observed = exchanges.len() == count;
    let readiness_fault = observations.readiness_fault();
    let mut spans = recorder.spans().into_iter().map(Seen);
    let rows = requests.into_iter().map(|(case, result)| {
        let span = spans.next();
        let outcome = span.as_ref().map_or_else(|| "-".to_owned(), Seen::outcome);
        let mut row = Row::new(case, server, result, outcome);
        row.check(all_ended, "the span never ends");
        row.check(
            counts == (count, count),
            format!("{counts:?} spans started and ended for {count} requests"),
        );
        row.check(stopped.is_ok(), "the server never stops");
        row.check(is_observed, "the observers have seen other requests");
        if let Some(fault) = &readiness_fault {
            row.check(false, fault);
        }
        if let (Some(exchange), Some(span)) = (exchanges.next(), &span) {
            compare(&mut row, &exchange, span);
        }
        (row, span)
    });
    rows.collect()
}

/// Compares the span with the verdict of the observer outside the layer, and that observer with the one inside.
fn compare(row: &mut Row, exchange: &Exchange, span: &Seen) {
    for fault in exchange.faults() {
        row.check(false, fault);
    }
    let verdict = exchange.verdict();
    let id = span.0.span_context.span_id();
    row.check(exchange.span() == Some(id), "the span of another request");
    row.expect(span.outcome() == verdict.outcome, &verdict.outcome);
    let code = span.attribute("rpc.status_code");
    row.expect(
        code.as_deref() == verdict.code,
        format!("{verdict:?}, but {code:?}"),
    );
    let error_type = span.attribute("error.type");
    row.expect(
        error_type == verdict.error_type,
        format!("{verdict:?}, but {error_type:?}"),
    );
    let status = span.attribute("http.response.status_code");
    let is_http = span.attribute("rpc.system.name").is_none();
    let expected = verdict.status.filter(|_| is_http);
    row.expect(
        status == expected.map(|status| status.to_string()),
        format!("{verdict:?}, but {status:?}"),
    );
}

/// Checks the attributes of a span.
pub fn check_attributes(row: &mut Row, span: Option<&Seen>, expected: &[(&str, Option<&str>)]) {
    for (key, expected) in expected {
        let value = span.and_then(|span| span.attribute(key));
        row.check(
            value.as_deref() == *expected,
            format!("{key} is {value:?}, not {expected:?}"),
        );
    }
}
