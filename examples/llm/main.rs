//! An `OpenAI`-compatible LLM API in front of a toy engine, behind the layer's LLM preset.
//!
//! ```text
//! cargo run --example llm -- --addr 127.0.0.1:8000
//! ```
//!
//! Spans are printed when they end, or written to a file as lines of JSON. `--help` lists the models. Wrong
//! arguments give exit code 2.

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
use spans::SpanWriter;

fn main() -> ExitCode {
    let done = match Command::parse(env::args_os().skip(1)) {
        Ok(Command::Serve(serve)) => run(&serve),
        Ok(Command::Help) => print_line(args::USAGE.trim_end()).map_err(|error| error.to_string()),
        Err(error) => {
            print_error(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C. Then waits for open responses, until another Ctrl-C.
fn run(serve: &Serve) -> Result<(), String> {
    let writer = match &serve.spans {
        Some(path) => SpanWriter::to_file(path)
            .map_err(|error| format!("cannot write spans to {}: {error}", path.display()))?,
        None => SpanWriter::to_stdout(),
    };
    let provider = SdkTracerProvider::builder()
        .with_span_processor(writer)
        .build();
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let served = runtime.block_on(listen(serve.address, &provider));
    // Drops the open requests, which ends their spans.
    drop(runtime);
    let flushed = provider.shutdown();
    served.and(flushed.map_err(|error| format!("spans are lost: {error}")))
}

async fn listen(address: SocketAddr, provider: &SdkTracerProvider) -> Result<(), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; give another address"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    // A caller that passed port 0 reads the port from this line.
    print_line(format_args!("listening on http://{address}")).map_err(|error| error.to_string())?;

    let app = api::routes(Engine::new(provider), provider);
    let (stop, stop_received) = oneshot::channel::<()>();
    let stopped = async {
        // A dropped sender stops the server too.
        let _ = stop_received.await;
    };
    let serving = axum::serve(listener, app).with_graceful_shutdown(stopped);
    tokio::select! {
        served = serving => served.map_err(|error| error.to_string()),
        interrupted = stop_on_interrupts(stop) => match interrupted {
            Ok(()) => Err("stopped while responses were open".to_owned()),
            Err(error) => Err(format!("cannot wait for Ctrl-C: {error}")),
        },
    }
}

/// Waits for Ctrl-C, stops the server, and waits for another Ctrl-C.
async fn stop_on_interrupts(stop: oneshot::Sender<()>) -> io::Result<()> {
    ctrl_c().await?;
    // If the receiver is gone, the server has already stopped.
    let _ = stop.send(());
    ctrl_c().await
}

/// Prints a line on stdout and flushes. Not `println!`, which panics if stdout is closed.
fn print_line(line: impl fmt::Display) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}

/// Prints an error on stderr, in one line.
fn print_error(message: &str) {
    // A closed stderr is ignored: the exit code reports the failure too.
    let _ = writeln!(io::stderr(), "llm: {message}");
}
