//! Makes all requests, waits for their spans and prints the report.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::app;
use crate::client::{self, Caller, Observed, Protocol};
use crate::drawing::draw;
use crate::engine::Engine;
use crate::report::Report;
use crate::scenarios::{self, Scenario};
use crate::spans::{self, Spans};
use crate::style::Style;

/// The time limit for every step.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Explains the drawings.
const DRAWING_LEGEND: &str = "\
How each request ends. Bars are drawn to scale, in milliseconds since the client sent the request.
  client    what the client saw; ● is the arrival of the response head
  span      the layer's span; ● is a span event
  llm_core  the engine's span, a child of the layer's; ● is a span event
  events    milliseconds from the start of the layer's span; TTFT is the time to the first chunk
A bar runs from ├ to ┤; it is │ if shorter than one column.
";

/// Explains the tables.
const TABLE_LEGEND: &str = "\
All requests, one row per scenario. \"span\" is the outcome on the layer's span (\"no terminal event\": neither
DEPARTED nor ABORTED), \"status\" the span's status. The next columns are what the client saw, per protocol:
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

/// Makes all requests and prints the report. Returns whether everything is as expected.
///
/// # Errors
///
/// If the server cannot be started or stopped, or the report cannot be written.
pub(crate) async fn run(draws_all: bool) -> io::Result<bool> {
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
    let mut callers = (0..).map(Caller::nth);
    for scenario in scenarios::all() {
        let mut runs = Vec::new();
        for (protocol, caller) in scenario.protocols().iter().copied().zip(&mut callers) {
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
    print(&results, &spans, draws_all)
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

fn print(results: &[ScenarioRuns], spans: &Spans, draws_all: bool) -> io::Result<bool> {
    let style = Style::for_stdout();
    let drawn: Vec<_> = results
        .iter()
        .flat_map(|ScenarioRuns { scenario, runs }| {
            let runs = match (draws_all, scenario.is_drawn) {
                (true, _) => &runs[..],
                // The other protocols look the same; the table has them.
                (false, true) => &runs[..1],
                (false, false) => &[],
            };
            runs.iter().map(move |run| (scenario, run))
        })
        .collect();
    let report = Report::new(results, spans, style);
    let drawings = draw(&drawn, spans, style);
    // Not `print!`, which panics if stdout is closed.
    let mut stdout = io::stdout().lock();
    write!(
        stdout,
        "{DRAWING_LEGEND}\n{drawings}{TABLE_LEGEND}\n{}",
        report.text
    )
    .map_err(|error| io::Error::other(format!("the report cannot be written: {error}")))?;
    Ok(report.as_expected)
}
