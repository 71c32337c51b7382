//! Bodies of 100 MiB in either direction: their size is recorded, and the layer does not buffer them.

use allocation_counter::{AllocationInfo, measure};
use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, Version};
use http_body_util::BodyExt as _;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::duplex;
use tower_api_span::ApiSpanLayer;

use super::{PROTOCOLS, current_thread_runtime, serve, service};
use crate::support::recorder::Recorder;

const FRAME: usize = 16 << 10;
const FRAMES: usize = 6_400;
const SIZE: &str = "104857600";

/// The most that the layer may add to the peak memory.
const MAX_ADDED: u64 = 16 << 10;
/// The highest peak memory allowed. The pipe and its buffers are the largest part.
const MAX_PEAK: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Direction {
    Download,
    /// An event stream of one long line, which the reader must not buffer.
    EventStream,
    Upload,
}
use Direction::{Download, EventStream, Upload};

fn frames() -> Body {
    static FRAME_BYTES: [u8; FRAME] = [b'x'; FRAME];
    let frame = Bytes::from_static(&FRAME_BYTES);
    let frames = std::iter::repeat_n(frame, FRAMES);
    Body::from_stream(stream::iter(frames.map(Ok::<_, std::io::Error>)))
}

/// Transfers a large body and returns the allocations made.
fn transfer(
    version: Version,
    direction: Direction,
    layer: Option<&ApiSpanLayer>,
) -> AllocationInfo {
    let service = service(layer, move |request: Request<Body>| async move {
        if direction != Upload {
            let mut response = Response::new(frames());
            let content_type = if direction == EventStream {
                "text/event-stream"
            } else {
                "text/plain"
            };
            let content_type = HeaderValue::from_static(content_type);
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            return response;
        }
        let received = drain(request.into_body()).await;
        Response::new(Body::from(received.to_string()))
    });
    let runtime = current_thread_runtime();
    measure(|| {
        runtime.block_on(async {
            let (client, server) = duplex(64 << 10);
            let serving = serve(version, server, service);
            let sent = if direction == Upload {
                frames()
            } else {
                Body::empty()
            };
            let request = Request::post("http://a/").header("host", "a").body(sent);
            let request = request.expect("a request");
            let io = TokioIo::new(client);
            let response = if version == Version::HTTP_2 {
                let handshake = http2::handshake(TokioExecutor::new(), io).await;
                let (mut sender, connection) = handshake.expect("a handshake");
                tokio::spawn(connection);
                sender.send_request(request).await
            } else {
                let handshake = http1::handshake(io).await;
                let (mut sender, connection) = handshake.expect("a handshake");
                tokio::spawn(connection);
                sender.send_request(request).await
            };
            let body = response.expect("a response").into_body();
            if direction == Upload {
                let received = body.collect().await.expect("a body").to_bytes();
                assert_eq!(received, SIZE);
            } else {
                assert_eq!(drain(body).await.to_string(), SIZE);
            }
            serving
                .await
                .expect("no panic")
                .expect("a connection that closes without an error");
        });
    })
}

/// Reads a body to its end and returns the number of bytes.
async fn drain<B>(mut body: B) -> usize
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.expect("a frame").data_ref().map_or(0, Bytes::len);
    }
    bytes
}

#[test]
fn a_100_mib_body_has_its_size_recorded_and_is_not_buffered() {
    for version in PROTOCOLS {
        for direction in [Download, EventStream, Upload] {
            let case = format!("{version:?}, {direction:?}");
            let recorder = Recorder::new();
            let layer = recorder
                .layer()
                .body_sizes(true)
                .stream_terminator("[DONE]")
                .stream_errors(true);
            let bare = transfer(version, direction, None);
            let layered = transfer(version, direction, Some(&layer));
            assert!(layered.bytes_max < MAX_PEAK, "{case}: {layered:?}");
            let added = layered.bytes_max.saturating_sub(bare.bytes_max);
            assert!(
                added < MAX_ADDED,
                "{case}: {added} bytes more than {bare:?}"
            );
            let span = recorder.only();
            let size = |key| span.attribute(key);
            let [up, down] = ["http.request.body.size", "http.response.body.size"].map(size);
            let transferred = if direction == Upload { up } else { down };
            assert_eq!(transferred.as_deref(), Some(SIZE), "{case}");
            assert_eq!(span.outcome(), "DEPARTED", "{case}");
        }
    }
}
