//! Tunnels: the span ends with the head, before bytes flow through the tunnel.

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;

use super::client_result::ClientResult;
use super::connections::{check, complete};
use super::handler::Handler;
use super::http1::{self, Http1};
use super::http2::Http2;
use super::servers::{Family, Server};
use super::table::Row;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::Recorder;

/// Responds with this status and echoes every byte that comes through the tunnel.
fn echo(status: StatusCode) -> Handler {
    Handler::new(move |request: Request<Body>| async move {
        let upgrade = hyper::upgrade::on(request);
        tokio::spawn(async move {
            let upgraded = TokioIo::new(upgrade.await.expect("a tunnel"));
            let (mut read, mut write) = tokio::io::split(upgraded);
            // Until the client closes the tunnel.
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        let response = Response::builder().status(status);
        let response = if status == StatusCode::SWITCHING_PROTOCOLS {
            response
                .header("connection", "upgrade")
                .header("upgrade", "echo")
        } else {
            response
        };
        // The message can have no body, and no server polls this one.
        let body = ScriptedBody::new([Data(5)]);
        response.body(Body::new(body)).expect("a response")
    })
}

pub async fn switch_protocols(server: Server) -> Vec<Row> {
    let recorder = Recorder::new();
    let running = server.start(&recorder, &echo(StatusCode::SWITCHING_PROTOCOLS));
    let headers = [("connection", "upgrade"), ("upgrade", "echo")];
    let request = http1::request(&Method::GET, server.path(), Version::HTTP_11, &headers);
    let address = running.address;
    let client = async {
        let mut client = Http1::connect(address).await;
        client.send(request).await;
        let head = client.message(&Method::GET).await;
        vec![through_tunnel(&recorder, client, head).await]
    };
    let expected = vec![("101 and its tunnel", complete(101, 4), "DEPARTED", "101")];
    check(server, &recorder, running, client, expected).await
}

/// Waits for the end of the span, then sends bytes through and counts those that come back.
async fn through_tunnel(
    recorder: &Recorder,
    mut client: Http1,
    head: ClientResult,
) -> ClientResult {
    let ClientResult::Complete { status, bytes: 0 } = head else {
        return head;
    };
    if !recorder.wait_for(1).await {
        return ClientResult::truncated(
            status,
            0,
            "the span is still open while the tunnel is open",
        );
    }
    let mut bytes = 0;
    client.send("ping").await;
    match client.take(4, &mut bytes).await {
        Ok(()) => complete(status, bytes),
        Err(closed) => ClientResult::truncated(status, bytes, closed),
    }
}

/// CONNECT has no path: the request target is the authority of the tunnel's other end.
pub async fn connect(server: Server) -> Vec<Row> {
    let recorder = Recorder::new();
    let running = server.start(&recorder, &echo(StatusCode::OK));
    let address = running.address;
    let client = async {
        let target = "example.com:80";
        if server.family == Family::Http1 {
            let mut client = Http1::connect(address).await;
            let request = http1::request(&Method::CONNECT, target, Version::HTTP_11, &[]);
            client.send(request).await;
            let head = client.message(&Method::CONNECT).await;
            vec![through_tunnel(&recorder, client, head).await]
        } else {
            let mut client = Http2::connect(address, false).await;
            let request = Request::connect(target).version(Version::HTTP_2);
            let exchange = client
                .send(request.body(()).expect("a request"), false)
                .await;
            vec![exchange.through_tunnel(&recorder).await]
        }
    };
    let expected = vec![(
        "CONNECT and its tunnel",
        complete(200, 4),
        "DEPARTED",
        "200",
    )];
    check(server, &recorder, running, client, expected).await
}
