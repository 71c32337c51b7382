//! Event streams over connections: the span ends before the client has read the terminator.

use std::convert::Infallible;
use std::time::Duration;

use http::Request;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tower::{ServiceBuilder, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::SizeAbove;
use tower_layer::Layer as _;

use super::pipes::{PROTOCOLS, request, send};
use super::{event_stream, llm};
use crate::support::body::Step::{self, Bytes, Pending, Silent};
use crate::support::recorder::Recorder;

const CHUNK: Step = Bytes(b"data: {\"choices\":[]}\n\n");
const DONE: Step = Bytes(b"data: [DONE]\n\n");
const FAILED: Step = Bytes(b"data: {\"error\":{\"message\":\"out of memory\"}}\n\n");

/// Reads until the body ends with these bytes.
async fn read_to(body: &mut Incoming, last: &[u8]) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(last) {
        let frame = body.frame().await.expect("more").expect("a frame");
        bytes.extend_from_slice(&frame.into_data().expect("data"));
    }
}

// With two threads, the client can run before the server's next step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_span_has_ended_when_the_client_reads_the_terminator() {
    for version in PROTOCOLS {
        for (case, steps, outcome) in [
            (
                "a body that stays open",
                &[CHUNK, Pending, DONE, Silent][..],
                "DEPARTED",
            ),
            ("a body that is at its end", &[CHUNK, DONE], "DEPARTED"),
            (
                "a cut terminator",
                &[
                    CHUNK,
                    Bytes(b"data: [DO"),
                    Pending,
                    Bytes(b"NE]\n\n"),
                    Silent,
                ],
                "DEPARTED",
            ),
            (
                "an error event",
                &[CHUNK, FAILED, DONE, Silent],
                "ABORTED(generation_error)",
            ),
        ] {
            for _ in 0..20 {
                let recorder = Recorder::new();
                let service = llm(&recorder).layer(service_fn(move |_: Request<Incoming>| {
                    let response = event_stream(steps.to_vec());
                    std::future::ready(Ok::<_, Infallible>(response))
                }));
                let response = send(version, service, request()).await;
                let mut body = response.into_body();
                read_to(&mut body, b"data: [DONE]\n\n").await;
                assert_eq!(recorder.ends(), 1, "{case} {version:?}");
                drop(body);
                assert_eq!(recorder.only().outcome(), outcome, "{case} {version:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_is_read_if_compressed_outside_the_layer_and_not_if_compressed_inside() {
    let compression = || CompressionLayer::new().compress_when(SizeAbove::new(0));
    for version in PROTOCOLS {
        for (is_outside, outcome) in [(true, "DEPARTED"), (false, "ABORTED(client_disconnect)")] {
            let recorder = Recorder::new();
            let inner = service_fn(|_: Request<Incoming>| {
                let response = event_stream([CHUNK, DONE, Silent]);
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let mut request = request();
            let gzip = HeaderValue::from_static("gzip");
            request.headers_mut().insert(ACCEPT_ENCODING, gzip.clone());
            let response = if is_outside {
                let service = ServiceBuilder::new()
                    .layer(compression())
                    .layer(llm(&recorder));
                send(version, service.service(inner), request).await
            } else {
                let service = ServiceBuilder::new()
                    .layer(llm(&recorder))
                    .layer(compression());
                send(version, service.service(inner), request).await
            };
            assert_eq!(response.headers().get(CONTENT_ENCODING), Some(&gzip));
            // The paused clock advances when the server is idle.
            let read = response.into_body().collect();
            let read = tokio::time::timeout(Duration::from_secs(1), read).await;
            assert!(read.is_err(), "the stream stays open");
            recorder.all_ended().await;
            let case = format!("outside: {is_outside}, {version:?}");
            assert_eq!(recorder.only().outcome(), outcome, "{case}");
        }
    }
}
