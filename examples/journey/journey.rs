//! Makes all requests, waits for their spans, and prints what came of them.

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

/// How long anything may take before it counts as never coming.
const PATIENCE: Duration = Duration::from_secs(5);

/// A scenario, told once in each of its protocols.
pub(crate) struct Told {
    pub(crate) scenario: Scenario,
    pub(crate) runs: Vec<Run>,
}

impl Told {
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

/// Makes all requests and prints the report; true if everything in it is as expected.
///
/// # Errors
///
/// If the server cannot be started or stopped, or nobody reads the report.
pub(crate) async fn run(draws_all: bool) -> io::Result<bool> {
    let (provider, mut spans) = spans::provider();
    let engine = Engine::new(&provider);
    let engine_hangs = engine.hanging();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, told_to_stop) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let until = async {
            // A sender that is dropped means the same.
            let _ = told_to_stop.await;
        };
        app::serve(listener, app::layer(&provider), engine, until).await
    });

    let mut told = Vec::new();
    let mut callers = (0..).map(Caller::nth);
    for scenario in scenarios::all() {
        let mut runs = Vec::new();
        for (protocol, caller) in scenario.protocols().iter().copied().zip(&mut callers) {
            let exchange = exchange(address, &scenario, protocol, caller, &engine_hangs);
            let mut observed = exchange.await;
            // One that does not come is missing from the report.
            let _ = timeout(PATIENCE, spans.wait_for(caller.trace_id)).await;
            if let Ok(observed) = &mut observed {
                // Not earlier: it must be the response that ends the span, not the connection.
                observed.connection.take();
            }
            runs.push(Run {
                protocol,
                caller,
                observed,
            });
        }
        told.push(Told { scenario, runs });
    }
    // A server that does not listen to this has stopped already, and says why.
    let _ = stop.send(());
    timeout(PATIENCE, server)
        .await
        .map_err(|_| io::Error::other("the server does not stop"))??
        .map_err(io::Error::other)?;
    // No request is left behind a stopped server, so a span too many has ended by now.
    spans.collect();
    print(&told, &spans, draws_all)
}

async fn exchange(
    address: SocketAddr,
    scenario: &Scenario,
    protocol: Protocol,
    caller: Caller,
    engine_hangs: &Notify,
) -> Result<Observed, String> {
    // Before the request is made, so that no hanging is missed.
    let engine_hangs = engine_hangs.notified();
    let exchange = client::exchange(address, scenario, protocol, caller, engine_hangs);
    match timeout(PATIENCE, exchange).await {
        Ok(observed) => observed,
        Err(_) => Err(format!("no end within {PATIENCE:?}")),
    }
}

fn print(told: &[Told], spans: &Spans, draws_all: bool) -> io::Result<bool> {
    let style = Style::of_stdout();
    let drawn: Vec<_> = told
        .iter()
        .flat_map(|Told { scenario, runs }| {
            let runs = match (draws_all, scenario.is_drawn) {
                (true, _) => &runs[..],
                // The other protocols look the same, and are in the table.
                (false, true) => &runs[..1],
                (false, false) => &[],
            };
            runs.iter().map(move |run| (scenario, run))
        })
        .collect();
    let report = Report::of(told, spans, style);
    let drawings = draw(&drawn, spans, style);
    let legend = "\
        How requests end, drawn to scale. A ● is an event of a span, or the head reaching the client.";
    // Not `print!`, which panics where nobody reads on.
    let mut stdout = io::stdout().lock();
    write!(stdout, "{legend}\n\n{drawings}{}", report.text)
        .map_err(|error| io::Error::other(format!("the report cannot be written: {error}")))?;
    Ok(report.as_expected)
}
