//! Oversized request heads: a request that the server rejects has no span. An accepted one has a span of
//! bounded size.

use std::fmt::Write as _;

use axum::body::Body;
use http::{HeaderName, Request, Response, Version};
use opentelemetry::{Array, Value};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tower_api_span::ApiSpanLayer;

use super::{current_thread_runtime, run_until_idle, serve, service};
use crate::support::recorder::{Recorder, Seen};

/// The default limit of hyper.
const MAX_HEADERS: usize = 100;
/// The length at which attribute values are truncated.
const MAX_VALUE: usize = 1_024;
/// The highest total allowed for all keys and values of a span.
const MAX_TOTAL: usize = 16 << 10;

fn service_with_captured_headers(recorder: &Recorder) -> super::BoxedService {
    let names = (0..4).map(|nth| HeaderName::try_from(format!("x-{nth}")).expect("a name"));
    let layer: ApiSpanLayer = recorder.layer().capture_request_headers(names);
    service(Some(&layer), |_| {
        std::future::ready(Response::new(Body::from("well")))
    })
}

/// Sends a head over HTTP/1.1 and returns the status.
async fn http1(recorder: &Recorder, head: Vec<u8>) -> u16 {
    let (mut client, server) = duplex(1 << 20);
    let io = hyper_util::rt::TokioIo::new(server);
    let service =
        hyper_util::service::TowerToHyperService::new(service_with_captured_headers(recorder));
    // hyper's default limits, unlike those of `serve`.
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    // A server that rejects the head does not read the rest.
    let _ = client.write_all(&head).await;
    let mut status_line = [0; 12];
    client
        .read_exact(&mut status_line)
        .await
        .expect("a response");
    let status = status_line.strip_prefix(b"HTTP/1.1 ").expect("HTTP/1.1");
    let status = str::from_utf8(status).expect("digits");
    status.parse().expect("a status")
}

fn head(target: &str, headers: usize, value: usize) -> Vec<u8> {
    let mut head = format!("GET {target} HTTP/1.1\r\nhost: a\r\n");
    for nth in 0..headers - 1 {
        write!(head, "x-{nth}: {}\r\n", "v".repeat(value)).expect("writing to a string succeeds");
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
            longest <= MAX_VALUE,
            "{case}: {} has {longest} bytes",
            kv.key
        );
        all += lengths.iter().sum::<usize>() + kv.key.as_str().len();
    }
    assert!(all <= MAX_TOTAL, "{case}: {all} bytes");
    assert!(
        span.0.attributes.len() <= 24,
        "{case}: {} keys",
        span.0.attributes.len()
    );
    assert_eq!(span.outcome(), "DEPARTED", "{case}");
}

#[test]
fn an_http1_head_rejected_by_the_server_has_no_span_and_an_accepted_one_a_bounded_span() {
    let path = |bytes: usize| format!("/{}", "p".repeat(bytes));
    let query = |bytes: usize| format!("/?{}", "q".repeat(bytes));
    for (case, head, status) in [
        ("the most headers allowed", head("/", MAX_HEADERS, 1), 200),
        ("one header more", head("/", MAX_HEADERS + 1, 1), 431),
        ("ten thousand headers", head("/", 10_000, 1), 431),
        (
            "the longest header values allowed",
            head("/", MAX_HEADERS, 3_900),
            200,
        ),
        (
            "a head larger than the buffer",
            head("/", MAX_HEADERS, 10_000),
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
            "a request target that is too long",
            head(&path(70_000), 1 + 1, 1),
            414,
        ),
    ] {
        let recorder = Recorder::new();
        let got = current_thread_runtime().block_on(http1(&recorder, head));
        assert_eq!(got, status, "{case}");
        if status == 200 {
            check_sizes(case, &recorder.only());
        } else {
            assert_eq!(recorder.starts(), 0, "{case}");
        }
    }
}

#[test]
fn an_http2_head_rejected_by_the_server_has_no_span_and_an_accepted_one_a_bounded_span() {
    // hyper's default limit is 16 KiB, by the header list size of RFC 9113, section 6.5.2.
    for (case, headers, value, status) in [
        ("a hundred headers", 100, 64, Some(200)),
        ("more than 16 KiB in many headers", 200, 64, Some(431)),
        ("more than 16 KiB in one header", 1, 17_000, Some(431)),
        ("ten thousand headers", 10_000, 1, None),
    ] {
        let recorder = Recorder::new();
        let got = current_thread_runtime().block_on(async {
            let (client, server) = duplex(1 << 20);
            serve(
                Version::HTTP_2,
                server,
                service_with_captured_headers(&recorder),
            );
            let handshake = h2::client::handshake(client).await;
            let (send, connection) = handshake.expect("a handshake");
            tokio::spawn(connection);
            // The client has the server's settings by then. h2 sends a larger head all the same.
            run_until_idle().await;
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
                    run_until_idle().await;
                    Some(response.status().as_u16())
                }
                Err(error) => {
                    assert!(error.is_remote(), "{case}: the server closes it: {error:?}");
                    None
                }
            }
        });
        assert_eq!(got, status, "{case}");
        if status == Some(200) {
            check_sizes(case, &recorder.only());
        } else {
            assert_eq!(recorder.starts(), 0, "{case}");
        }
    }
}
