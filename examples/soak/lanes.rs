//! The load: lanes, each of which makes one request after the other as fast as it can.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::asked::{Asked, KINDS, number};
use crate::client::{Client, Connection};
use crate::paths::{Behaviour, PATHS, Protocol};

/// How many connections there are, and how many lanes on each.
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

/// How long a request may take before it counts as never coming back.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many surprises are enough to stop for.
const SURPRISES: u64 = 100;

/// Where a handler tells the lane whose request it has that it hangs now.
#[derive(Clone, Debug)]
pub(crate) struct Hanging(Arc<[Notify]>);

impl Hanging {
    pub(crate) fn new() -> Self {
        Self((0..LANES).map(|_| Notify::new()).collect())
    }

    /// Tells it, if it waits for that: else it would be told too early the next time.
    pub(crate) fn tell(&self, asked: Asked) {
        if asked.path().client == Behaviour::LeavesBeforeHead
            && let Some(waiting) = self.0.get(asked.lane)
        {
            waiting.notify_one();
        }
    }

    /// Waits until the handler of this lane's request hangs.
    pub(crate) async fn wait(&self, lane: usize) {
        self.0[lane].notified().await;
    }
}

/// What the lanes share.
#[derive(Debug)]
pub(crate) struct Load {
    hanging: Hanging,
    /// Requests that may still be made.
    left: AtomicU64,
    /// Requests that were made, of each kind.
    made: Vec<AtomicU64>,
    /// Where the next turn of a lane begins.
    turns: Vec<AtomicUsize>,
    surprises: Mutex<BTreeMap<String, u64>>,
}

impl Load {
    pub(crate) fn new(hanging: Hanging) -> Self {
        Self {
            hanging,
            left: AtomicU64::new(0),
            made: (0..KINDS).map(|_| AtomicU64::new(0)).collect(),
            turns: (0..LANES).map(AtomicUsize::new).collect(),
            surprises: Mutex::default(),
        }
    }

    /// Requests that were made, of each kind.
    pub(crate) fn made(&self) -> Vec<u64> {
        let made = self.made.iter();
        made.map(|made| made.load(Ordering::Relaxed)).collect()
    }

    /// All requests that were made.
    pub(crate) fn total(&self) -> u64 {
        self.made().iter().sum()
    }

    /// What clients have seen that they should not have, and how often.
    pub(crate) fn surprises(&self) -> BTreeMap<String, u64> {
        let surprises = self.surprises.lock();
        surprises.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn surprise(&self, what: String) {
        let mut surprises = self
            .surprises
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *surprises.entry(what).or_default() += 1;
        if surprises.values().sum::<u64>() >= SURPRISES {
            self.left.store(0, Ordering::Relaxed);
        }
    }

    fn take(&self) -> bool {
        let less = |left: u64| left.checked_sub(1);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        taken.is_ok()
    }

    /// Whether so much has gone wrong that there is no use in going on.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.surprises().values().sum::<u64>() >= SURPRISES
    }

    /// Makes so many requests, over connections that are opened for it and closed after it.
    ///
    /// # Errors
    ///
    /// If a request cannot be made.
    pub(crate) async fn round(self: &Arc<Self>, requests: u64, to: SocketAddr) -> io::Result<()> {
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
            .filter(|path| PATHS[*path].is_of(protocol))
            .collect();
        // Each lane is at another path than its neighbour, and goes on where it was.
        while load.take() {
            let turn = load.turns[lane].fetch_add(1, Ordering::Relaxed);
            let path = paths[turn % paths.len()];
            let asked = Asked::new(path, protocol, lane);
            load.made[number(path, protocol)].fetch_add(1, Ordering::Relaxed);
            let exchange = client.exchange(asked, &load.hanging);
            let seen = match timeout(PATIENCE, exchange).await {
                Ok(seen) => Some(seen?),
                Err(_) => None,
            };
            if seen == Some(asked.path().seen) {
                continue;
            }
            let instead = seen.map_or_else(
                || format!("nothing within {PATIENCE:?}"),
                |seen| seen.to_string(),
            );
            let (name, over) = (asked.path().name, protocol.name());
            load.surprise(format!("{name} over {over}: the client got {instead}"));
        }
        Ok(())
    }
}
