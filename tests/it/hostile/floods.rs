//! Thousands of streams that are opened and reset on one connection of HTTP/2: each of them has a span
//! that ends, and none leaves anything behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use allocation_counter::measure;
use axum::body::Body;
use http::{Response, Version};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use tokio::io::DuplexStream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, WriteHalf, duplex, split};
use tokio::task::JoinHandle;
use tower_api_span::ApiSpanLayer;

use super::raw::{headers, preface, reset};
use super::tally::Tally;
use super::{LEFT, Served, alone, serve, service, settle, until};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};

/// How many streams are open at once.
const AT_ONCE: usize = 100;
/// How many there are in a flood.
const STREAMS: usize = 3_000;

/// When a stream is reset, and in which order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// In one write with its head.
    WithHead,
    /// While its handler works; the first first.
    Handling,
    /// The same, the last first.
    LastFirst,
    /// After the first frame of its body, every third first.
    Midway,
}
use Order::{Handling, LastFirst, Midway, WithHead};

/// How far the server is.
#[derive(Clone, Default)]
struct Progress {
    calls: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

/// Handlers that hang, or bodies that fall silent.
fn hanging(layer: Option<&ApiSpanLayer>, order: Order, progress: &Progress) -> Served {
    let progress = progress.clone();
    service(layer, move |_| {
        let Progress { calls, polls } = progress.clone();
        calls.fetch_add(1, Ordering::SeqCst);
        async move {
            if order != Midway {
                std::future::pending::<()>().await;
            }
            let body = ScriptedBody::new([Data(5), Silent]);
            Response::new(Body::new(body.on_poll(move || {
                polls.fetch_add(1, Ordering::SeqCst);
            })))
        }
    })
}

/// A connection, its client's end, and the next stream on it.
struct Flood {
    write: WriteHalf<DuplexStream>,
    next: u32,
    order: Order,
    progress: Progress,
    server: JoinHandle<hyper::Result<()>>,
}

impl Flood {
    async fn connect(layer: Option<&ApiSpanLayer>, order: Order) -> Self {
        let progress = Progress::default();
        let service = hanging(layer, order, &progress);
        let (client, server) = duplex(1 << 16);
        let server = serve(Version::HTTP_2, server, service);
        let (mut read, mut write) = split(client);
        tokio::spawn(async move {
            let mut bytes = [0; 4_096];
            // Whatever comes, until the connection closes.
            while read.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        });
        write.write_all(&preface()).await.expect("the server reads");
        settle().await;
        Self {
            write,
            next: 1,
            order,
            progress,
            server,
        }
    }

    /// Opens streams and resets them.
    async fn run(&mut self, streams: usize) {
        for _ in 0..streams / AT_ONCE {
            let ids: Vec<u32> = (self.next..).step_by(2).take(AT_ONCE).collect();
            self.next = ids[AT_ONCE - 1] + 2;
            self.round(&ids).await;
        }
    }

    async fn round(&mut self, ids: &[u32]) {
        if self.order == WithHead {
            for id in ids {
                self.send(&[headers(*id), reset(*id, 8)].concat()).await;
                // The server takes notice of each of them: it gives up on a client that is faster.
                settle().await;
            }
            return;
        }
        let Progress { calls, polls } = self.progress.clone();
        let goal = calls.load(Ordering::SeqCst) + ids.len();
        let polled = polls.load(Ordering::SeqCst);
        let opened: Vec<_> = ids.iter().flat_map(|id| headers(*id)).collect();
        self.send(&opened).await;
        until("all handlers are called", || {
            calls.load(Ordering::SeqCst) == goal
        })
        .await;
        if self.order == Midway {
            // A frame each, and one more poll that finds nothing.
            let goal = polled + 2 * ids.len();
            until("all bodies are silent", || {
                polls.load(Ordering::SeqCst) >= goal
            })
            .await;
        }
        let order: Vec<u32> = match self.order {
            LastFirst => ids.iter().rev().copied().collect(),
            Midway => (0..3)
                .flat_map(|nth| ids.iter().skip(nth).step_by(3).copied())
                .collect(),
            Handling | WithHead => ids.to_vec(),
        };
        // CANCEL, NO_ERROR, PROTOCOL_ERROR, and a code that nobody knows.
        let codes = [8, 0, 1, 0xbad];
        let resets: Vec<_> = order
            .iter()
            .zip(codes.into_iter().cycle())
            .flat_map(|(id, code)| reset(*id, code))
            .collect();
        self.send(&resets).await;
        settle().await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.expect("the server reads");
    }
}

#[test]
fn every_stream_of_a_flood_of_resets_has_a_span_that_ends() {
    for order in [WithHead, Handling, LastFirst, Midway] {
        let tally = Tally::default();
        alone().block_on(async {
            let mut flood = Flood::connect(Some(&tally.layer()), order).await;
            flood.run(STREAMS).await;
            settle().await;
            // Already, and not only when the connection is gone.
            tally.check(&format!("{order:?}"), STREAMS, LEFT);
            assert!(
                !flood.server.is_finished(),
                "{order:?}: the connection lives"
            );
        });
    }
}

#[test]
fn a_flood_of_resets_leaves_nothing_behind() {
    for order in [Handling, Midway] {
        let tally = Tally::default();
        let layer = tally.layer();
        for layer in [None, Some(&layer)] {
            let runtime = alone();
            let mut flood = runtime.block_on(Flood::connect(layer, order));
            // The first fills what the connection keeps for the next.
            runtime.block_on(flood.run(STREAMS / 3));
            let held = measure(|| runtime.block_on(flood.run(STREAMS)));
            assert!(
                held.count_current.abs() <= 8 && held.bytes_current.abs() <= 4_096,
                "{order:?}, layer {}: {held:?}",
                layer.is_some()
            );
        }
        assert_eq!(tally.starts(), STREAMS / 3 + STREAMS);
        assert_eq!(tally.starts(), tally.ends());
    }
}

/// What h2 does with the attack of that name (CVE-2023-44487): more than a few streams that are reset
/// before anybody has taken them, and the connection is closed.
#[test]
fn a_rapid_reset_costs_the_connection_and_all_spans_end() {
    let tally = Tally::default();
    alone().block_on(async {
        let mut flood = Flood::connect(Some(&tally.layer()), Handling).await;
        let whole: Vec<_> = (1..=9).step_by(2).flat_map(headers).collect();
        flood.send(&whole).await;
        let calls = Arc::clone(&flood.progress.calls);
        until("five are called", || calls.load(Ordering::SeqCst) == 5).await;
        let attack: Vec<_> = (11..1_011)
            .step_by(2)
            .flat_map(|id| [headers(id), reset(id, 8)].concat())
            .collect();
        // The server may well be gone before it has read all of that.
        let _ = flood.write.write_all(&attack).await;
        let ended = flood.server.await.expect("no panic");
        let error = ended.expect_err("the server has had enough");
        assert!(
            format!("{error:?}").contains("ENHANCE_YOUR_CALM"),
            "{error:?}"
        );
        settle().await;
    });
    let spans = tally.starts();
    assert!((5..200).contains(&spans), "{spans} spans");
    tally.check("rapid reset", spans, LEFT);
}

#[test]
fn a_server_without_that_limit_serves_the_attack_and_all_spans_end() {
    let tally = Tally::default();
    alone().block_on(async {
        let service = hanging(Some(&tally.layer()), Handling, &Progress::default());
        let (client, server) = duplex(1 << 16);
        let (mut read, mut write) = split(client);
        let connection = http2::Builder::new(TokioExecutor::new())
            .max_pending_accept_reset_streams(STREAMS)
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
        let connection = tokio::spawn(connection);
        tokio::spawn(async move {
            let mut bytes = [0; 4_096];
            while read.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        });
        let attack: Vec<_> = (1..2 * u32::try_from(STREAMS).expect("few"))
            .step_by(2)
            .flat_map(|id| [headers(id), reset(id, 8)].concat())
            .collect();
        write.write_all(&preface()).await.expect("the server reads");
        write.write_all(&attack).await.expect("the server reads");
        settle().await;
        let spans = tally.starts();
        tally.check("rapid reset, served", spans, LEFT);
        assert!(!connection.is_finished(), "the connection lives");
        let next = 2 * u32::try_from(STREAMS).expect("few") + 1;
        write
            .write_all(&headers(next))
            .await
            .expect("the server reads");
        until("one more is called", || tally.starts() == spans + 1).await;
    });
}
