//! Takes the layer through every way a request can end, on real sockets, and checks what its spans
//! say of it.
//!
//! ```text
//! cargo run --example journey
//! cargo run --example journey -- --serve 127.0.0.1:3000
//! ```
//!
//! The first makes requests over HTTP/1.1, HTTP/2 and gRPC, draws what became of them and holds it
//! against what is expected; the exit code is 0 if all is so, and 1 if not. The second serves the
//! same application for other clients. Wrong arguments are exit code 2.

mod app;
mod args;
mod check;
mod client;
mod drawing;
mod engine;
mod grpc_api;
mod http_api;
mod journey;
mod prometheus;
mod report;
mod scenarios;
mod serve;
mod spans;
mod style;
mod telemetry;
mod timeline;

use std::env;
use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use args::Command;
use engine::IntendedPanic;

fn main() -> ExitCode {
    hush_intended_panics();
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Journey { draws_all }) => journey(draws_all),
        Ok(Command::Serve(address)) => serve::serve(address),
        Ok(Command::Help) => help(),
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn journey(draws_all: bool) -> Result<bool, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let travelled = runtime.block_on(journey::run(draws_all));
    travelled.map_err(|error| error.to_string())
}

fn help() -> Result<bool, String> {
    let written = io::stdout().write_all(args::usage().as_bytes());
    written.map(|()| true).map_err(|error| error.to_string())
}

/// Some scenarios panic in the server on purpose. A report of theirs on stderr would look like a
/// failure of this example; any other panic is still reported.
fn hush_intended_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<IntendedPanic>() {
            report(info);
        }
    }));
}

/// Says what is wrong, and what to do, in one line.
fn complain(message: &str) {
    // Without a stderr there is nobody to tell; the exit code says it too.
    let _ = writeln!(io::stderr(), "journey: {message}");
}
