//! The run: warm-up, and then what counts.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::app;
use crate::lanes::{Hanging, Load};
use crate::ledger::Ledger;
use crate::measures::Measures;
use crate::memory::Memory;
use crate::progress::Progress;
use crate::report::Figures;

/// How many requests are made before all connections are closed and opened anew: HTTP/2 counts, for as
/// long as a connection lives, the frames of streams that its client has left, and gives up at some number.
const ROUND: u64 = 2_500;
/// After how many rounds without growth memory stands still.
const STILL: u32 = 4;

/// How long the server may take to notice the last clients' leaving.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes all requests, the first of them to warm up, and counts.
///
/// # Errors
///
/// If the server cannot be started, or a request cannot be made.
pub(crate) async fn run(requests: u64) -> io::Result<Figures> {
    let (provider, ledger) = Ledger::new();
    let metrics = Measures::new();
    let hanging = Hanging::new();
    let load = Arc::new(Load::new(hanging.clone()));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let layer = app::layer(&provider, &metrics.provider);
    let server = tokio::spawn(app::serve(listener, layer, hanging));

    let progress = Progress::start(&load, requests);
    let mut rounds = Rounds {
        left: requests,
        load: Arc::clone(&load),
        ledger: ledger.clone(),
        address,
        tasks: Handle::current().metrics().num_alive_tasks(),
        is_stuck: false,
    };
    let before = rounds.warm_up(requests).await?;
    let (made_before, start) = (load.total(), Instant::now());
    let mut after = before;
    while rounds.goes_on() {
        after = rounds.next().await?;
    }
    let took = start.elapsed();
    drop(progress);
    let measured = metrics.read().map_err(io::Error::other)?;
    server.abort();
    Ok(Figures {
        requested: requests,
        is_stuck: rounds.is_stuck,
        made: load.made(),
        as_intended: ledger.as_intended(),
        otherwise: ledger.otherwise(),
        surprises: load.surprises(),
        starts: ledger.starts(),
        ends: ledger.ends(),
        measured,
        counted: load.total() - made_before,
        took,
        before,
        after,
    })
}

/// What is left to be made, a round at a time.
struct Rounds {
    left: u64,
    load: Arc<Load>,
    ledger: Ledger,
    address: SocketAddr,
    /// How many there are where nothing happens.
    tasks: usize,
    /// Something of a round goes on after it.
    is_stuck: bool,
}

impl Rounds {
    /// Whether there is more to be made, and any use in it.
    fn goes_on(&self) -> bool {
        self.left > 0 && !self.is_stuck && !self.load.is_hopeless()
    }

    /// Makes requests until memory stands still: for at least a fifth of them and at most half.
    async fn warm_up(&mut self, requests: u64) -> io::Result<Memory> {
        let mut last = self.next().await?;
        let mut still = 0;
        while self.goes_on() && self.left > requests / 2 {
            let now = self.next().await?;
            still = if now.resident > last.resident {
                0
            } else {
                still + 1
            };
            last = now;
            if still >= STILL && self.left <= requests - requests / 5 {
                break;
            }
        }
        Ok(last)
    }

    /// Makes a round of requests, and waits until nothing happens any more.
    async fn next(&mut self) -> io::Result<Memory> {
        let requests = self.left.min(ROUND);
        self.load.round(requests, self.address).await?;
        self.left -= requests;
        let start = Instant::now();
        while !self.is_quiet() {
            if start.elapsed() > PATIENCE {
                self.is_stuck = true;
                break;
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(Memory::now())
    }

    /// All spans have ended, and all connections are closed.
    fn is_quiet(&self) -> bool {
        let alive = Handle::current().metrics().num_alive_tasks();
        self.ledger.starts() == self.ledger.ends() && alive <= self.tasks
    }
}
