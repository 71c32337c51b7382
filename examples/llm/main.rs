//! An LLM API with the interface that `OpenAI`'s clients speak, in front of a toy engine, and with the
//! layer for such APIs around it.
//!
//! ```text
//! cargo run --example llm -- --addr 127.0.0.1:8000
//! ```
//!
//! Spans are printed as they end, or written to a file as lines of JSON. The models are named after
//! what they do: see `--help`. Wrong arguments are exit code 2.

mod api;
mod args;
mod engine;
mod error;
mod reply;
mod request;
mod spans;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::{env, fmt};

use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::ctrl_c;
use tokio::sync::oneshot;

use args::{Command, Serve};
use engine::Engine;
use spans::Lines;

fn main() -> ExitCode {
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Serve(serve)) => run(&serve),
        Ok(Command::Help) => say(args::USAGE.trim_end()).map_err(|error| error.to_string()),
        Err(error) => {
            complain(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C; then lets open responses finish, until another Ctrl-C.
fn run(serve: &Serve) -> Result<(), String> {
    let lines = match &serve.spans {
        Some(path) => Lines::to_file(path)
            .map_err(|error| format!("cannot write spans to {}: {error}", path.display()))?,
        None => Lines::to_stdout(),
    };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(lines)
        .build();
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let served = runtime.block_on(listen(serve.address, &provider));
    // Drops the requests that are still open, which ends their spans.
    drop(runtime);
    let flushed = provider.shutdown();
    served.and(flushed.map_err(|error| format!("spans are lost: {error}")))
}

async fn listen(address: SocketAddr, provider: &SdkTracerProvider) -> Result<(), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; give another address"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // Whoever started this on port 0 reads where it is.
    say(format_args!("listening on http://{address}")).map_err(|error| error.to_string())?;

    let app = api::routes(Engine::new(provider), provider);
    let (stop, told_to_stop) = oneshot::channel::<()>();
    let until = async {
        // A sender that is dropped means the same.
        let _ = told_to_stop.await;
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(until);
    tokio::select! {
        served = serving => served.map_err(|error| error.to_string()),
        interrupted = interrupts(stop) => match interrupted {
            Ok(()) => Err("stopped while responses were open".to_owned()),
            Err(error) => Err(format!("cannot wait for Ctrl-C: {error}")),
        },
    }
}

/// Waits for Ctrl-C, says that it is time to stop, and waits for another.
async fn interrupts(stop: oneshot::Sender<()>) -> io::Result<()> {
    ctrl_c().await?;
    // A server that does not listen to this has stopped already.
    let _ = stop.send(());
    ctrl_c().await
}

/// Says a line on stdout, at once. Not `println!`, which panics where nobody reads.
fn say(line: impl fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Says what is wrong, and what to do, in one line.
fn complain(message: &str) {
    // Without a stderr there is nobody to tell; the exit code says it too.
    let _ = writeln!(io::stderr(), "llm: {message}");
}
