//! The spans of a case, collected after the server has stopped.

use super::client_result::ClientResult;
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
    let all_ended = recorder.wait_for(requests.len()).await;
    let stopped = running.stop().await;
    let counts = (recorder.starts(), recorder.ends());
    let count = requests.len();
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
        (row, span)
    });
    rows.collect()
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
