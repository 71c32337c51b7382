//! A hundred megabytes, either way: counted right, and of no more memory than a small message.

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

use super::{PROTOCOLS, alone, serve, service};
use crate::support::recorder::Recorder;

const FRAME: usize = 16 << 10;
const FRAMES: usize = 6_400;
const SIZE: &str = "104857600";

/// What the layer may add to the most that is held at one time.
const MOST_ADDED: u64 = 16 << 10;
/// What all may hold, of which pipe and buffers are the most.
const MOST: u64 = 4 << 20;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Down,
    /// An event stream that is one line, which a reader must not keep.
    Events,
    Up,
}
use Way::{Down, Events, Up};

fn frames() -> Body {
    // A `data:` line that goes on, as an event stream.
    static FRAME_BYTES: [u8; FRAME] = [b'x'; FRAME];
    let frame = Bytes::from_static(&FRAME_BYTES);
    let frames = std::iter::repeat_n(frame, FRAMES);
    Body::from_stream(stream::iter(frames.map(Ok::<_, std::io::Error>)))
}

/// Sends a large message, and returns what was allocated for it.
fn carry(version: Version, way: Way, layer: Option<&ApiSpanLayer>) -> AllocationInfo {
    let service = service(layer, move |request: Request<Body>| async move {
        if way != Up {
            let mut response = Response::new(frames());
            let kind = if way == Events {
                "text/event-stream"
            } else {
                "text/plain"
            };
            let kind = HeaderValue::from_static(kind);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            return response;
        }
        let taken = drain(request.into_body()).await;
        Response::new(Body::from(taken.to_string()))
    });
    let runtime = alone();
    measure(|| {
        runtime.block_on(async {
            let (client, server) = duplex(64 << 10);
            let serving = serve(version, server, service);
            let sent = if way == Up { frames() } else { Body::empty() };
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
            if way == Up {
                let taken = body.collect().await.expect("a body").to_bytes();
                assert_eq!(taken, SIZE);
            } else {
                assert_eq!(drain(body).await.to_string(), SIZE);
            }
            serving
                .await
                .expect("no panic")
                .expect("a connection that ends well");
        });
    })
}

/// Takes all there is and keeps none of it.
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
fn a_hundred_megabytes_are_counted_right_and_kept_nowhere() {
    for version in PROTOCOLS {
        for way in [Down, Events, Up] {
            let case = format!("{version:?}, {way:?}");
            let at = Recorder::new();
            let layer = at
                .layer()
                .body_sizes(true)
                .stream_terminator("[DONE]")
                .stream_errors(true);
            let bare = carry(version, way, None);
            let layered = carry(version, way, Some(&layer));
            assert!(layered.bytes_max < MOST, "{case}: {layered:?}");
            let added = layered.bytes_max.saturating_sub(bare.bytes_max);
            assert!(added < MOST_ADDED, "{case}: {added} more than {bare:?}");
            let span = at.only();
            let size = |key| span.attribute(key);
            let [up, down] = ["http.request.body.size", "http.response.body.size"].map(size);
            let carried = if way == Up { up } else { down };
            assert_eq!(carried.as_deref(), Some(SIZE), "{case}");
            assert_eq!(span.outcome(), "DEPARTED", "{case}");
        }
    }
}
