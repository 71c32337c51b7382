//! Runs a server until Ctrl-C. `examples/gateway` uses this file too.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fmt};

use axum::Router;
use axum::serve::ListenerExt;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::ctrl_c;
use tokio::sync::oneshot;

use crate::spans::SpanWriter;

/// What to serve.
pub(crate) trait Serve {
    /// The program's name, for its messages.
    const NAME: &'static str;
    const USAGE: &'static str;

    /// The address to listen on.
    fn address(&self) -> SocketAddr;

    /// The file that spans are written to; `None` prints them.
    fn spans(&self) -> Option<&PathBuf>;

    fn app(&self, provider: &SdkTracerProvider) -> Router;

    /// Returns requests to try, as lines for a shell.
    fn hints(&self, url: &str) -> Vec<String>;
}

/// Parses the arguments with `parse`, which returns `None` for the help text, and serves.
pub(crate) fn main<S: Serve>(
    parse: impl FnOnce(&mut dyn Iterator<Item = OsString>) -> Result<Option<S>, String>,
) -> ExitCode {
    let done = match parse(&mut env::args_os().skip(1)) {
        Ok(Some(serve)) => run(&serve),
        Ok(None) => print_line(S::USAGE.trim_end()).map_err(|error| error.to_string()),
        Err(error) => {
            print_error::<S>(&error);
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            print_error::<S>(&error);
            ExitCode::FAILURE
        }
    }
}

/// Serves until Ctrl-C. Then waits for open responses, until another Ctrl-C.
fn run(serve: &impl Serve) -> Result<(), String> {
    let provider = SdkTracerProvider::builder()
        .with_span_processor(writer(serve.spans().map(PathBuf::as_path))?)
        .build();
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let served = runtime.block_on(listen(serve, &provider));
    // Drops the open requests, which ends their spans.
    drop(runtime);
    let flushed = provider.shutdown();
    served.and(flushed.map_err(|error| format!("spans are lost: {error}")))
}

fn writer(file: Option<&Path>) -> Result<SpanWriter, String> {
    file.map_or_else(
        || Ok(SpanWriter::to_stdout()),
        |path| {
            SpanWriter::to_file(path)
                .map_err(|error| format!("cannot write spans to {}: {error}", path.display()))
        },
    )
}

async fn listen(serve: &impl Serve, provider: &SdkTracerProvider) -> Result<(), String> {
    let address = serve.address();
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; give another address"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let url = format!("http://{address}");
    print_about(serve);
    // A caller that passed port 0 reads the port from this line.
    print_line(format_args!("listening on {url}")).map_err(|error| error.to_string())?;
    for hint in serve.hints(&url) {
        print_line(hint).map_err(|error| error.to_string())?;
    }

    let (stop, stop_received) = oneshot::channel::<()>();
    let stopped = async {
        // A dropped sender stops the server too.
        let _ = stop_received.await;
    };
    // Without delay, each event is sent when it is made.
    let listener = listener.tap_io(|connection| {
        // A connection that is already closed.
        let _ = connection.set_nodelay(true);
    });
    let serving = axum::serve(listener, serve.app(provider)).with_graceful_shutdown(stopped);
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

/// Prints the purpose on stderr, because stdout is for the address, the requests to try, and the spans.
fn print_about<S: Serve>(_: &S) {
    let about = S::USAGE.lines().next().unwrap_or_default();
    // A closed stderr is ignored.
    let _ = writeln!(io::stderr(), "{about} Try:");
}

/// Prints an error on stderr, in one line.
fn print_error<S: Serve>(message: &str) {
    // A closed stderr is ignored: the exit code reports the failure too.
    let _ = writeln!(io::stderr(), "{}: {message}", S::NAME);
}
