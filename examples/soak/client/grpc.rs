//! The gRPC client: tonic's client of the health service, on a shared connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::Uri;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tonic::body::Body;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::Seen;
use super::http::upload;
use crate::lanes::HangSignal;
use crate::paths::{Behaviour, Method, ServerAction};
use crate::tag::{HEADER, Tag};

/// Uses hyper instead of tonic's channel, which would itself cancel the call at the deadline and race with
/// the server.
type Connections = legacy::Client<HttpConnector, Body>;

#[derive(Clone)]
pub(crate) struct Client {
    health: HealthClient<Connections>,
    /// For calls whose message is cut off, which tonic's client cannot make.
    connections: Connections,
    method: Uri,
}

/// Shorter than the handler hangs.
const DEADLINE: Duration = Duration::from_millis(2);

pub(super) fn connect(address: SocketAddr) -> io::Result<Client> {
    let uri = |path| Uri::try_from(format!("http://{address}{path}")).map_err(io::Error::other);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let connections = legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    Ok(Client {
        health: HealthClient::with_origin(connections.clone(), uri("")?),
        connections,
        method: uri("/grpc.health.v1.Health/Check")?,
    })
}

pub(super) async fn exchange(client: &mut Client, tag: Tag, hang_signal: &HangSignal) -> Seen {
    let mut request = Request::new(HealthCheckRequest::default());
    let headers = request.metadata_mut().as_mut();
    headers.insert(HEADER, tag.header_value());
    tag.path().caller.write(headers);
    let behaviour = tag.path().client;
    if behaviour == Behaviour::SetsDeadline {
        request.set_timeout(DEADLINE);
    }
    let answered = async {
        match tag.path().server {
            _ if behaviour.cuts_upload() => cut_upload(client, tag, hang_signal).await,
            ServerAction::Grpc(Method::Watch, _) => {
                watch(&mut client.health, request, behaviour).await
            }
            ServerAction::Grpc(Method::Check, _) | ServerAction::Http(_) => {
                check(&mut client.health, request).await
            }
        }
    };
    if behaviour.waits_for_signal() && !matches!(behaviour, Behaviour::FailsUpload(_)) {
        tokio::select! {
            () = hang_signal.wait(tag.lane) => Seen::Disconnected,
            seen = answered => seen,
        }
    } else {
        answered.await
    }
}

/// Sends a part of a message of 55 bytes.
async fn cut_upload(client: &Client, tag: Tag, hang_signal: &HangSignal) -> Seen {
    static MESSAGE: [u8; 60] = {
        let mut message = [0; 60];
        message[4] = 55;
        message
    };
    let request = http::Request::post(client.method.clone())
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(HEADER, tag.header_value())
        .body(Body::new(upload(tag, &MESSAGE, hang_signal)))
        .expect("all parts are well-formed");
    match client.connections.request(request).await {
        Ok(response) => Seen::Complete(response.status().as_u16(), 0),
        Err(_) => Seen::Broken,
    }
}

async fn check(
    client: &mut HealthClient<Connections>,
    request: Request<HealthCheckRequest>,
) -> Seen {
    match client.check(request).await {
        Ok(_) => Seen::Answered(1, Code::Ok),
        Err(status) => failed(0, &status),
    }
}

async fn watch(
    client: &mut HealthClient<Connections>,
    request: Request<HealthCheckRequest>,
    behaviour: Behaviour,
) -> Seen {
    let mut stream = match client.watch(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return failed(0, &status),
    };
    let mut messages = 0;
    loop {
        match stream.message().await {
            Ok(Some(_)) => messages += 1,
            Ok(None) => return Seen::Answered(messages, Code::Ok),
            Err(status) => return failed(messages, &status),
        }
        if matches!(behaviour, Behaviour::DisconnectsAfter(enough) if messages >= enough) {
            return Seen::Disconnected;
        }
    }
}

/// Maps a status. A reset stream has CANCELLED, and its number of messages depends on what was flushed.
fn failed(messages: usize, status: &Status) -> Seen {
    if status.code() == Code::Cancelled {
        Seen::Broken
    } else {
        Seen::Answered(messages, status.code())
    }
}
