//! gRPC calls, with tonic at both ends.

mod caller;
mod calls;
mod leaver;
pub mod service;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};
use tower_api_span::ApiSpanLayer;

use super::got::Got;
use super::observe;
use super::servers::{Family, Kind, Running, Server, listen, wait};
use super::table::{Row, Table};
use crate::support::recorder::Recorder;
use caller::Caller;
use calls::Call;
use service::Talk;

pub async fn all() {
    let calls = calls::all().into_iter().map(|call| tokio::spawn(one(call)));
    let mut table = Table::default();
    for row in join_all(calls).await {
        table.extend([row.expect("a row")]);
    }
    table.finish("gRPC calls", &[]);
}

/// A server with all services, and the layer around them.
fn start(layer: ApiSpanLayer, talk: &Talk) -> Running {
    let (listener, address) = listen();
    let (stop, told) = oneshot::channel();
    let (_, health) = tonic_health::server::health_reporter();
    let refusing = |request: Request<()>| match request.metadata().get("x-refuse") {
        Some(_) => Err(Status::unauthenticated("who is that?")),
        None => Ok(request),
    };
    let serving = tonic::transport::Server::builder()
        .layer(layer)
        .add_service(InterceptedService::new(talk.clone(), refusing))
        .add_service(health)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), wait(told));
    let stopped = tokio::spawn(async move { serving.await.expect("a listener") });
    Running::new(address, stop, stopped)
}

async fn one(call: Call) -> Row {
    let at = Recorder::new();
    let talk = Talk::default();
    let running = start(at.layer(), &talk);
    let address = running.address;
    let running = Arc::new(Mutex::new(running));
    let caller = Caller {
        channel: caller::channel(address).await,
        address,
        talk,
        at: at.clone(),
        running: Arc::clone(&running),
    };
    let got = timeout(Duration::from_secs(5), (call.run)(caller)).await;
    let got = got.unwrap_or_else(|_| Got::nothing("the call hangs"));
    let running = Arc::into_inner(running)
        .expect("the caller is gone")
        .into_inner();

    let server = Server {
        family: Family::Http2,
        kind: Kind::Tonic,
    };
    let requests = vec![(call.name.to_owned(), got)];
    let (mut row, span) = observe::rows(&at, running, server, requests)
        .await
        .remove(0);
    row.expect(row.got == call.got, &call.got);
    row.expect(row.outcome == call.outcome, call.outcome);
    observe::check_attributes(
        &mut row,
        span.as_ref(),
        &[
            ("rpc.system.name", Some("grpc")),
            ("rpc.method", Some(call.method)),
            ("rpc.status_code", call.code),
            ("error.type", call.error),
            ("http.response.status_code", None),
            ("http.request.method", None),
        ],
    );
    if let Some(span) = span {
        // What no server has answered for, or has denied, may be the client's invention, and is no
        // name for a span.
        let is_answered = span.attribute("api.time_to_head").is_some();
        let name = match call.code {
            Some("UNIMPLEMENTED") => "grpc",
            _ if is_answered => call.method,
            _ => "grpc",
        };
        row.expect(span.0.name == name, name);
        row.check(
            span.is_error() == call.error.is_some(),
            format!("the status is {:?}", span.status()),
        );
    }
    row
}
