//! HTTP/1.1 pipelining: requests sent in one write are served one after the other. If one of them breaks the
//! connection, the requests behind it get no span.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::{Response, StatusCode, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::raw::GET;
use super::{CLIENT_DISCONNECT, EXCEPTION, current_thread_runtime, run_until_idle, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Error, Panic, Pending, Silent};
use crate::support::recorder::{Recorder, Seen};

const DEPARTED: &str = "DEPARTED";

/// The status and body of each response, in order.
type Responses = &'static [(u16, &'static [Step])];

const WHOLE: (u16, &[Step]) = (200, &[Data(3), Pending, Data(3)]);
const NOT_FOUND: (u16, &[Step]) = (404, &[Data(1)]);
const FAILS: (u16, &[Step]) = (200, &[Data(3), Pending, Error]);
const PANICS: (u16, &[Step]) = (200, &[Data(3), Pending, Panic]);
const SILENT: (u16, &[Step]) = (200, &[Data(3), Silent]);
const BUSY: (u16, &[Step]) = (200, &[Step::Forever(1_000)]);

/// Sends `bytes` in one write, calls `leave` once the server is idle, and returns the outcomes in order.
async fn pipelined(
    bytes: &[u8],
    responses: Responses,
    mut leave: impl AsyncFnMut(DuplexStream, &Recorder),
) -> Vec<String> {
    let recorder = Recorder::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let service = service(Some(&recorder.layer()), move |_| {
        let (status, steps) = responses[calls.fetch_add(1, Ordering::SeqCst) % responses.len()];
        let body = ScriptedBody::new(steps.iter().cloned());
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = StatusCode::from_u16(status).expect("a status");
        std::future::ready(response)
    });
    let (mut client, server) = duplex(1 << 16);
    let connection = serve(Version::HTTP_11, server, service);
    client.write_all(bytes).await.expect("the server reads");
    run_until_idle().await;
    leave(client, &recorder).await;
    run_until_idle().await;
    // The result depends on how the client left.
    connection.abort();
    let _ = connection.await;
    assert_eq!(recorder.starts(), recorder.ends());
    let spans = recorder.spans().into_iter();
    spans.map(|span| Seen(span).outcome()).collect()
}

async fn read_all(mut client: DuplexStream, _: &Recorder) {
    let mut bytes = Vec::new();
    client.shutdown().await.expect("a half close");
    // Reading can fail if the server has already closed the connection.
    let _ = client.read_to_end(&mut bytes).await;
}

#[test]
fn pipelined_requests_end_in_order_up_to_the_first_that_breaks_the_connection() {
    for (rule, sent, responses, expected) in [
        (
            "a hundred requests have the outcomes of their responses",
            100,
            &[WHOLE, NOT_FOUND][..],
            [DEPARTED, "ABORTED(client_error)"].repeat(50),
        ),
        (
            "a body error closes the connection",
            10,
            &[WHOLE, WHOLE, FAILS],
            vec![DEPARTED, DEPARTED, EXCEPTION],
        ),
        (
            "a panic in the body closes the connection",
            10,
            &[WHOLE, PANICS],
            vec![DEPARTED, "ABORTED(panic)"],
        ),
    ] {
        let outcomes = current_thread_runtime().block_on(pipelined(
            &GET.repeat(sent),
            responses,
            async |client, recorder| {
                if sent == 100 {
                    assert_eq!(recorder.ends(), 100, "{rule}");
                }
                read_all(client, recorder).await;
            },
        ));
        assert_eq!(outcomes, expected, "{rule}");
    }
}

#[test]
fn a_connection_cut_inside_a_request_head_has_no_span_for_that_request() {
    for cut in 1..GET.len() {
        let bytes = [GET, GET, &GET[..cut]].concat();
        let outcomes =
            current_thread_runtime()
                .block_on(pipelined(&bytes, &[WHOLE], async |client, _| drop(client)));
        assert_eq!(outcomes, [DEPARTED; 2], "cut at {cut}");
    }
}

/// hyper does not read while an unserved request is in its buffer. It then detects a disconnect at its next
/// write only, and never if the body stays silent.
#[test]
fn a_disconnect_behind_pipelined_requests_is_detected_at_the_next_write() {
    let leave = async |client: DuplexStream, _: &Recorder| drop(client);
    let outcomes = current_thread_runtime().block_on(pipelined(&GET.repeat(2), &[BUSY], leave));
    assert_eq!(outcomes, [CLIENT_DISCONNECT], "a body that keeps writing");

    let leave_undetected = async |client: DuplexStream, recorder: &Recorder| {
        drop(client);
        run_until_idle().await;
        // Not detected: the span ends when `pipelined` aborts the connection.
        assert_eq!((recorder.starts(), recorder.ends()), (1, 0));
    };
    let outcomes =
        current_thread_runtime().block_on(pipelined(&GET.repeat(2), &[SILENT], leave_undetected));
    assert_eq!(
        outcomes,
        [CLIENT_DISCONNECT],
        "a silent body, with a request behind"
    );

    let leave_detected = async |client: DuplexStream, recorder: &Recorder| {
        drop(client);
        run_until_idle().await;
        assert_eq!((recorder.starts(), recorder.ends()), (1, 1));
    };
    let outcomes = current_thread_runtime().block_on(pipelined(GET, &[SILENT], leave_detected));
    assert_eq!(
        outcomes,
        [CLIENT_DISCONNECT],
        "a silent body, with no request behind"
    );
}
