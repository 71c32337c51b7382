//! Several requests in one write on HTTP/1.1: they are served one by one, and what breaks one of them, or
//! the connection, is the end of the one that is being served; those behind it are never seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::{Response, StatusCode, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::raw::GET;
use super::{EXCEPTION, LEFT, alone, serve, service, settle};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Error, Panic, Pending, Silent};
use crate::support::recorder::{Recorder, Seen};

const DEPARTED: &str = "DEPARTED";

/// What the nth request is answered with.
type Answers = &'static [(u16, &'static [Step])];

const WHOLE: (u16, &[Step]) = (200, &[Data(3), Pending, Data(3)]);
const NOT_FOUND: (u16, &[Step]) = (404, &[Data(1)]);
const FAILS: (u16, &[Step]) = (200, &[Data(3), Pending, Error]);
const PANICS: (u16, &[Step]) = (200, &[Data(3), Pending, Panic]);
const SILENT: (u16, &[Step]) = (200, &[Data(3), Silent]);
const BUSY: (u16, &[Step]) = (200, &[Step::Forever(1_000)]);

/// Serves what is sent in one write, lets `leave` act when nothing happens any more, and returns the
/// outcomes in order.
async fn pipelined(
    bytes: &[u8],
    answers: Answers,
    mut leave: impl AsyncFnMut(DuplexStream, &Recorder),
) -> Vec<String> {
    let at = Recorder::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let service = service(Some(&at.layer()), move |_| {
        let (status, steps) = answers[calls.fetch_add(1, Ordering::SeqCst) % answers.len()];
        let body = ScriptedBody::new(steps.iter().cloned());
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        std::future::ready(response)
    });
    let (mut client, server) = duplex(1 << 16);
    let connection = serve(Version::HTTP_11, server, service);
    client.write_all(bytes).await.expect("the server reads");
    settle().await;
    leave(client, &at).await;
    settle().await;
    // How it ends is for the client to see.
    connection.abort();
    let _ = connection.await;
    assert_eq!(at.starts(), at.ends());
    let spans = at.spans().into_iter();
    spans.map(|span| Seen(span).outcome()).collect()
}

async fn read_all(mut client: DuplexStream, _: &Recorder) {
    let mut answers = Vec::new();
    client.shutdown().await.expect("a half close");
    // A server that has closed already leaves less to read.
    let _ = client.read_to_end(&mut answers).await;
}

#[test]
fn requests_in_one_write_end_one_by_one_up_to_the_one_that_breaks() {
    for (rule, sent, answers, expected) in [
        (
            "a hundred, each by its own answer",
            100,
            &[WHOLE, NOT_FOUND][..],
            [DEPARTED, "ABORTED(client_error)"].repeat(50),
        ),
        (
            "a body that fails costs those behind it",
            10,
            &[WHOLE, WHOLE, FAILS],
            vec![DEPARTED, DEPARTED, EXCEPTION],
        ),
        (
            "so does one that panics",
            10,
            &[WHOLE, PANICS],
            vec![DEPARTED, "ABORTED(panic)"],
        ),
    ] {
        let outcomes =
            alone().block_on(pipelined(&GET.repeat(sent), answers, async |client, at| {
                if sent == 100 {
                    assert_eq!(at.ends(), 100, "{rule}");
                }
                read_all(client, at).await;
            }));
        assert_eq!(outcomes, expected, "{rule}");
    }
}

#[test]
fn a_connection_cut_in_the_middle_of_a_request_has_no_span_for_that() {
    for cut in 1..GET.len() {
        let bytes = [GET, GET, &GET[..cut]].concat();
        let outcomes =
            alone().block_on(pipelined(&bytes, &[WHOLE], async |client, _| drop(client)));
        assert_eq!(outcomes, [DEPARTED; 2], "cut at {cut}");
    }
}

/// hyper does not read on while there is a request that it has not served: it learns from the next write
/// that nobody is there, and from a body without a next write nothing at all.
#[test]
fn requests_behind_hide_that_the_client_has_left_until_the_next_write() {
    let left = async |client: DuplexStream, _: &Recorder| drop(client);
    let outcomes = alone().block_on(pipelined(&GET.repeat(2), &[BUSY], left));
    assert_eq!(outcomes, [LEFT], "a body that goes on");

    let hidden = async |client: DuplexStream, at: &Recorder| {
        drop(client);
        settle().await;
        // Only the server's own end is one: see the connection's abort.
        assert_eq!((at.starts(), at.ends()), (1, 0));
    };
    let outcomes = alone().block_on(pipelined(&GET.repeat(2), &[SILENT], hidden));
    assert_eq!(outcomes, [LEFT], "a body that is silent");

    let seen = async |client: DuplexStream, at: &Recorder| {
        drop(client);
        settle().await;
        assert_eq!((at.starts(), at.ends()), (1, 1));
    };
    let outcomes = alone().block_on(pipelined(GET, &[SILENT], seen));
    assert_eq!(
        outcomes,
        [LEFT],
        "a body that is silent, and nothing behind"
    );
}
