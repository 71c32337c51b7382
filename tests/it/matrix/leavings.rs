//! Clients that leave, and clients that take their time.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::got::Got;
use super::leavers;
use super::observe;
use super::routers::Position;
use super::scenes::Scene;
use super::servers::Family::{self, Http1, Http2};
use super::servers::{Kind, Server};
use super::table::{Exception, Row, Table};
use crate::support::recorder::Recorder;

/// What a client does when it has seen enough.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Closes its connection.
    Fin,
    /// Closes it with an RST.
    Rst,
    /// Closes its half of the connection and reads on.
    HalfClose,
    /// Resets the stream and keeps the connection.
    RstStream,
    /// Reads on.
    Stays,
}
use Way::{Fin, HalfClose, Rst, RstStream, Stays};

/// When a client does it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// The handler has been called, and there is no head yet.
    BeforeTheHead,
    /// There is a head, and this much of the body.
    AfterBytes(usize),
    /// Nothing but the head has been read, and the server can't send any more.
    Stuck,
    /// The message is complete.
    AtTheEnd,
}

const EXCEPTIONS: &[Exception] = &[
    (Http1, "8 MiB in one frame, nothing read: Fin", IN_BUFFERS),
    (Http1, "8 MiB in one frame, nothing read: Rst", IN_BUFFERS),
    (Http2, "8 MiB in one frame, nothing read: Fin", IN_BUFFERS),
    (Http2, "8 MiB in one frame, nothing read: Rst", IN_BUFFERS),
    (
        Http2,
        "8 MiB in one frame, nothing read: RstStream",
        IN_BUFFERS,
    ),
    (Http1, "before the head, request unread: Fin", HIDDEN),
    (Http2, "Content-Length read, then: RstStream", HAS_ALL),
];
const IN_BUFFERS: &str = "all of it was handed to the server, whose buffers are its own affair";
const HIDDEN: &str = "the server does not read the end of the connection behind unread input";
const HAS_ALL: &str =
    "the client has all that was declared, and does not wait for the stream's end";

pub async fn all() {
    let kinds = [Kind::Hyper, Kind::Axum(Position::Router)];
    let servers = [Http1, Http2].into_iter();
    let servers = servers.flat_map(|family| kinds.map(|kind| Server { family, kind }));
    let on_all = servers.map(|server| {
        tokio::spawn(async move {
            let mut rows = Vec::new();
            for scene in Scene::all(server.family) {
                for way in ways(&scene, server.family) {
                    rows.push(one(server, &scene, way).await);
                }
            }
            rows
        })
    });
    let mut table = Table::default();
    for rows in join_all(on_all).await {
        table.extend(rows.expect("all rows"));
    }
    table.finish("Clients that leave", EXCEPTIONS);
}

fn ways(scene: &Scene, family: Family) -> Vec<Way> {
    if let Some(way) = scene.only {
        return vec![way];
    }
    match family {
        // Nothing happens after the half of a connection is closed that a reader would see.
        Http1 if scene.when == When::Stuck => vec![Fin, Rst],
        Http1 => vec![Fin, Rst, HalfClose],
        Http2 => vec![Fin, Rst, RstStream],
    }
}

async fn one(server: Server, scene: &Scene, way: Way) -> Row {
    let at = Recorder::new();
    let handling = scene.handling();
    let running = server.start(&at.layer(), &handling.handler);
    let address = running.address;
    let leaving = async {
        match server.family {
            Http1 => leavers::http1(address, server.path(), scene, way, &handling).await,
            Http2 => leavers::http2(address, server.path(), scene, way, &handling).await,
        }
    };
    let got = timeout(Duration::from_secs(30), leaving).await;
    let got = got.unwrap_or_else(|_| Got::nothing("the server hangs"));
    let case = format!("{}: {way:?}", scene.name);
    let (mut row, _) = observe::rows(&at, running, server, vec![(case, got)])
        .await
        .remove(0);

    row.expect(row.outcome == scene.outcome, scene.outcome);
    let is_as_expected = match (scene.when, way) {
        (When::AtTheEnd, _) | (_, Stays) => matches!(row.got, Got::Whole { .. }),
        (When::BeforeTheHead, HalfClose) => matches!(row.got, Got::Nothing { .. }),
        (_, HalfClose) => matches!(row.got, Got::Cut { .. }),
        _ => matches!(row.got, Got::Left { .. }),
    };
    row.check(is_as_expected, "the client was to leave otherwise");
    row
}
