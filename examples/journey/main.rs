//! Takes the layer through every way a request over HTTP/1 can end, on real sockets, and checks
//! what its spans say of it.
//!
//! ```text
//! cargo run --example journey
//! ```
//!
//! One line a request: what the client did and saw, and what the span says. The exit code is 0 if
//! all of it is as expected, 1 if not, and 2 for arguments, which there are none of.

mod client;
mod report;
mod scenarios;
mod server;
mod spans;

use std::env;
use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::timeout;

use client::Seen;
use report::Report;
use scenarios::{SCENARIOS, Scenario};
use server::{IntendedPanic, Server};
use spans::Spans;

/// How long anything may take before it counts as never coming.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> ExitCode {
    if let Some(argument) = env::args_os().nth(1) {
        let argument = argument.to_string_lossy();
        complain(&format!("no arguments are taken, {argument:?} was given"));
        return ExitCode::from(2);
    }
    hush_intended_panics();
    match run().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Makes all requests and prints the report; true if everything in it is as expected.
async fn run() -> io::Result<bool> {
    let (provider, mut spans) = spans::provider();
    let routes = SCENARIOS
        .iter()
        .filter_map(|scenario| Some((scenario.path, scenario.route?())));
    let server = Server::start(&provider, routes).await?;
    let mut travelled = Vec::with_capacity(SCENARIOS.len());
    for scenario in SCENARIOS {
        travelled.push((scenario, travel(scenario, &server, &mut spans).await));
    }
    // No request is left behind a stopped server, so a span too many has ended by now.
    timeout(PATIENCE, server.stop())
        .await
        .map_err(|_| io::Error::other("the server does not stop"))??;
    spans.collect();

    let report = Report::of(&travelled, &spans);
    // Not `print!`, which panics where nobody reads on.
    io::stdout().write_all(report.text.as_bytes())?;
    Ok(report.as_expected)
}

/// Makes one request and waits for its span.
async fn travel(scenario: &Scenario, server: &Server, spans: &mut Spans) -> Result<Seen, String> {
    let exchange = client::exchange(
        server.address,
        &scenario.method,
        scenario.path,
        scenario.client,
        &server.handler_entered,
    );
    let (seen, connection) = match timeout(PATIENCE, exchange).await {
        Ok(Ok((seen, connection))) => (Ok(seen), connection),
        Ok(Err(error)) => (Err(error.to_string()), None),
        Err(_) => (Err(format!("no end within {PATIENCE:?}")), None),
    };
    // One that does not come is missing from the report.
    let _ = timeout(PATIENCE, spans.wait_for(scenario.path)).await;
    // Not earlier: it must be the response that ends the span, not the connection.
    drop(connection);
    seen
}

/// Two scenarios panic in the server on purpose. A report of theirs on stderr would look like a
/// failure of this example; any other panic is still reported.
fn hush_intended_panics() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !info.payload().is::<IntendedPanic>() {
            report(info);
        }
    }));
}

fn complain(message: &str) {
    // Without a stderr there is nobody to tell; the exit code says it too.
    let _ = writeln!(io::stderr(), "journey: {message}");
}
