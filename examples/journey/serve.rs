//! Serves the application for other clients.

use std::io::{self, Write};
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::ctrl_c;
use tokio::sync::oneshot;
use tower_api_span::{ApiSpanLayer, StreamDurations};

use crate::app;
use crate::engine::Engine;
use crate::telemetry::Telemetry;

/// Serves until Ctrl-C. Then waits for open responses, until another Ctrl-C, and exports the remaining
/// telemetry. Returns whether everything was exported.
///
/// # Errors
///
/// One line with the fault and its remedy.
pub(crate) fn serve(address: SocketAddr) -> Result<bool, String> {
    let telemetry = Telemetry::from_env()?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let served = runtime.block_on(listen(address, &telemetry));
    // Drops the open requests, which ends their spans.
    drop(runtime);
    let is_exported = telemetry.shutdown();
    served.map(|()| is_exported)
}

async fn listen(address: SocketAddr, telemetry: &Telemetry) -> Result<(), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; give another address"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    print_message(&format!(
        "Serves every way in which a request ends, over HTTP/1.1, HTTP/2 and gRPC.\n\
         Listening on http://{address}; Ctrl-C stops. Try:\n  \
           curl -N http://{address}/success/streaming\n  \
           curl -N --http2-prior-knowledge http://{address}/handler-error/streaming\n\
         --help lists the other paths.",
    ));

    let engine = Engine::new(&telemetry.provider);
    let (stop, stop_received) = oneshot::channel();
    let stopped = async {
        // A dropped sender stops the server too.
        let _ = stop_received.await;
    };
    tokio::select! {
        served = app::serve(listener, layer(telemetry), engine, stopped) => {
            served.map_err(|error| error.to_string())
        }
        interrupted = stop_on_interrupts(stop) => match interrupted {
            Ok(()) => Err("stopped while responses were open".to_owned()),
            Err(error) => Err(format!("cannot wait for Ctrl-C: {error}")),
        },
    }
}

/// Returns the application's layer with all metrics and log events turned on.
fn layer(telemetry: &Telemetry) -> ApiSpanLayer {
    app::layer(&telemetry.provider)
        .meter_provider(&telemetry.meters)
        .active_requests(true)
        .response_times(true)
        .body_sizes(true)
        .stream_durations(StreamDurations::Marked)
        .logger_provider(&telemetry.loggers)
}

/// Waits for Ctrl-C, stops the server, and waits for another Ctrl-C.
async fn stop_on_interrupts(stop: oneshot::Sender<()>) -> io::Result<()> {
    ctrl_c().await?;
    print_message("Stopping when the open responses have ended; Ctrl-C again stops immediately.");
    // If the receiver is gone, the server has already stopped.
    let _ = stop.send(());
    ctrl_c().await
}

/// Prints on stderr, because stdout is for telemetry.
fn print_message(message: &str) {
    // A closed stderr is ignored.
    let _ = writeln!(io::stderr(), "{message}");
}
