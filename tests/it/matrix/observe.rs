//! The spans of a case, once the server is done with it.

use super::got::Got;
use super::servers::{Running, Server};
use super::table::Row;
use crate::support::recorder::{Recorder, Seen};

/// Waits for one span a request, and for the server's end. Then nothing can come any more.
pub async fn rows(
    at: &Recorder,
    running: Running,
    server: Server,
    requests: Vec<(String, Got)>,
) -> Vec<(Row, Option<Seen>)> {
    let all_ended = at.wait_for(requests.len()).await;
    let stopped = running.stop().await;
    let counts = (at.starts(), at.ends());
    let count = requests.len();
    let mut spans = at.spans().into_iter().map(Seen);
    let rows = requests.into_iter().map(|(case, got)| {
        let span = spans.next();
        let outcome = span.as_ref().map_or_else(|| "-".to_owned(), Seen::outcome);
        let mut row = Row::new(case, server, got, outcome);
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

/// Checks attributes of a span.
pub fn check_attributes(row: &mut Row, span: Option<&Seen>, expected: &[(&str, Option<&str>)]) {
    for (key, expected) in expected {
        let value = span.and_then(|span| span.attribute(key));
        row.check(
            value.as_deref() == *expected,
            format!("{key} is {value:?}, not {expected:?}"),
        );
    }
}
