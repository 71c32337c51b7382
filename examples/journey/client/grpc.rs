//! The gRPC client: tonic's client of the health service.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::Uri;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::futures::Notified;
use tonic::body::Body;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_api_span::GrpcCode;

use super::{Behaviour, Caller, Observed, Seen};

/// Uses hyper instead of tonic's channel, which would itself cancel the call at the deadline and race with
/// the server.
type Client = HealthClient<legacy::Client<HttpConnector, Body>>;

/// A call of the health service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// The service name in the message, which selects how the call ends.
    pub(crate) service: &'static str,
    /// A prefix of the method's path. If it is not empty, the server does not know the method.
    pub(crate) prefix: &'static str,
    pub(crate) timeout: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Method {
    /// Unary.
    Check,
    /// Server-streaming.
    Watch,
}

/// Makes a call on a new connection. To disconnect, the client resets the stream.
///
/// # Errors
///
/// If the call cannot be made.
pub(super) async fn exchange(
    address: SocketAddr,
    call: &Call,
    behaviour: Behaviour,
    caller: Caller,
    engine_hangs: Notified<'_>,
) -> Result<Observed, String> {
    let origin = Uri::try_from(format!("http://{address}{}", call.prefix))
        .map_err(|error| error.to_string())?;
    let mut connector = HttpConnector::new();
    // Without it, a request's message waits for the acknowledgement of its head.
    connector.set_nodelay(true);
    let connections = legacy::Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    let mut client = HealthClient::with_origin(connections, origin);
    let mut request = Request::new(HealthCheckRequest {
        service: call.service.to_owned(),
    });
    let traceparent = caller
        .traceparent()
        .parse()
        .map_err(|_| "the traceparent is not valid metadata")?;
    request.metadata_mut().insert("traceparent", traceparent);
    if let Some(timeout) = call.timeout {
        request.set_timeout(timeout);
    }

    let sent = SystemTime::now();
    let mut head = None;
    let answered = async {
        match call.method {
            Method::Check => check(&mut client, request, &mut head).await,
            Method::Watch => watch(&mut client, request, behaviour, &mut head).await,
        }
    };
    let seen = match behaviour {
        Behaviour::DisconnectsBeforeHead => tokio::select! {
            () = engine_hangs => Seen::grpc(0, None),
            seen = answered => seen,
        },
        Behaviour::ReadsAll | Behaviour::DisconnectsAfter(_) => answered.await,
    };
    Ok(Observed {
        seen,
        sent,
        head,
        ended: SystemTime::now(),
        connection: Some(Box::new(client)),
    })
}

async fn check(
    client: &mut Client,
    request: Request<HealthCheckRequest>,
    head: &mut Option<SystemTime>,
) -> Seen {
    let answer = client.check(request).await;
    record_head(&answer, head);
    match answer {
        Ok(_) => Seen::grpc(1, Some(GrpcCode::OK)),
        Err(status) => Seen::grpc(0, Some(code(&status))),
    }
}

async fn watch(
    client: &mut Client,
    request: Request<HealthCheckRequest>,
    behaviour: Behaviour,
    head: &mut Option<SystemTime>,
) -> Seen {
    let answer: Result<Response<Streaming<HealthCheckResponse>>, _> = client.watch(request).await;
    record_head(&answer, head);
    let mut stream = match answer {
        Ok(response) => response.into_inner(),
        Err(status) => return Seen::grpc(0, Some(code(&status))),
    };
    let mut messages = 0;
    loop {
        match stream.message().await {
            Ok(Some(_)) => messages += 1,
            Ok(None) => return Seen::grpc(messages, Some(GrpcCode::OK)),
            Err(status) => return Seen::grpc(messages, Some(code(&status))),
        }
        if behaviour.disconnects_after(messages) {
            return Seen::grpc(messages, None);
        }
    }
}

fn record_head<T>(answer: &Result<Response<T>, Status>, head: &mut Option<SystemTime>) {
    *head = answer.is_ok().then(SystemTime::now);
}

fn code(status: &Status) -> GrpcCode {
    let code: Code = status.code();
    let number = u8::try_from(i32::from(code)).ok();
    number
        .and_then(GrpcCode::from_u8)
        .unwrap_or(GrpcCode::UNKNOWN)
}
