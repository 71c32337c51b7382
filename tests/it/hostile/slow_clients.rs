//! Clients that read slowly or not at all: the server polls the body as often as without the layer. The span
//! ends when the last frame has been polled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::{Request, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::yield_now;
use tower_api_span::ApiSpanLayer;

use super::raw::LAST_GET;
use super::{CLIENT_DISCONNECT, PROTOCOLS, current_thread_runtime, run_until_idle, serve, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::Recorder;

const FRAME: usize = 1_024;
const FRAMES: usize = 64;
/// The bytes released at a time by an HTTP/2 client. h2 treats frames of a few bytes as an attack.
const PIECE: usize = 512;
/// The polls of a whole body: all frames, and `None`.
const POLLS: usize = FRAMES + 1;

/// The number of body polls and of ended spans after each read of the client.
type Trace = Vec<(usize, usize)>;

/// A server on a narrow pipe.
struct Server {
    client: DuplexStream,
    polls: Arc<AtomicUsize>,
    recorder: Recorder,
}

impl Server {
    fn start(version: Version, is_layered: bool) -> Self {
        let recorder = Recorder::new();
        let polls = Arc::new(AtomicUsize::new(0));
        let (client, server) = duplex(64);
        let counted = Arc::clone(&polls);
        let layer: Option<ApiSpanLayer> = is_layered.then(|| recorder.layer());
        let service = service(layer.as_ref(), move |_| {
            let counted = Arc::clone(&counted);
            let body = ScriptedBody::new([const { Data(FRAME) }; FRAMES]).on_poll(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            });
            std::future::ready(Response::new(Body::new(body)))
        });
        serve(version, server, service);
        Self {
            client,
            polls,
            recorder,
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.polls.load(Ordering::SeqCst), self.recorder.ends())
    }
}

/// Reads up to `bytes` in small pieces. Lets the server run until idle after each piece.
async fn read_slowly(version: Version, is_layered: bool, bytes: usize) -> (Trace, Recorder) {
    let mut trace = Vec::new();
    let Server {
        client,
        polls,
        recorder,
    } = Server::start(version, is_layered);
    let counts = || (polls.load(Ordering::SeqCst), recorder.ends());
    if version == Version::HTTP_2 {
        let mut builder = h2::client::Builder::new();
        builder.initial_window_size(2_048);
        let (send, connection) = builder
            .handshake::<_, bytes::Bytes>(client)
            .await
            .expect("a handshake");
        let driver = tokio::spawn(connection);
        let mut send = send.ready().await.expect("room for a stream");
        let request = Request::get("http://a/").body(()).expect("a request");
        let (response, _) = send.send_request(request, true).expect("a request");
        let mut body = response.await.expect("a head").into_body();
        let mut read = 0;
        while read < bytes
            && let Some(data) = body.data().await
        {
            let data = data.expect("data");
            for piece in data.chunks(PIECE) {
                let released = body.flow_control().release_capacity(piece.len());
                released.expect("the capacity was used");
                read += piece.len();
                run_until_idle().await;
                trace.push(counts());
            }
        }
        drop((body, send));
        run_until_idle().await;
        driver.abort();
    } else {
        let mut client = client;
        client.write_all(LAST_GET).await.expect("the server reads");
        let mut byte = [0];
        while trace.len() < bytes && client.read(&mut byte).await.expect("a pipe") == 1 {
            for _ in 0..4 {
                yield_now().await;
            }
            trace.push(counts());
        }
    }
    run_until_idle().await;
    (trace, recorder)
}

#[test]
fn a_slow_client_causes_the_same_polls_as_without_the_layer_and_the_span_ends_with_the_last_frame()
{
    for version in PROTOCOLS {
        let (bare, _) = current_thread_runtime().block_on(read_slowly(version, false, usize::MAX));
        let (layered, recorder) =
            current_thread_runtime().block_on(read_slowly(version, true, usize::MAX));
        let polls = |trace: &Trace| trace.iter().map(|(polls, _)| *polls).collect::<Vec<_>>();
        assert_eq!(polls(&layered), polls(&bare), "{version:?}");
        let (first, last) = (bare[0].0, bare[bare.len() - 1].0);
        assert!(
            first < FRAMES / 2 && last == POLLS,
            "{version:?}: {first} to {last}"
        );
        for (polls, ends) in layered {
            assert_eq!(
                ends,
                usize::from(polls == POLLS),
                "{version:?}, {polls} polls"
            );
        }
        assert_eq!(recorder.only().outcome(), "DEPARTED", "{version:?}");
    }
}

#[test]
fn a_client_that_stops_reading_stops_the_polls_and_the_span_ends_when_it_leaves() {
    for version in PROTOCOLS {
        let quarter = FRAMES * FRAME / 4;
        let (bare, _) = current_thread_runtime().block_on(read_slowly(version, false, quarter));
        let (layered, recorder) =
            current_thread_runtime().block_on(read_slowly(version, true, quarter));
        let (stopped, ends) = layered[layered.len() - 1];
        assert_eq!(bare[bare.len() - 1].0, stopped, "{version:?}");
        assert!(
            stopped < FRAMES && ends == 0,
            "{version:?}: {stopped} polls"
        );
        assert_eq!(recorder.only().outcome(), CLIENT_DISCONNECT, "{version:?}");
    }
}

#[test]
fn a_client_that_reads_nothing_keeps_the_span_open_until_it_leaves() {
    for version in PROTOCOLS {
        current_thread_runtime().block_on(async {
            let bare = start_unread(version, false).await.counts().0;
            let server = start_unread(version, true).await;
            assert_eq!(server.counts(), (bare, 0), "{version:?}");
            let recorder = server.recorder.clone();
            drop(server);
            run_until_idle().await;
            assert_eq!(recorder.only().outcome(), CLIENT_DISCONNECT, "{version:?}");
        });
    }
}

/// Starts a server whose client sends a request and does not read.
async fn start_unread(version: Version, is_layered: bool) -> Server {
    let mut server = Server::start(version, is_layered);
    let request = super::raw::request(version);
    server
        .client
        .write_all(&request)
        .await
        .expect("the server reads");
    run_until_idle().await;
    let before = server.counts();
    run_until_idle().await;
    assert_eq!(
        server.counts(),
        before,
        "{version:?}: the server still polls"
    );
    server
}
