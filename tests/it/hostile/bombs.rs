//! Heads that are too large: those the server turns away have no span, and those it lets pass have one
//! that is no larger than any.

use std::fmt::Write as _;

use axum::body::Body;
use http::{HeaderName, Request, Response, Version};
use opentelemetry::{Array, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tower_api_span::ApiSpanLayer;

use super::{alone, serve, service, settle};
use crate::support::recorder::{Recorder, Seen};

/// As much as hyper takes by default.
const MOST_HEADERS: usize = 100;
/// What attributes are cut at, and what an event or two and some fixed values come to.
const MOST_OF_ONE: usize = 1_024;
const MOST_OF_ALL: usize = 16 << 10;

fn answering(at: &Recorder) -> super::Served {
    let names = (0..4).map(|nth| HeaderName::try_from(format!("x-{nth}")).expect("a name"));
    let layer: ApiSpanLayer = at.layer().capture_request_headers(names);
    service(Some(&layer), |_| {
        std::future::ready(Response::new(Body::from("well")))
    })
}

/// Sends a head over HTTP/1.1 and returns the status.
async fn http1(at: &Recorder, head: Vec<u8>) -> u16 {
    let (mut client, server) = duplex(1 << 20);
    let io = hyper_util::rt::TokioIo::new(server);
    let service = hyper_util::service::TowerToHyperService::new(answering(at));
    // With its own limits.
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    // A server that has had enough does not read the rest.
    let _ = client.write_all(&head).await;
    let mut answer = [0; 12];
    client.read_exact(&mut answer).await.expect("an answer");
    let status = answer.strip_prefix(b"HTTP/1.1 ").expect("a status line");
    let status = str::from_utf8(status).expect("digits");
    status.parse().expect("a status")
}

fn head(target: &str, headers: usize, value: usize) -> Vec<u8> {
    let mut head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n");
    for nth in 0..headers - 1 {
        write!(head, "x-{nth}: {}\r\n", "v".repeat(value)).expect("a string takes all");
    }
    (head + "\r\n").into_bytes()
}

fn check_sizes(case: &str, span: &Seen) {
    let mut all = 0;
    for kv in &span.0.attributes {
        let lengths: Vec<usize> = match &kv.value {
            Value::Array(Array::String(texts)) => {
                texts.iter().map(|text| text.as_str().len()).collect()
            }
            value => vec![value.to_string().len()],
        };
        let longest = lengths.iter().max().copied().unwrap_or(0);
        assert!(
            longest <= MOST_OF_ONE,
            "{case}: {} has {longest} bytes",
            kv.key
        );
        all += lengths.iter().sum::<usize>() + kv.key.as_str().len();
    }
    assert!(all <= MOST_OF_ALL, "{case}: {all} bytes");
    assert!(
        span.0.attributes.len() <= 24,
        "{case}: {} keys",
        span.0.attributes.len()
    );
    assert_eq!(span.outcome(), "DEPARTED", "{case}");
}

#[test]
fn a_head_that_the_server_turns_away_has_no_span_and_any_other_a_bounded_one() {
    let path = |bytes: usize| format!("/{}", "p".repeat(bytes));
    let query = |bytes: usize| format!("/?{}", "q".repeat(bytes));
    for (case, head, status) in [
        ("as many headers as can be", head("/", MOST_HEADERS, 1), 200),
        ("one more", head("/", MOST_HEADERS + 1, 1), 431),
        ("ten thousand", head("/", 10_000, 1), 431),
        (
            "as much as can be in them",
            head("/", MOST_HEADERS, 3_900),
            200,
        ),
        (
            "a head larger than the buffer",
            head("/", MOST_HEADERS, 10_000),
            431,
        ),
        ("one value of 300,000 bytes", head("/", 2, 300_000), 200),
        ("a path of 60,000 bytes", head(&path(60_000), 1 + 1, 1), 200),
        (
            "a query of 60,000 bytes",
            head(&query(60_000), 1 + 1, 1),
            200,
        ),
        (
            "a target that is too long",
            head(&path(70_000), 1 + 1, 1),
            414,
        ),
    ] {
        let at = Recorder::new();
        let got = alone().block_on(http1(&at, head));
        assert_eq!(got, status, "{case}");
        if status == 200 {
            check_sizes(case, &at.only());
        } else {
            assert_eq!(at.starts(), 0, "{case}");
        }
    }
}

#[test]
fn the_same_over_http2() {
    // 16 KiB of headers, as HTTP/2 counts them, is what hyper takes by default.
    for (case, headers, value, status) in [
        ("a hundred headers", 100, 64, Some(200)),
        ("more than 16 KiB in many", 200, 64, Some(431)),
        ("more than 16 KiB in one", 1, 17_000, Some(431)),
        ("ten thousand", 10_000, 1, None),
    ] {
        let at = Recorder::new();
        let got = alone().block_on(async {
            let (client, server) = duplex(1 << 20);
            serve(Version::HTTP_2, server, answering(&at));
            let handshake = h2::client::handshake(client).await;
            let (send, connection) = handshake.expect("a handshake");
            tokio::spawn(connection);
            // The client has heard by then what the server takes, and sends it all the same.
            settle().await;
            let mut send = send.ready().await.expect("room for a stream");
            let mut request = Request::get("http://a/");
            for nth in 0..headers {
                request = request.header(format!("x-{nth}"), "v".repeat(value));
            }
            let request = request.body(()).expect("a request");
            let stream = send.send_request(request, true);
            let (response, _) = stream.expect("the client sends it");
            match response.await {
                Ok(response) => {
                    settle().await;
                    Some(response.status().as_u16())
                }
                Err(error) => {
                    assert!(error.is_remote(), "{case}: the server ends it: {error:?}");
                    None
                }
            }
        });
        assert_eq!(got, status, "{case}");
        if status == Some(200) {
            check_sizes(case, &at.only());
        } else {
            assert_eq!(at.starts(), 0, "{case}");
        }
    }
}
