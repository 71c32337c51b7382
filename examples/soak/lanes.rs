//! The load: lanes, each of which makes one request after the other at full speed.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::client::{Client, Connection};
use crate::paths::{PATHS, Protocol};
use crate::tag::{KINDS, Tag, kind};

/// Per protocol: the number of connections, and of lanes on each.
const CONNECTIONS: [(Protocol, usize, usize); 3] = [
    (Protocol::Http1, 32, 1),
    (Protocol::Http2, 4, 8),
    (Protocol::Grpc, 4, 6),
];
const LANES: usize = {
    let [
        (_, one, one_each),
        (_, two, two_each),
        (_, three, three_each),
    ] = CONNECTIONS;
    one * one_each + two * two_each + three * three_each
};

/// A rare path is taken in every such round of a lane through its paths.
const RARITY: usize = 32;

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The number of unexpected responses at which the run stops.
const MAX_UNEXPECTED: u64 = 100;

/// Signals, per lane, that the handler of the lane's request hangs.
#[derive(Clone, Debug)]
pub(crate) struct HangSignal(Arc<[Notify]>);

impl HangSignal {
    pub(crate) fn new() -> Self {
        Self((0..LANES).map(|_| Notify::new()).collect())
    }

    /// Notifies the request's lane, but only if it waits: the permit would be kept for a later request.
    pub(crate) fn notify(&self, tag: Tag) {
        if tag.path().client.waits_for_signal()
            && let Some(waiting) = self.0.get(tag.lane)
        {
            waiting.notify_one();
        }
    }

    /// Waits until the handler of this lane's request hangs.
    pub(crate) async fn wait(&self, lane: usize) {
        self.0[lane].notified().await;
    }
}

/// The state that all lanes share.
#[derive(Debug)]
pub(crate) struct Load {
    hang_signal: HangSignal,
    /// The number of requests that are left.
    left: AtomicU64,
    /// The number of requests made, per kind.
    made: Vec<AtomicU64>,
    /// The number of each lane's next turn.
    turns: Vec<AtomicUsize>,
    /// Whether all lanes take paths that need much memory.
    is_peak: AtomicBool,
    unexpected: Mutex<BTreeMap<String, u64>>,
}

impl Load {
    pub(crate) fn new(hang_signal: HangSignal) -> Self {
        Self {
            hang_signal,
            left: AtomicU64::new(0),
            made: (0..KINDS).map(|_| AtomicU64::new(0)).collect(),
            turns: (0..LANES).map(AtomicUsize::new).collect(),
            is_peak: AtomicBool::new(false),
            unexpected: Mutex::default(),
        }
    }

    /// Returns the number of requests made, per kind.
    pub(crate) fn made(&self) -> Vec<u64> {
        let made = self.made.iter();
        made.map(|made| made.load(Ordering::Relaxed)).collect()
    }

    /// Returns the number of requests made.
    pub(crate) fn total(&self) -> u64 {
        self.made().iter().sum()
    }

    /// Returns the unexpected responses and their counts.
    pub(crate) fn unexpected(&self) -> BTreeMap<String, u64> {
        let unexpected = self.unexpected.lock();
        unexpected.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn record_unexpected(&self, response: String) {
        let mut unexpected = self
            .unexpected
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *unexpected.entry(response).or_default() += 1;
        if unexpected.values().sum::<u64>() >= MAX_UNEXPECTED {
            self.left.store(0, Ordering::Relaxed);
        }
    }

    fn take_request(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }

    /// Returns the path of a lane's next turn. A rare path is skipped in most rounds.
    fn next_path(&self, lane: usize, paths: &[usize]) -> usize {
        let has_large = paths.iter().any(|path| PATHS[*path].is_large());
        let is_peak = self.is_peak.load(Ordering::Relaxed) && has_large;
        loop {
            let turn = self.turns[lane].fetch_add(1, Ordering::Relaxed);
            let path = paths[turn % paths.len()];
            let is_rare = PATHS[path].is_rare;
            let is_skipped = if is_peak {
                !PATHS[path].is_large()
            } else {
                is_rare && !(turn / paths.len() + lane).is_multiple_of(RARITY)
            };
            if !is_skipped {
                return path;
            }
        }
    }

    /// Makes two requests on each lane that need much memory, all at the same time, and closes the connections.
    /// Returns the number of requests.
    ///
    /// # Errors
    ///
    /// If a request cannot be made.
    pub(crate) async fn run_peak(self: &Arc<Self>, to: SocketAddr) -> io::Result<u64> {
        let requests = 2 * LANES as u64;
        self.is_peak.store(true, Ordering::Relaxed);
        let done = self.run_round(requests, to).await;
        self.is_peak.store(false, Ordering::Relaxed);
        done.map(|()| requests)
    }

    /// Whether the run must stop because of unexpected responses.
    pub(crate) fn has_failed_too_often(&self) -> bool {
        self.unexpected().values().sum::<u64>() >= MAX_UNEXPECTED
    }

    /// Makes `requests` requests over new connections, and closes them.
    ///
    /// # Errors
    ///
    /// If a request cannot be made.
    pub(crate) async fn run_round(
        self: &Arc<Self>,
        requests: u64,
        to: SocketAddr,
    ) -> io::Result<()> {
        self.left.store(requests, Ordering::Relaxed);
        let mut lanes = JoinSet::new();
        for (protocol, connections, lanes_each) in CONNECTIONS {
            for _ in 0..connections {
                let connection = Connection::open(protocol, to).await?;
                for _ in 0..lanes_each {
                    let lane = Lane {
                        protocol,
                        number: lanes.len(),
                        load: Arc::clone(self),
                    };
                    lanes.spawn(lane.run(connection.client()));
                }
            }
        }
        while let Some(done) = lanes.join_next().await {
            done.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

struct Lane {
    protocol: Protocol,
    number: usize,
    load: Arc<Load>,
}

impl Lane {
    async fn run(self, mut client: Client) -> io::Result<()> {
        let Self {
            protocol,
            number: lane,
            load,
        } = self;
        let paths: Vec<_> = (0..PATHS.len())
            .filter(|path| PATHS[*path].is_over(protocol))
            .collect();
        // Lanes start at different paths, and continue in the next round where they stopped.
        while load.take_request() {
            let path = load.next_path(lane, &paths);
            let tag = Tag::new(path, protocol, lane);
            load.made[kind(path, protocol)].fetch_add(1, Ordering::Relaxed);
            let exchange = client.exchange(tag, &load.hang_signal);
            let seen = match timeout(TIMEOUT, exchange).await {
                Ok(seen) => Some(seen?),
                Err(_) => None,
            };
            if seen == Some(tag.path().seen) {
                continue;
            }
            let received = seen.map_or_else(
                || format!("no response within {TIMEOUT:?}"),
                |seen| seen.to_string(),
            );
            let (name, over) = (tag.path().name, protocol.name());
            load.record_unexpected(format!(
                "{name} over {over}: the client received {received}"
            ));
        }
        Ok(())
    }
}
