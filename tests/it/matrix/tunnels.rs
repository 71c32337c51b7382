//! Tunnels: the span ends with the head, and bytes flow after it.

use axum::body::Body;
use http::{Method, Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;

use super::exchanges::{check, whole};
use super::got::Got;
use super::handler::Handler;
use super::http1::{self, Http1};
use super::http2::Http2;
use super::servers::{Family, Server};
use super::table::Row;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::Recorder;

/// Answers with this status and sends back whatever comes through the tunnel.
fn echo(status: StatusCode) -> Handler {
    Handler::new(move |request: Request<Body>| async move {
        let upgrade = hyper::upgrade::on(request);
        tokio::spawn(async move {
            let upgraded = TokioIo::new(upgrade.await.expect("a tunnel"));
            let (mut read, mut write) = tokio::io::split(upgraded);
            // Until the client has enough of it.
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
        // A body that can't be there, and that no server polls.
        let body = ScriptedBody::new([Data(5)]);
        response.body(Body::new(body)).expect("a response")
    })
}

pub async fn switching_protocols(server: Server) -> Vec<Row> {
    let at = Recorder::new();
    let running = server.start(&at.layer(), &echo(StatusCode::SWITCHING_PROTOCOLS));
    let headers = [("connection", "upgrade"), ("upgrade", "echo")];
    let request = http1::request(&Method::GET, server.path(), Version::HTTP_11, &headers);
    let address = running.address;
    let client = async {
        let mut client = Http1::connect(address).await;
        client.send(request).await;
        let head = client.message(&Method::GET).await;
        vec![through_tunnel(&at, client, head).await]
    };
    let expected = vec![("101 and its tunnel", whole(101, 4), "DEPARTED", "101")];
    check(server, &at, running, client, expected).await
}

/// Sends bytes through and counts those that come back, once the span has ended.
async fn through_tunnel(at: &Recorder, mut client: Http1, head: Got) -> Got {
    let Got::Whole { status, bytes: 0 } = head else {
        return head;
    };
    if !at.wait_for(1).await {
        return Got::cut(status, 0, "the span is open while the tunnel is");
    }
    let mut bytes = 0;
    client.send("ping").await;
    match client.take(4, &mut bytes).await {
        Ok(()) => whole(status, bytes),
        Err(closed) => Got::cut(status, bytes, closed),
    }
}

/// CONNECT has no path: the target is where the tunnel should lead.
pub async fn connecting(server: Server) -> Vec<Row> {
    let at = Recorder::new();
    let running = server.start(&at.layer(), &echo(StatusCode::OK));
    let address = running.address;
    let client = async {
        let target = "example.com:80";
        if server.family == Family::Http1 {
            let mut client = Http1::connect(address).await;
            let request = http1::request(&Method::CONNECT, target, Version::HTTP_11, &[]);
            client.send(request).await;
            let head = client.message(&Method::CONNECT).await;
            vec![through_tunnel(&at, client, head).await]
        } else {
            let mut client = Http2::connect(address, false).await;
            let request = Request::connect(target).version(Version::HTTP_2);
            let exchange = client
                .send(request.body(()).expect("a request"), false)
                .await;
            vec![exchange.through_tunnel(&at).await]
        }
    };
    let expected = vec![("CONNECT and its tunnel", whole(200, 4), "DEPARTED", "200")];
    check(server, &at, running, client, expected).await
}
