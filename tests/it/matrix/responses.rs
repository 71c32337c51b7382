//! Every response shape on every server.

use std::time::Duration;

use axum::body::Body;
use futures_util::future::join_all;
use http::{Request, Version};
use tokio::time::timeout;

use super::client_result::ClientResult;
use super::expected::{KNOWN_DISAGREEMENTS, expected};
use super::handler::Handler;
use super::http1::{self, Http1};
use super::http2::Http2;
use super::observe;
use super::run;
use super::servers::{self, Family, Server};
use super::table::{Row, Table};
use crate::support::recorder::Recorder;
use crate::support::shapes::{self, Shape};

#[test]
fn each_response_shape_on_each_server_ends_as_expected() {
    run(run_all());
}

async fn run_all() {
    let tasks = servers::all().into_iter().map(|server| {
        tokio::spawn(async move {
            let mut rows = Vec::new();
            for shape in shapes_for(server.family) {
                rows.push(run_case(server, &shape).await);
            }
            rows
        })
    });
    let mut table = Table::default();
    for rows in join_all(tasks).await {
        table.extend(rows.expect("no panic"));
    }
    table.finish("Responses", KNOWN_DISAGREEMENTS);
}

fn shapes_for(family: Family) -> Vec<Shape> {
    let mut shapes = shapes::all();
    shapes.extend(shapes::odd());
    if family == Family::Http1 {
        shapes.extend(shapes::http1());
    }
    shapes
}

fn handler(shape: &Shape) -> Handler {
    let shape = shape.clone();
    Handler::new(move |request| {
        let shape = shape.clone();
        async move { shape.respond(&request).map(Body::new) }
    })
}

async fn run_case(server: Server, shape: &Shape) -> Row {
    let recorder = Recorder::new();
    let running = server.start(&recorder, &handler(shape));
    let exchange = async {
        match server.family {
            Family::Http1 => request_http1(server, shape, running.address).await,
            Family::Http2 => request_http2(server, shape, running.address).await,
        }
    };
    let result = timeout(Duration::from_secs(3), exchange).await;
    let result = result.unwrap_or_else(|_| ClientResult::no_response("the server hangs"));
    let requests = vec![(shape.name.to_owned(), result)];
    let (mut row, span) = observe::collect_rows(&recorder, running, server, requests)
        .await
        .remove(0);

    let (client, outcome) = expected(server, shape.name);
    row.expect(
        client.matches(&row.result),
        format!("the client gets {client:?}"),
    );
    row.expect(row.outcome == outcome, outcome);
    let status = (!shape.handler_panics).then(|| shape.status.to_string());
    let version = server.version(shape.version);
    observe::check_attributes(
        &mut row,
        span.as_ref(),
        &[
            ("http.response.status_code", status.as_deref()),
            ("network.protocol.version", Some(version)),
            ("http.route", server.route()),
            ("url.path", Some(server.path())),
        ],
    );
    row
}

async fn request_http1(
    server: Server,
    shape: &Shape,
    address: std::net::SocketAddr,
) -> ClientResult {
    let mut client = Http1::connect(address).await;
    let Shape {
        method,
        version,
        request_headers,
        ..
    } = shape;
    client
        .send(http1::request(
            method,
            server.path(),
            *version,
            request_headers,
        ))
        .await;
    match client.message(method).await {
        ClientResult::Complete { status, bytes } if client.has_more() => {
            ClientResult::truncated(status, bytes, "bytes after the end")
        }
        result => result,
    }
}

async fn request_http2(
    server: Server,
    shape: &Shape,
    address: std::net::SocketAddr,
) -> ClientResult {
    let mut client = Http2::connect(address, false).await;
    let uri = format!("http://example.com{}", server.path());
    let mut request = Request::builder()
        .method(&shape.method)
        .uri(uri)
        .version(Version::HTTP_2);
    for (name, value) in shape.request_headers {
        request = request.header(*name, *value);
    }
    let result = client
        .send(request.body(()).expect("a request"), true)
        .await
        .message()
        .await;
    client.close().await;
    result
}
