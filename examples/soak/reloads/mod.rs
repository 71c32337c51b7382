//! Replaces the global providers and the propagator again and again, in simulated hours of operation.
//!
//! The clock of the requests, of their streams and of the schedule is tokio's, paused: it advances when all tasks wait.
//! The layer looks for another provider at every 1,024th request, or after a second of the system's clock, which is not
//! simulated. So more than 1,024 requests are made between two reloads, which makes the count decide. After some
//! reloads the program waits for a real second, and the next request must use the new provider.
//!
//! Requests are made on the service itself, without a connection. Each reload runs on a thread of its own while
//! requests are made.

mod check;
mod plan;
mod providers;
mod receivers;
mod records;
mod report;
mod requests;
mod timeline;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::memory::Memory;
use plan::{PLAN, Step};
use providers::Telemetry;
use records::Records;
pub(crate) use report::Figures;
use requests::Client;

/// The time between two reloads.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);
/// The time between two requests: 1,200 in an interval, more than a layer makes until it looks again.
const PAUSE: Duration = Duration::from_millis(25);
/// The time from the replacement of a provider until it is shut down: for 1,024 requests, and for the longest stream
/// that the last of them begins.
const DRAIN: Duration = Duration::from_secs(130);
/// The largest number of requests during a change. Without a limit, the time that a change takes would decide how many
/// streams are open at once, and with that the peak of memory.
const MAX_DURING: u64 = 200;
/// A layer looks again after a second. This waits for longer.
const REAL_SECOND: Duration = Duration::from_millis(1_010);

/// Runs this many simulated seconds, rounded up to a whole plan.
///
/// # Errors
///
/// If a thread panics.
pub(crate) async fn run(simulated: Duration) -> io::Result<Figures> {
    let began = std::time::Instant::now();
    let steps = simulated.as_secs().div_ceil(INTERVAL.as_secs());
    let rounds = steps.div_ceil(PLAN.len() as u64).max(MIN_ROUNDS);
    let steps = rounds * PLAN.len() as u64;
    let records = Arc::new(Records::new(steps));
    let mut run = Run {
        start: Instant::now(),
        client: Client::new(&records),
        telemetry: Telemetry::new(&records),
        records,
    };
    let mut before = None;
    for round in 0..rounds {
        for step in PLAN {
            run.take(*step).await?;
        }
        if round == 0 || round == rounds - 1 {
            run.drain().await?;
        }
        before = before.or_else(|| Some(Memory::now()));
    }
    let after = Memory::now();
    let simulated = run.start.elapsed();
    let mut figures = run.finish().await?;
    (figures.steps, figures.simulated) = (steps, simulated);
    (figures.before, figures.after) = (before.unwrap_or(after), after);
    figures.took = began.elapsed();
    Ok(figures)
}

/// Memory is compared between the first round and the last one.
const MIN_ROUNDS: u64 = 2;

struct Run {
    start: Instant,
    records: Arc<Records>,
    client: Client,
    telemetry: Telemetry,
}

impl Run {
    /// Makes requests for an interval, and then reloads.
    async fn take(&mut self, step: Step) -> io::Result<()> {
        let until = Instant::now() + INTERVAL;
        while Instant::now() < until {
            self.client.start();
            sleep(PAUSE).await;
        }
        for part in step.parts() {
            self.during(*part).await?;
        }
        self.telemetry.retire(Instant::now())?;
        Ok(())
    }

    /// Reloads on another thread, and makes requests meanwhile.
    async fn during(&mut self, part: plan::Part) -> io::Result<()> {
        match part {
            plan::Part::Change(change) => {
                let now = Instant::now();
                let mut telemetry = self.telemetry.clone();
                let reload = tokio::task::spawn_blocking(move || telemetry.change(change, now));
                let mut made = 0;
                while !reload.is_finished() {
                    if made < MAX_DURING {
                        self.client.start();
                        made += 1;
                    }
                    tokio::task::yield_now().await;
                }
                reload.await.map_err(io::Error::other)?;
            }
            plan::Part::Requests(requests) => {
                for _ in 0..requests {
                    self.client.start();
                    tokio::task::yield_now().await;
                }
            }
            plan::Part::Wait => {
                // Blocks the only thread of the requests: no request is made in this second.
                std::thread::sleep(REAL_SECOND);
                self.telemetry.expect_current();
            }
        }
        Ok(())
    }

    /// Waits until all streams have ended and all providers but the current ones are gone.
    async fn drain(&mut self) -> io::Result<()> {
        self.client.wait_until_idle().await;
        for _ in 0..2 {
            sleep(DRAIN).await;
            self.client.make_and_wait(records::PERIOD).await;
            self.telemetry.retire(Instant::now())?;
        }
        self.telemetry.check_all_gone();
        Ok(())
    }

    /// Replaces the last providers with the no-op, and checks all requests.
    async fn finish(mut self) -> io::Result<Figures> {
        self.telemetry.change(plan::Change::NoOp, Instant::now());
        self.drain().await?;
        self.client.make_and_wait(1).await;
        let (providers, faults) = self.telemetry.finish();
        Ok(check::check(&self.records, providers, faults))
    }
}
