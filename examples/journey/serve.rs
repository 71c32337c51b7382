//! Serves the application for clients of your own.

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

/// Serves until Ctrl-C; then lets open responses finish, until another Ctrl-C, and exports the
/// telemetry that is left; true if all has been.
///
/// # Errors
///
/// A sentence that says what is wrong and what to do.
pub(crate) fn serve(address: SocketAddr) -> Result<bool, String> {
    let telemetry = Telemetry::from_env()?;
    let runtime = Runtime::new().map_err(|error| error.to_string())?;
    let served = runtime.block_on(listen(address, &telemetry));
    // Drops the requests that are still open, which ends their spans.
    drop(runtime);
    let is_exported = telemetry.shutdown();
    served.map(|()| is_exported)
}

async fn listen(address: SocketAddr, telemetry: &Telemetry) -> Result<(), String> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; give another address"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    tell(&format!(
        "Listening on http://{address}; Ctrl-C stops.\n  \
           curl -N http://{address}/success/streaming\n  \
           curl -N --http2-prior-knowledge http://{address}/told/streaming\n\
         --help tells what else there is.",
    ));

    let engine = Engine::new(&telemetry.provider);
    let (stop, told_to_stop) = oneshot::channel();
    let until = async {
        // A sender that is dropped means the same.
        let _ = told_to_stop.await;
    };
    tokio::select! {
        served = app::serve(listener, layer(telemetry), engine, until) => {
            served.map_err(|error| error.to_string())
        }
        interrupted = interrupts(stop) => match interrupted {
            Ok(()) => Err("stopped while responses were open".to_owned()),
            Err(error) => Err(format!("cannot wait for Ctrl-C: {error}")),
        },
    }
}

/// The application's layer, with all metrics that there are, and log events.
fn layer(telemetry: &Telemetry) -> ApiSpanLayer {
    app::layer(&telemetry.provider)
        .meter_provider(&telemetry.meters)
        .active_requests(true)
        .response_times(true)
        .body_sizes(true)
        .stream_durations(StreamDurations::Marked)
        .logger_provider(&telemetry.loggers)
}

/// Waits for Ctrl-C, says that it is time to stop, and waits for another.
async fn interrupts(stop: oneshot::Sender<()>) -> io::Result<()> {
    ctrl_c().await?;
    tell("Stopping when the open responses are over; Ctrl-C again stops at once.");
    // A server that does not listen to this has stopped already.
    let _ = stop.send(());
    ctrl_c().await
}

/// Tells the user, on stderr: stdout is for telemetry.
fn tell(message: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr(), "{message}");
}
