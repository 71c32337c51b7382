//! Ends requests in every possible way, on real sockets, and checks the layer's spans.
//!
//! ```text
//! cargo run --example journey
//! cargo run --example journey -- --svg journey.svg --html journey.html
//! cargo run --example journey -- --otlp http://127.0.0.1:4317
//! cargo run --example journey -- --serve 127.0.0.1:3000
//! ```
//!
//! The first command makes requests over HTTP/1.1, HTTP/2 and gRPC, draws them and compares them with the
//! expected results. The second also draws them in files, the third also exports their spans to a collector. The
//! last serves the same application for other clients.
//!
//! Exit code 0: all as expected. 1: a difference or an error. 2: wrong arguments.

mod app;
mod args;
mod check;
mod client;
mod drawing;
mod engine;
mod grpc_api;
mod html;
mod http_api;
mod journey;
mod legend;
mod markup;
mod otlp;
mod output;
mod prometheus;
mod report;
mod scenarios;
mod serve;
mod spans;
#[cfg(test)]
mod stored;
mod style;
mod svg;
mod telemetry;
mod terminal;
mod timeline;

use std::env;
use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;

use tokio::runtime::Runtime;

use args::{Command, Options};
use engine::IntendedPanic;

fn main() -> ExitCode {
    silence_intended_panics();
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Journey(options)) => journey(&options),
        Ok(Command::Serve(address)) => serve::serve(address),
        Ok(Command::Help) => help(),
        Err(error) => {
            print_error(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

fn journey(options: &Options) -> Result<bool, String> {
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let result = runtime.block_on(journey::run(options));
    result.map_err(|error| error.to_string())
}

fn help() -> Result<bool, String> {
    let written = io::stdout().write_all(args::usage().as_bytes());
    written.map(|()| true).map_err(|error| error.to_string())
}

/// Suppresses the reports of intended panics on stderr, which would look like failures of this example.
/// Other panics are still reported.
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
    let _ = writeln!(io::stderr(), "journey: {message}");
}
