//! Clients that read slowly, or not at all: a server pulls no more from the body than it would from that
//! of the bare service, and the span ends when the last of it has been pulled.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use http::{Request, Response, Version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::yield_now;
use tower_api_span::ApiSpanLayer;

use super::raw::LAST_GET;
use super::{LEFT, PROTOCOLS, alone, serve, service, settle};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::Recorder;

const FRAME: usize = 1_024;
const FRAMES: usize = 64;
/// What a client of HTTP/2 takes at a time: h2 takes frames of a few bytes for an attack.
const PIECE: usize = 512;
/// All frames, and `None`.
const POLLS: usize = FRAMES + 1;

/// How far a body was polled, and how many spans had ended, each time that a client has read.
type Trace = Vec<(usize, usize)>;

/// A server on a narrow pipe.
struct Server {
    client: DuplexStream,
    polls: Arc<AtomicUsize>,
    at: Recorder,
}

impl Server {
    fn start(version: Version, is_layered: bool) -> Self {
        let at = Recorder::new();
        let polls = Arc::new(AtomicUsize::new(0));
        let (client, server) = duplex(64);
        let counted = Arc::clone(&polls);
        let layer: Option<ApiSpanLayer> = is_layered.then(|| at.layer());
        let service = service(layer.as_ref(), move |_| {
            let counted = Arc::clone(&counted);
            let body = ScriptedBody::new([const { Data(FRAME) }; FRAMES]).on_poll(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            });
            std::future::ready(Response::new(Body::new(body)))
        });
        serve(version, server, service);
        Self { client, polls, at }
    }

    fn now(&self) -> (usize, usize) {
        (self.polls.load(Ordering::SeqCst), self.at.ends())
    }
}

/// Reads byte by byte, or in small pieces, and gives the server all the time there is in between.
async fn bit_by_bit(version: Version, is_layered: bool, bytes: usize) -> (Trace, Recorder) {
    let mut trace = Vec::new();
    let Server { client, polls, at } = Server::start(version, is_layered);
    let now = || (polls.load(Ordering::SeqCst), at.ends());
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
                released.expect("it was taken");
                read += piece.len();
                settle().await;
                trace.push(now());
            }
        }
        drop((body, send));
        settle().await;
        driver.abort();
    } else {
        let mut client = client;
        client.write_all(LAST_GET).await.expect("the server reads");
        let mut byte = [0];
        while trace.len() < bytes && client.read(&mut byte).await.expect("a pipe") == 1 {
            for _ in 0..4 {
                yield_now().await;
            }
            trace.push(now());
        }
    }
    settle().await;
    (trace, at)
}

#[test]
fn a_client_that_reads_bit_by_bit_pulls_no_more_and_the_span_ends_with_the_last_frame() {
    for version in PROTOCOLS {
        let (bare, _) = alone().block_on(bit_by_bit(version, false, usize::MAX));
        let (layered, at) = alone().block_on(bit_by_bit(version, true, usize::MAX));
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
        assert_eq!(at.only().outcome(), "DEPARTED", "{version:?}");
    }
}

#[test]
fn a_client_that_stops_reading_stops_the_body_and_leaves_when_it_leaves() {
    for version in PROTOCOLS {
        let enough = FRAMES * FRAME / 4;
        let (bare, _) = alone().block_on(bit_by_bit(version, false, enough));
        let (layered, at) = alone().block_on(bit_by_bit(version, true, enough));
        let (stopped, ends) = layered[layered.len() - 1];
        assert_eq!(bare[bare.len() - 1].0, stopped, "{version:?}");
        assert!(
            stopped < FRAMES && ends == 0,
            "{version:?}: {stopped} polls"
        );
        assert_eq!(at.only().outcome(), LEFT, "{version:?}");
    }
}

#[test]
fn a_client_that_reads_nothing_holds_the_span_open_for_as_long_as_it_stays() {
    for version in PROTOCOLS {
        alone().block_on(async {
            let bare = stuck(version, false).await.now().0;
            let server = stuck(version, true).await;
            assert_eq!(server.now(), (bare, 0), "{version:?}");
            let at = server.at.clone();
            drop(server);
            settle().await;
            assert_eq!(at.only().outcome(), LEFT, "{version:?}");
        });
    }
}

/// A server whose client has sent a request and does not read.
async fn stuck(version: Version, is_layered: bool) -> Server {
    let mut server = Server::start(version, is_layered);
    let request = super::raw::request(version);
    server
        .client
        .write_all(&request)
        .await
        .expect("the server reads");
    settle().await;
    let polls = server.now();
    settle().await;
    assert_eq!(server.now(), polls, "{version:?}: it goes on");
    server
}
