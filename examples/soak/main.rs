//! Takes requests down every path through the layer at full speed, over real HTTP/1.1, HTTP/2 and gRPC
//! connections, and counts what comes of them: spans against requests, outcomes against what server and
//! client did on purpose, metrics, and memory before and after.
//!
//! ```text
//! cargo run --release --example soak
//! cargo run --release --example soak -- --requests 1000000
//! ```
//!
//! The exit code is 0 if all is as intended and memory has not grown, 1 if not, and 2 if the arguments
//! are wrong.
//!
//! Requests are made in rounds of 2,500, each over new connections, and memory is looked at between them,
//! when all spans have ended and all connections are closed. Warm is the process when resident memory has
//! not grown for four rounds: after a fifth of all requests at the earliest, and at half of them in any
//! case. From there to the end neither resident memory nor what is allocated may grow by more than 2 %; in fewer than a
//! million requests resident memory may grow by 1 MiB, if that is more.

mod app;
mod args;
mod asked;
mod client;
mod grpc_api;
mod http_api;
mod lanes;
mod ledger;
mod measures;
mod memory;
mod paths;
mod progress;
mod report;
mod soak;

use std::env;
use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

use args::Command;
use memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The payload of the panics that belong to a path.
pub(crate) struct IntendedPanic;

fn main() -> ExitCode {
    memory::keep_all();
    hush_intended_panics();
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Soak { requests }) => soak(requests),
        Ok(Command::Help) => print(args::USAGE).map(|()| true),
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn soak(requests: u64) -> io::Result<bool> {
    // Always as many threads: what they hold is compared, and a run elsewhere with this one.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let figures = runtime.block_on(soak::run(requests))?;
    print(&figures.table())?;
    let faults = figures.faults();
    for fault in &faults {
        complain(fault);
    }
    Ok(faults.is_empty())
}

/// Not `print!`, which panics where nobody reads on.
fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// Some handlers panic on purpose, and thousands of times.
fn hush_intended_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<IntendedPanic>() {
            report(info);
        }
    }));
}

/// Says what is wrong, in one line.
fn complain(message: &str) {
    // Without a stderr there is nobody to tell; the exit code says it too.
    let _ = writeln!(io::stderr(), "soak: {message}");
}
