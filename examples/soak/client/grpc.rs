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
use crate::lanes::HangSignal;
use crate::paths::{Behaviour, Method, ServerAction};
use crate::tag::{HEADER, Tag};

/// Uses hyper instead of tonic's channel, which would itself cancel the call at the deadline and race with
/// the server.
pub(crate) type Client = HealthClient<legacy::Client<HttpConnector, Body>>;

/// Shorter than the handler hangs.
const DEADLINE: Duration = Duration::from_millis(2);

pub(super) fn connect(address: SocketAddr) -> io::Result<Client> {
    let origin = Uri::try_from(format!("http://{address}")).map_err(io::Error::other)?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let connections = legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    Ok(HealthClient::with_origin(connections, origin))
}

pub(super) async fn exchange(client: &mut Client, tag: Tag, hang_signal: &HangSignal) -> Seen {
    let mut request = Request::new(HealthCheckRequest::default());
    request
        .metadata_mut()
        .as_mut()
        .insert(HEADER, tag.header_value());
    let behaviour = tag.path().client;
    if behaviour == Behaviour::SetsDeadline {
        request.set_timeout(DEADLINE);
    }
    let answered = async {
        match tag.path().server {
            ServerAction::Grpc(Method::Watch, _) => watch(client, request, behaviour).await,
            ServerAction::Grpc(Method::Check, _) | ServerAction::Http(_) => {
                check(client, request).await
            }
        }
    };
    if behaviour == Behaviour::DisconnectsBeforeHead {
        tokio::select! {
            () = hang_signal.wait(tag.lane) => Seen::Disconnected,
            seen = answered => seen,
        }
    } else {
        answered.await
    }
}

async fn check(client: &mut Client, request: Request<HealthCheckRequest>) -> Seen {
    match client.check(request).await {
        Ok(_) => Seen::Answered(1, Code::Ok),
        Err(status) => failed(0, &status),
    }
}

async fn watch(
    client: &mut Client,
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
