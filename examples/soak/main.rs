//! Sends requests through every path of the layer at full speed, over real HTTP/1.1, HTTP/2 and gRPC
//! connections. Compares spans, outcomes, metrics, completions and the access log with the requests made, and memory
//! before and after.
//!
//! ```text
//! cargo run --release --example soak
//! cargo run --release --example soak -- --requests 1000000
//! ```
//!
//! The exit code is 0 if all is as expected and memory has not grown, 1 if not, and 2 if the arguments
//! are wrong.
//!
//! Requests are made in rounds of 2,500, each over new connections. Memory is measured between rounds, when
//! all spans have ended and all connections are closed.
//!
//! The warm-up ends when resident memory has not grown for four rounds: after a fifth of the requests at the
//! earliest and half of them at the latest. After it, resident and allocated memory may grow by at most 2 %.
//! In runs of fewer than a million requests, resident memory may grow by 1 MiB if that is more.

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
mod report;
mod signals;
mod soak;
mod tag;
mod verdicts;

use std::env;
use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

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
