//! What is more than one request and one response: tunnels (in [`tunnels`]), interim answers,
//! several requests on one connection.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::got::Got;
use super::handler::Handler;
use super::http1::{self, Http1};
use super::http2::Http2;
use super::observe;
use super::servers::{self, Family, Running, Server};
use super::table::{Row, Table};
use super::tunnels;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Pending};
use crate::support::recorder::Recorder;

/// A request: its name, what its client should get, and the outcome and status in its span.
pub type Expected = (&'static str, Got, &'static str, &'static str);

pub async fn all() {
    let on_all = servers::all().into_iter().map(|server| {
        tokio::spawn(async move {
            let mut rows = Vec::new();
            match server.family {
                Family::Http1 => {
                    rows.extend(tunnels::switching_protocols(server).await);
                    rows.extend(expecting(server, true).await);
                    rows.extend(expecting(server, false).await);
                    rows.extend(pipelining(server).await);
                }
                Family::Http2 => rows.extend(one_connection(server).await),
            }
            // CONNECT has no path, so that it belongs to no route.
            if server.sees_the_fallback() {
                rows.extend(tunnels::connecting(server).await);
            }
            rows
        })
    });
    let mut table = Table::default();
    for rows in join_all(on_all).await {
        table.extend(rows.expect("all rows"));
    }
    table.finish("Tunnels, interim answers, several requests", &[]);
}

pub fn whole(status: u16, bytes: usize) -> Got {
    Got::Whole { status, bytes }
}

/// Runs a client, which tells what it got for each request.
pub async fn check<F>(
    server: Server,
    at: &Recorder,
    running: Running,
    client: F,
    expected: Vec<Expected>,
) -> Vec<Row>
where
    F: Future<Output = Vec<Got>>,
{
    let gots = timeout(Duration::from_secs(5), client).await;
    let gots = gots.unwrap_or_else(|_| vec![Got::nothing("the server hangs"); expected.len()]);
    let names = expected.iter().map(|(name, ..)| (*name).to_owned());
    let rows = observe::rows(at, running, server, names.zip(gots).collect()).await;
    let rows = rows
        .into_iter()
        .zip(expected)
        .map(|((mut row, span), expected)| {
            let (_, got, outcome, status) = expected;
            row.expect(row.got == got, got);
            row.expect(row.outcome == outcome, outcome);
            let status = ("http.response.status_code", Some(status));
            observe::check_attributes(&mut row, span.as_ref(), &[status]);
            row
        });
    rows.collect()
}

/// The client waits for a "100 Continue" before it sends its body. The handler reads it, or not,
/// and then there is none.
async fn expecting(server: Server, reads: bool) -> Vec<Row> {
    let at = Recorder::new();
    let handler = Handler::new(move |request: Request<Body>| async move {
        let length = if reads {
            let body = request.into_body().collect().await;
            body.expect("the request's body").to_bytes().len()
        } else {
            3
        };
        Response::new(Body::from(Bytes::from(vec![b'x'; length])))
    });
    let running = server.start(&at.layer(), &handler);
    let address = running.address;
    let headers = [("expect", "100-continue"), ("content-length", "4")];
    let request = http1::request(&Method::POST, server.path(), Version::HTTP_11, &headers);
    let client = async {
        let mut client = Http1::connect(address).await;
        client.send(request).await;
        if reads {
            match client.head().await {
                Ok(head) if head.status == 100 => client.send("body").await,
                head => return vec![Got::nothing(format!("{head:?} instead of a 100"))],
            }
        }
        vec![client.message(&Method::POST).await]
    };
    let expected = if reads {
        (
            "100-continue, then the answer",
            whole(200, 4),
            "DEPARTED",
            "200",
        )
    } else {
        (
            "100-continue, body not wanted",
            whole(200, 3),
            "DEPARTED",
            "200",
        )
    };
    check(server, &at, running, client, vec![expected]).await
}

/// A handler for three kinds of answers, each at once, in the order of the requests.
fn three_answers() -> Handler {
    Handler::new(|request: Request<Body>| async move {
        let (status, body) = match request.headers()["x-answer"].as_bytes() {
            b"1" => (200, ScriptedBody::full(15)),
            b"2" => (200, ScriptedBody::new([Data(5), Pending, Data(5)])),
            _ => (404, ScriptedBody::full(3)),
        };
        crate::support::response(status, body).map(Body::new)
    })
}

fn three_expected(names: [&'static str; 3]) -> Vec<Expected> {
    let [first, second, third] = names;
    vec![
        (first, whole(200, 15), "DEPARTED", "200"),
        (second, whole(200, 10), "DEPARTED", "200"),
        (third, whole(404, 3), "ABORTED(client_error)", "404"),
    ]
}

/// All requests are sent before the first answer is read. They are served one by one.
async fn pipelining(server: Server) -> Vec<Row> {
    let at = Recorder::new();
    let running = server.start(&at.layer(), &three_answers());
    let address = running.address;
    let request = |answer| {
        let headers = [("x-answer", answer)];
        http1::request(&Method::GET, server.path(), Version::HTTP_11, &headers)
    };
    let requests = ["1", "2", "3"].map(request).concat();
    let client = async {
        let mut client = Http1::connect(address).await;
        client.send(requests).await;
        let mut gots = Vec::new();
        for _ in 0..3 {
            gots.push(client.message(&Method::GET).await);
        }
        gots
    };
    let expected = three_expected(["pipelined, first", "pipelined, second", "pipelined, third"]);
    check(server, &at, running, client, expected).await
}

/// Three requests on one connection, one after the other, so that their spans come in that order.
async fn one_connection(server: Server) -> Vec<Row> {
    let at = Recorder::new();
    let running = server.start(&at.layer(), &three_answers());
    let address = running.address;
    let client = async {
        let mut client = Http2::connect(address, false).await;
        let mut gots = Vec::new();
        for answer in ["1", "2", "3"] {
            let uri = format!("http://example.com{}", server.path());
            let request = Request::get(uri).header("x-answer", answer).body(());
            let exchange = client.send(request.expect("a request"), true).await;
            gots.push(exchange.message().await);
        }
        gots
    };
    let expected = three_expected([
        "one connection, first",
        "one connection, second",
        "one connection, third",
    ]);
    check(server, &at, running, client, expected).await
}
