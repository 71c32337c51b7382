//! Makes all requests, waits for their spans and prints the report.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::app;
use crate::args::Options;
use crate::client::{self, Caller, Observed, Protocol};
use crate::drawing::Drawing;
use crate::engine::Engine;
use crate::output::write_pictures;
use crate::report::Report;
use crate::scenarios::{self, Scenario};
use crate::spans::{self, Spans};
use crate::style::Style;
use crate::{otlp, terminal};

/// The time limit for every step.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Explains the tables.
const TABLE_LEGEND: &str = "\
All requests, one row per scenario. \"span\" is the outcome on the layer's span. It is DEPARTED if the response is
complete and successful, else ABORTED with the reason, also for a 404. \"no terminal event\" is neither: a callback
panicked. \"status\" is the span's status. The next columns are what the client saw, per protocol:
  complete      the whole response
  cut off       the server broke off the response
  disconnected  the client disconnected before the end of the response
  no response   the server closed the connection without a response
A \"streaming\" response has a body of several frames, a \"buffered\" one a body in one piece.
";

/// A scenario, with one request in each of its protocols.
pub(crate) struct ScenarioRuns {
    pub(crate) scenario: Scenario,
    pub(crate) runs: Vec<Run>,
}

impl ScenarioRuns {
    pub(crate) fn protocols(&self) -> &'static [Protocol] {
        self.scenario.protocols()
    }
}

/// One request.
pub(crate) struct Run {
    pub(crate) protocol: Protocol,
    pub(crate) caller: Caller,
    pub(crate) observed: Result<Observed, String>,
}

/// Makes all requests, prints the report, and writes and exports what the options name. Returns whether everything
/// is as expected.
///
/// # Errors
///
/// If the server cannot be started or stopped, or the report, a file or the spans cannot be written.
pub(crate) async fn run(options: &Options) -> io::Result<bool> {
    let (provider, mut spans) = spans::provider();
    let engine = Engine::new(&provider);
    let engine_hangs = engine.hanging();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stop_received) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async {
            // A dropped sender stops the server too.
            let _ = stop_received.await;
        };
        app::serve(listener, app::layer(&provider), engine, stopped).await
    });

    let mut results = Vec::new();
    for scenario in scenarios::all() {
        let mut runs = Vec::new();
        for protocol in scenario.protocols().iter().copied() {
            let caller = Caller::random();
            let exchange = exchange(address, &scenario, protocol, caller, &engine_hangs);
            let mut observed = exchange.await;
            // The report shows a missing span.
            let _ = timeout(TIMEOUT, spans.wait_for(caller.trace_id)).await;
            if let Ok(observed) = &mut observed {
                // Closed only now: the response must end the span, not the connection.
                observed.connection.take();
            }
            runs.push(Run {
                protocol,
                caller,
                observed,
            });
        }
        results.push(ScenarioRuns { scenario, runs });
    }
    // If the receiver is gone, the server has stopped, and its result is the reason.
    let _ = stop.send(());
    timeout(TIMEOUT, server)
        .await
        .map_err(|_| io::Error::other("the server does not stop"))??
        .map_err(io::Error::other)?;
    // A stopped server has no open requests, so any extra span has ended by now.
    spans.collect();
    let drawing = Drawing::new(&drawn(&results, options), &spans);
    let as_expected = print(&results, &spans, &drawing)?;
    write_pictures(options, &drawing)?;
    if let Some(collector) = &options.collector {
        otlp::export(collector, &results, &spans).await?;
    }
    Ok(as_expected)
}

async fn exchange(
    address: SocketAddr,
    scenario: &Scenario,
    protocol: Protocol,
    caller: Caller,
    engine_hangs: &Notify,
) -> Result<Observed, String> {
    // Registered before the request is made, so that the signal is not missed.
    let engine_hangs = engine_hangs.notified();
    let exchange = client::exchange(address, scenario, protocol, caller, engine_hangs);
    match timeout(TIMEOUT, exchange).await {
        Ok(observed) => observed,
        Err(_) => Err(format!("not finished within {TIMEOUT:?}")),
    }
}

/// Returns the requests to draw.
fn drawn<'a>(results: &'a [ScenarioRuns], options: &Options) -> Vec<(&'a Scenario, &'a Run)> {
    results
        .iter()
        .flat_map(|ScenarioRuns { scenario, runs }| {
            let runs = match (options.draws_all, options.draws(scenario)) {
                (true, true) => &runs[..],
                // The other protocols look the same; the table has them.
                (false, true) => &runs[..1],
                (_, false) => &[],
            };
            runs.iter().map(move |run| (scenario, run))
        })
        .collect()
}

fn print(results: &[ScenarioRuns], spans: &Spans, drawing: &Drawing) -> io::Result<bool> {
    let style = Style::for_stdout();
    let report = Report::new(results, spans, style);
    let legend = terminal::legend();
    let drawings = terminal::draw(drawing, style);
    // Not `print!`, which panics if stdout is closed.
    let mut stdout = io::stdout().lock();
    write!(
        stdout,
        "{legend}\n{drawings}{TABLE_LEGEND}\n{}",
        report.text
    )
    .map_err(|error| io::Error::other(format!("the report cannot be written: {error}")))?;
    Ok(report.as_expected)
}
