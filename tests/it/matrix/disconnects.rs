//! Clients that disconnect early, and clients that read slowly.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::client_result::ClientResult;
use super::disconnecting_clients;
use super::observe;
use super::routers::Position;
use super::run;
use super::scenarios::Scenario;
use super::servers::Family::{self, Http1, Http2};
use super::servers::{Kind, Server};
use super::table::{KnownDisagreement, Row, Table};
use crate::support::recorder::Recorder;

/// The action of a client at its [`Moment`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action {
    /// Closes the connection.
    Fin,
    /// Closes the connection with an RST.
    Rst,
    /// Closes its half of the connection and keeps reading.
    HalfClose,
    /// Resets the stream and keeps the connection open.
    RstStream,
    /// Keeps reading.
    KeepReading,
}
use Action::{Fin, HalfClose, KeepReading, Rst, RstStream};

/// The moment at which a client acts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Moment {
    /// The handler has been called, and there is no head yet.
    BeforeHead,
    /// The head and this many bytes of the body have been read.
    AfterBytes(usize),
    /// Only the head has been read, and back-pressure blocks the server.
    Blocked,
    /// The message is complete.
    Complete,
}

const KNOWN_DISAGREEMENTS: &[KnownDisagreement] = &[
    (Http1, "8 MiB in one frame, none read: Fin", BUFFERED),
    (Http1, "8 MiB in one frame, none read: Rst", BUFFERED),
    (Http2, "8 MiB in one frame, none read: Fin", BUFFERED),
    (Http2, "8 MiB in one frame, none read: Rst", BUFFERED),
    (Http2, "8 MiB in one frame, none read: RstStream", BUFFERED),
    (Http1, "before the head, request unread: Fin", FIN_UNREAD),
    (Http2, "after the Content-Length: RstStream", HAS_ALL_BYTES),
];
const BUFFERED: &str = "the layer passed the whole body to the server, which still buffers it";
const FIN_UNREAD: &str = "the server does not read the FIN while request bytes are unread";
const HAS_ALL_BYTES: &str =
    "the client has all declared bytes and does not wait for the end of the stream";

#[test]
fn a_client_that_disconnects_aborts_the_span_unless_the_response_is_complete() {
    run(run_all());
}

async fn run_all() {
    let kinds = [Kind::Hyper, Kind::Axum(Position::Router)];
    let servers = [Http1, Http2].into_iter();
    let servers = servers.flat_map(|family| kinds.map(|kind| Server { family, kind }));
    let tasks = servers.map(|server| {
        tokio::spawn(async move {
            let mut rows = Vec::new();
            for scenario in Scenario::all(server.family) {
                for action in actions(&scenario, server.family) {
                    rows.push(run_case(server, &scenario, action).await);
                }
            }
            rows
        })
    });
    let mut table = Table::default();
    for rows in join_all(tasks).await {
        table.extend(rows.expect("no panic"));
    }
    table.finish("Client disconnects", KNOWN_DISAGREEMENTS);
}

fn actions(scenario: &Scenario, family: Family) -> Vec<Action> {
    if let Some(action) = scenario.only {
        return vec![action];
    }
    match family {
        // A blocked server does not read, so that it cannot see a half close.
        Http1 if scenario.moment == Moment::Blocked => vec![Fin, Rst],
        Http1 => vec![Fin, Rst, HalfClose],
        Http2 => vec![Fin, Rst, RstStream],
    }
}

async fn run_case(server: Server, scenario: &Scenario, action: Action) -> Row {
    let recorder = Recorder::new();
    let handling = scenario.handling();
    let running = server.start(&recorder, &handling.handler);
    let address = running.address;
    let client = async {
        match server.family {
            Http1 => {
                disconnecting_clients::http1(address, server.path(), scenario, action, &handling)
                    .await
            }
            Http2 => {
                disconnecting_clients::http2(address, server.path(), scenario, action, &handling)
                    .await
            }
        }
    };
    let result = timeout(Duration::from_secs(30), client).await;
    let result = result.unwrap_or_else(|_| ClientResult::no_response("the server hangs"));
    let case = format!("{}: {action:?}", scenario.name);
    let (mut row, _) = observe::collect_rows(&recorder, running, server, vec![(case, result)])
        .await
        .remove(0);

    row.expect(row.outcome == scenario.outcome, scenario.outcome);
    let is_as_expected = match (scenario.moment, action) {
        (Moment::Complete, _) | (_, KeepReading) => {
            matches!(row.result, ClientResult::Complete { .. })
        }
        (Moment::BeforeHead, HalfClose) => matches!(row.result, ClientResult::NoResponse { .. }),
        (_, HalfClose) => matches!(row.result, ClientResult::Truncated { .. }),
        _ => matches!(row.result, ClientResult::Disconnected { .. }),
    };
    row.check(
        is_as_expected,
        "the client result does not match the scenario",
    );
    row
}
