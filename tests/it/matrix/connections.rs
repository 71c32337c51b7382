//! Tunnels (in [`tunnels`]), interim responses, and several requests on one connection.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request, Response, Version};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::client_result::ClientResult;
use super::handler::Handler;
use super::http1::{self, Http1};
use super::http2::Http2;
use super::observe;
use super::servers::{self, Family, Running, Server};
use super::table::{Row, Table};
use super::{run, tunnels};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Pending};
use crate::support::recorder::Recorder;

/// A request's name, its expected client result, and the expected outcome and status in its span.
pub type Expected = (&'static str, ClientResult, &'static str, &'static str);

#[test]
fn tunnels_interim_responses_and_shared_connections_end_as_expected() {
    run(run_all());
}

async fn run_all() {
    let tasks = servers::all().into_iter().map(|server| {
        tokio::spawn(async move {
            let mut rows = Vec::new();
            match server.family {
                Family::Http1 => {
                    rows.extend(tunnels::switch_protocols(server).await);
                    rows.extend(expect_continue(server, true).await);
                    rows.extend(expect_continue(server, false).await);
                    rows.extend(pipeline(server).await);
                }
                Family::Http2 => rows.extend(reuse_connection(server).await),
            }
            // CONNECT has no path and so matches no route.
            if server.sees_fallback() {
                rows.extend(tunnels::connect(server).await);
            }
            rows
        })
    });
    let mut table = Table::default();
    for rows in join_all(tasks).await {
        table.extend(rows.expect("no panic"));
    }
    table.finish("Tunnels, interim responses, shared connections", &[]);
}

pub fn complete(status: u16, bytes: usize) -> ClientResult {
    ClientResult::Complete { status, bytes }
}

/// Runs a client, which returns one result for each request, and checks the spans.
pub async fn check<F>(
    server: Server,
    recorder: &Recorder,
    running: Running,
    client: F,
    expected: Vec<Expected>,
) -> Vec<Row>
where
    F: Future<Output = Vec<ClientResult>>,
{
    let results = timeout(Duration::from_secs(5), client).await;
    let results = results
        .unwrap_or_else(|_| vec![ClientResult::no_response("the server hangs"); expected.len()]);
    let names = expected.iter().map(|(name, ..)| (*name).to_owned());
    let rows = observe::collect_rows(recorder, running, server, names.zip(results).collect()).await;
    let rows = rows
        .into_iter()
        .zip(expected)
        .map(|((mut row, span), expected)| {
            let (_, result, outcome, status) = expected;
            row.expect(row.result == result, result);
            row.expect(row.outcome == outcome, outcome);
            let status = ("http.response.status_code", Some(status));
            observe::check_attributes(&mut row, span.as_ref(), &[status]);
            row
        });
    rows.collect()
}

/// The client waits for a "100 Continue" before it sends its body. The server sends it only if the
/// handler reads the body.
async fn expect_continue(server: Server, reads: bool) -> Vec<Row> {
    let recorder = Recorder::new();
    let handler = Handler::new(move |request: Request<Body>| async move {
        let length = if reads {
            let body = request.into_body().collect().await;
            body.expect("the request body").to_bytes().len()
        } else {
            3
        };
        Response::new(Body::from(Bytes::from(vec![b'x'; length])))
    });
    let running = server.start(&recorder, &handler);
    let address = running.address;
    let headers = [("expect", "100-continue"), ("content-length", "4")];
    let request = http1::request(&Method::POST, server.path(), Version::HTTP_11, &headers);
    let client = async {
        let mut client = Http1::connect(address).await;
        client.send(request).await;
        if reads {
            match client.head().await {
                Ok(head) if head.status == 100 => client.send("body").await,
                head => {
                    return vec![ClientResult::no_response(format!(
                        "{head:?} instead of a 100"
                    ))];
                }
            }
        }
        vec![client.message(&Method::POST).await]
    };
    let expected = if reads {
        (
            "100-continue, then the response",
            complete(200, 4),
            "DEPARTED",
            "200",
        )
    } else {
        (
            "100-continue, body not read",
            complete(200, 3),
            "DEPARTED",
            "200",
        )
    };
    check(server, &recorder, running, client, vec![expected]).await
}

/// A handler with three responses, chosen by a request header.
fn three_responses() -> Handler {
    Handler::new(|request: Request<Body>| async move {
        let (status, body) = match request.headers()["x-response"].as_bytes() {
            b"1" => (200, ScriptedBody::full(15)),
            b"2" => (200, ScriptedBody::new([Data(5), Pending, Data(5)])),
            _ => (404, ScriptedBody::full(3)),
        };
        crate::support::response(status, body).map(Body::new)
    })
}

fn expect_three(names: [&'static str; 3]) -> Vec<Expected> {
    let [first, second, third] = names;
    vec![
        (first, complete(200, 15), "DEPARTED", "200"),
        (second, complete(200, 10), "DEPARTED", "200"),
        (third, complete(404, 3), "ABORTED(client_error)", "404"),
    ]
}

/// Sends all requests before it reads the first response. The server serves them in order.
async fn pipeline(server: Server) -> Vec<Row> {
    let recorder = Recorder::new();
    let running = server.start(&recorder, &three_responses());
    let address = running.address;
    let request = |response| {
        let headers = [("x-response", response)];
        http1::request(&Method::GET, server.path(), Version::HTTP_11, &headers)
    };
    let requests = ["1", "2", "3"].map(request).concat();
    let client = async {
        let mut client = Http1::connect(address).await;
        client.send(requests).await;
        let mut results = Vec::new();
        for _ in 0..3 {
            results.push(client.message(&Method::GET).await);
        }
        results
    };
    let expected = expect_three(["pipelined, first", "pipelined, second", "pipelined, third"]);
    check(server, &recorder, running, client, expected).await
}

/// Sends three requests on one connection, in sequence, so that their spans end in that order.
async fn reuse_connection(server: Server) -> Vec<Row> {
    let recorder = Recorder::new();
    let running = server.start(&recorder, &three_responses());
    let address = running.address;
    let client = async {
        let mut client = Http2::connect(address, false).await;
        let mut results = Vec::new();
        for response in ["1", "2", "3"] {
            let uri = format!("http://example.com{}", server.path());
            let request = Request::get(uri).header("x-response", response).body(());
            let exchange = client.send(request.expect("a request"), true).await;
            results.push(exchange.message().await);
        }
        results
    };
    let expected = expect_three([
        "one connection, first",
        "one connection, second",
        "one connection, third",
    ]);
    check(server, &recorder, running, client, expected).await
}
