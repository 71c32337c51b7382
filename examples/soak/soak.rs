//! Runs the warm-up and the measured rounds.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::app;
use crate::lanes::{HangSignal, Load};
use crate::ledger::Ledger;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::report::{Figures, Spans};
use crate::signals::Signals;

/// The number of requests before all connections are replaced. Over the life of a connection, h2 counts the
/// frames of streams that the client has reset, and closes the connection at a limit.
const ROUND: u64 = 2_500;
/// The number of rounds without growth after which memory is stable.
const STABLE_ROUNDS: u32 = 4;

/// The time limit for the server to notice the last disconnections.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Makes all requests, the first ones as warm-up, and returns the results.
///
/// # Errors
///
/// If the server cannot be started, or a request cannot be made.
pub(crate) async fn run(requests: u64) -> io::Result<Figures> {
    let signals = Signals::new();
    let lines = signals.lines.clone();
    tracing::subscriber::set_global_default(lines).map_err(io::Error::other)?;
    let hang_signal = HangSignal::new();
    let load = Arc::new(Load::new(hang_signal.clone()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(app::serve(listener, signals.clone(), hang_signal));

    let progress = Progress::start(&load, requests);
    let mut rounds = Rounds {
        left: requests,
        load: Arc::clone(&load),
        signals: signals.clone(),
        address,
        idle_tasks: Handle::current().metrics().num_alive_tasks(),
        is_stuck: false,
    };
    let before = rounds.warm_up(requests).await?;
    let (made_before, start) = (load.total(), Instant::now());
    let mut after = before;
    while rounds.has_next() {
        after = rounds.run_next().await?;
    }
    let took = start.elapsed();
    drop(progress);
    let measured = signals.metrics.read().map_err(io::Error::other)?;
    server.abort();
    Ok(Figures {
        requested: requests,
        is_stuck: rounds.is_stuck,
        made: load.made(),
        spans: [&signals.outer, &signals.inner].map(spans),
        unexpected_responses: load.unexpected(),
        agreed: signals.verdicts.agreed(),
        disagreements: signals.verdicts.disagreements(),
        completions: signals.completions.get(),
        lines: signals.lines.by_outcome(),
        log_events: signals.logs.events(),
        measured,
        counted: load.total() - made_before,
        took,
        before,
        after,
    })
}

fn spans(ledger: &Ledger) -> Spans {
    Spans {
        starts: ledger.starts(),
        ends: ledger.ends(),
        as_expected: ledger.as_expected(),
        unexpected: ledger.unexpected(),
    }
}

/// The remaining rounds.
struct Rounds {
    left: u64,
    load: Arc<Load>,
    signals: Signals,
    address: SocketAddr,
    /// The number of tasks while no request is made.
    idle_tasks: usize,
    /// Whether a task did not end with its round.
    is_stuck: bool,
}

impl Rounds {
    /// Whether another round is to be run.
    fn has_next(&self) -> bool {
        self.left > 0 && !self.is_stuck && !self.load.has_failed_too_often()
    }

    /// Makes requests until memory is stable: at least a fifth of them and at most half. The first ones are those that
    /// need much memory, on all lanes at once: else the largest number of them that are open at the same time, and
    /// with it the peak of memory, is a matter of chance.
    async fn warm_up(&mut self, requests: u64) -> io::Result<Memory> {
        self.left -= self.load.run_peak(self.address).await?;
        let mut last = self.run_next().await?;
        let mut stable = 0;
        while self.has_next() && self.left > requests / 2 {
            let now = self.run_next().await?;
            stable = if now.resident > last.resident {
                0
            } else {
                stable + 1
            };
            last = now;
            if stable >= STABLE_ROUNDS && self.left <= requests - requests / 5 {
                break;
            }
        }
        Ok(last)
    }

    /// Makes a round of requests and waits until the server is idle.
    async fn run_next(&mut self) -> io::Result<Memory> {
        let requests = self.left.min(ROUND);
        self.load.run_round(requests, self.address).await?;
        self.left -= requests;
        let start = Instant::now();
        while !self.is_idle() {
            if start.elapsed() > TIMEOUT {
                self.is_stuck = true;
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(Memory::now())
    }

    /// Whether all spans have ended and all connections are closed.
    fn is_idle(&self) -> bool {
        let alive = Handle::current().metrics().num_alive_tasks();
        self.signals.is_idle() && alive <= self.idle_tasks
    }
}
