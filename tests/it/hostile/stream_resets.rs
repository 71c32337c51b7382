//! Floods of `RST_STREAM`: one HTTP/2 connection opens and resets thousands of streams. Each span ends, and no
//! memory stays allocated.

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
use super::{
    BoxedService, CLIENT_DISCONNECT, current_thread_runtime, run_until_idle, serve, service,
    wait_until,
};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};

/// The number of streams that are open at the same time.
const CONCURRENT: usize = 100;
/// The number of streams in a flood.
const STREAMS: usize = 3_000;
/// How many floods may leave something allocated because the machine was busy.
const ROUNDS: usize = 10;

/// When the streams are reset, and in which order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Order {
    /// In one write with the request head.
    WithHead,
    /// While the handlers run, in the order of opening.
    Handling,
    /// While the handlers run, in reverse order.
    LastFirst,
    /// After the first body frame, every third stream first.
    Midway,
}
use Order::{Handling, LastFirst, Midway, WithHead};

/// Counts handler calls and body polls.
#[derive(Clone, Default)]
struct Progress {
    calls: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
}

/// Returns a service whose handlers hang, or whose bodies stay silent after one frame.
fn hanging(layer: Option<&ApiSpanLayer>, order: Order, progress: &Progress) -> BoxedService {
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

/// A client's connection, and the id of its next stream.
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
            while read.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        });
        write.write_all(&preface()).await.expect("the server reads");
        run_until_idle().await;
        Self {
            write,
            next: 1,
            order,
            progress,
            server,
        }
    }

    /// Opens and resets this many streams.
    async fn run(&mut self, streams: usize) {
        for _ in 0..streams / CONCURRENT {
            let ids: Vec<u32> = (self.next..).step_by(2).take(CONCURRENT).collect();
            self.next = ids[CONCURRENT - 1] + 2;
            self.run_batch(&ids).await;
        }
    }

    async fn run_batch(&mut self, ids: &[u32]) {
        if self.order == WithHead {
            for id in ids {
                self.send(&[headers(*id), reset(*id, 8)].concat()).await;
                // The server must process each reset: h2 closes the connection of a faster client.
                run_until_idle().await;
            }
            return;
        }
        let Progress { calls, polls } = self.progress.clone();
        let goal = calls.load(Ordering::SeqCst) + ids.len();
        let polled = polls.load(Ordering::SeqCst);
        let opened: Vec<_> = ids.iter().flat_map(|id| headers(*id)).collect();
        self.send(&opened).await;
        wait_until("all handlers are called", || {
            calls.load(Ordering::SeqCst) == goal
        })
        .await;
        if self.order == Midway {
            // One frame each, and one more poll that returns pending.
            let goal = polled + 2 * ids.len();
            wait_until("all bodies are silent", || {
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
        // CANCEL, NO_ERROR, PROTOCOL_ERROR, and an unknown code.
        let codes = [8, 0, 1, 0xbad];
        let resets: Vec<_> = order
            .iter()
            .zip(codes.into_iter().cycle())
            .flat_map(|(id, code)| reset(*id, code))
            .collect();
        self.send(&resets).await;
        run_until_idle().await;
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.write.write_all(bytes).await.expect("the server reads");
    }
}

#[test]
fn every_reset_stream_has_a_span_that_ends_with_client_disconnect() {
    for order in [WithHead, Handling, LastFirst, Midway] {
        let tally = Tally::default();
        current_thread_runtime().block_on(async {
            let mut flood = Flood::connect(Some(&tally.layer()), order).await;
            flood.run(STREAMS).await;
            run_until_idle().await;
            // Before the connection closes.
            tally.check(&format!("{order:?}"), STREAMS, CLIENT_DISCONNECT);
            assert!(
                !flood.server.is_finished(),
                "{order:?}: the connection is open"
            );
        });
    }
}

#[test]
fn a_flood_of_resets_leaves_no_memory_allocated() {
    for order in [Handling, Midway] {
        let tally = Tally::default();
        let layer = tally.layer();
        for layer in [None, Some(&layer)] {
            let runtime = current_thread_runtime();
            let mut flood = runtime.block_on(Flood::connect(layer, order));
            // The first run fills the buffers that the connection reuses.
            runtime.block_on(flood.run(STREAMS / 3));
            // A leak shows in each round. On a busy machine one round can end before the connection is done with it.
            let leaves_nothing = (0..ROUNDS).any(|_| {
                let allocated = measure(|| runtime.block_on(flood.run(STREAMS)));
                allocated.count_current.abs() <= 8 && allocated.bytes_current.abs() <= 4_096
            });
            assert!(leaves_nothing, "{order:?}, layer {}", layer.is_some());
        }
        assert!(tally.starts() >= STREAMS / 3 + STREAMS);
        assert_eq!(tally.starts(), tally.ends());
    }
}

/// h2 answers the rapid reset attack (CVE-2023-44487) by closing the connection: too many streams were reset
/// before they were accepted.
#[test]
fn a_rapid_reset_attack_closes_the_connection_and_all_spans_end() {
    let tally = Tally::default();
    current_thread_runtime().block_on(async {
        let mut flood = Flood::connect(Some(&tally.layer()), Handling).await;
        let whole: Vec<_> = (1..=9).step_by(2).flat_map(headers).collect();
        flood.send(&whole).await;
        let calls = Arc::clone(&flood.progress.calls);
        wait_until("five handlers are called", || {
            calls.load(Ordering::SeqCst) == 5
        })
        .await;
        let attack: Vec<_> = (11..1_011)
            .step_by(2)
            .flat_map(|id| [headers(id), reset(id, 8)].concat())
            .collect();
        // The server may close the connection before it has read everything.
        let _ = flood.write.write_all(&attack).await;
        let ended = flood.server.await.expect("no panic");
        let error = ended.expect_err("the server closes the connection");
        assert!(
            format!("{error:?}").contains("ENHANCE_YOUR_CALM"),
            "{error:?}"
        );
        run_until_idle().await;
    });
    let spans = tally.starts();
    assert!((5..200).contains(&spans), "{spans} spans");
    tally.check("rapid reset", spans, CLIENT_DISCONNECT);
}

#[test]
fn a_rapid_reset_attack_on_a_server_without_the_limit_is_served_and_all_spans_end() {
    let tally = Tally::default();
    current_thread_runtime().block_on(async {
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
        run_until_idle().await;
        let spans = tally.starts();
        tally.check("rapid reset, served", spans, CLIENT_DISCONNECT);
        assert!(!connection.is_finished(), "the connection is open");
        let next = 2 * u32::try_from(STREAMS).expect("few") + 1;
        write
            .write_all(&headers(next))
            .await
            .expect("the server reads");
        wait_until("one more request is served", || tally.starts() == spans + 1).await;
    });
}
