//! Two long runs of the layer, with a check of all that it records.
//!
//! The soak sends requests through every path of the layer at full speed, over real HTTP/1.1, HTTP/2 and gRPC
//! connections, with all signals turned on and two layers stacked. Hostile clients cut their uploads, reset their
//! streams, stop reading, and forge headers. Spans, outcomes, metrics, completions, log events and the access log are
//! compared with the requests made. Raw observers outside and inside of the layers decide from frames, errors and drops
//! alone how each response ended, and each span must agree with them. Memory is compared before and after.
//!
//! With `--reloads` the global providers are replaced and shut down again and again, in simulated hours of operation.
//!
//! ```text
//! cargo run --release --example soak -- --requests 1000000
//! cargo run --release --example soak -- --reloads 2h
//! ```
//!
//! The exit code is 0 if all is as expected and memory has not grown, 1 if not, and 2 if the arguments
//! are wrong.
//!
//! Requests are made in rounds of 2,500, each over new connections. Memory is measured between rounds, when
//! all spans have ended and all connections are closed.
//!
//! The warm-up begins with the requests that need most memory, on all connections at once. It ends when resident
//! memory has not grown for four rounds: after a fifth of the requests at the earliest and half of them at the latest.
//! After it, resident and allocated memory may grow by at most 1 %. In runs of fewer than a million requests, resident
//! memory may grow by 1 MiB if that is more.

mod app;
mod args;
mod client;
mod events;
mod grpc_api;
mod http_api;
mod lanes;
mod ledger;
mod lines;
mod logs;
mod memory;
mod metrics;
mod observer;
mod paths;
mod progress;
mod reloads;
mod report;
mod signals;
mod soak;
mod tag;
mod verdicts;

use std::env;
use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;
use std::time::Duration;

use args::Command;
use memory::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The payload of the intended panics.
pub(crate) struct IntendedPanic;

fn main() -> ExitCode {
    memory::keep_freed_memory();
    silence_intended_panics();
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Soak { requests }) => soak(requests),
        Ok(Command::Reloads { simulated }) => reloads(simulated),
        Ok(Command::Help) => print(args::USAGE).map(|()| true),
        Err(error) => {
            print_error(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

fn soak(requests: u64) -> io::Result<bool> {
    // A fixed number of threads, so that memory is comparable between runs and machines.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let figures = runtime.block_on(soak::run(requests))?;
    print(&figures.table())?;
    let faults = figures.faults();
    for fault in &faults {
        print_error(fault);
    }
    Ok(faults.is_empty())
}

fn reloads(simulated: Duration) -> io::Result<bool> {
    // tokio's clock can be paused on one thread only.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let figures = runtime.block_on(reloads::run(simulated))?;
    print(&figures.table())?;
    let faults = figures.faults();
    for fault in &faults {
        print_error(fault);
    }
    Ok(faults.is_empty())
}

/// Prints on stdout. Not `print!`, which panics if stdout is closed.
fn print(text: &str) -> io::Result<()> {
    io::stdout().lock().write_all(text.as_bytes())
}

/// Suppresses the reports of intended panics, of which there are thousands.
fn silence_intended_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<IntendedPanic>() {
            report(info);
        }
    }));
}

/// Prints an error on stderr, in one line.
fn print_error(message: &str) {
    // A closed stderr is ignored: the exit code reports the failure too.
    let _ = writeln!(io::stderr(), "soak: {message}");
}
