//! gRPC calls between tonic's client and server.

mod calls;
mod client;
mod disconnects;
pub mod service;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, oneshot};
use tokio::time::timeout;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Status};

use super::client_result::ClientResult;
use super::observe;
use super::observers::ObservedLayer;
use super::run;
use super::servers::{Family, Kind, Running, Server, listen, wait};
use super::table::{Row, Table};
use crate::support::recorder::Recorder;
use calls::Call;
use client::Client;
use service::TestService;

#[test]
fn each_kind_of_call_ends_with_the_expected_code_and_outcome() {
    run(run_all());
}

async fn run_all() {
    let tasks = calls::all()
        .into_iter()
        .map(|call| tokio::spawn(run_call(call)));
    let mut table = Table::default();
    for row in join_all(tasks).await {
        table.extend([row.expect("no panic")]);
    }
    table.finish("gRPC calls", &[]);
}

/// Starts a server with all services inside the layer.
fn start(recorder: &Recorder, service: &TestService) -> Running {
    let (layer, observations) = ObservedLayer::new(recorder);
    let (listener, address) = listen();
    let (shutdown, requested) = oneshot::channel();
    let (_, health) = tonic_health::server::health_reporter();
    let interceptor = |request: Request<()>| match request.metadata().get("x-reject") {
        Some(_) => Err(Status::unauthenticated("rejected by the interceptor")),
        None => Ok(request),
    };
    let serving = tonic::transport::Server::builder()
        .layer(layer)
        .add_service(InterceptedService::new(service.clone(), interceptor))
        .add_service(health)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), wait(requested));
    let stopped = tokio::spawn(async move { serving.await.expect("a listener") });
    Running::new(address, observations, shutdown, stopped)
}

async fn run_call(call: Call) -> Row {
    let recorder = Recorder::new();
    let service = TestService::default();
    let running = start(&recorder, &service);
    let address = running.address;
    let running = Arc::new(Mutex::new(running));
    let client = Client {
        channel: client::channel(address).await,
        address,
        service,
        recorder: recorder.clone(),
        running: Arc::clone(&running),
    };
    let result = timeout(Duration::from_secs(5), (call.run)(client)).await;
    let result = result.unwrap_or_else(|_| ClientResult::no_response("the call hangs"));
    let running = Arc::into_inner(running)
        .expect("the client has been dropped")
        .into_inner();

    let server = Server {
        family: Family::Http2,
        kind: Kind::Tonic,
    };
    let requests = vec![(call.name.to_owned(), result)];
    let (mut row, span) = observe::collect_rows(&recorder, running, server, requests)
        .await
        .remove(0);
    row.expect(row.result == call.result, &call.result);
    row.expect(row.outcome == call.outcome, call.outcome);
    let has_message = span
        .as_ref()
        .is_some_and(|span| span.attribute("api.time_to_first_byte").is_some());
    // A client can invent a method. It is known if the server answers OK or with a message.
    let is_known = match call.code {
        Some("OK") => true,
        Some("UNIMPLEMENTED") => false,
        _ => has_message,
    };
    let method = if is_known { call.method } else { "_OTHER" };
    observe::check_attributes(
        &mut row,
        span.as_ref(),
        &[
            ("rpc.system.name", Some("grpc")),
            ("rpc.method", Some(method)),
            ("rpc.method_original", (!is_known).then_some(call.method)),
            ("rpc.status_code", call.code),
            ("error.type", call.error_type),
            ("http.response.status_code", None),
            ("http.request.method", None),
        ],
    );
    if let Some(span) = span {
        let name = if is_known { call.method } else { "grpc" };
        row.expect(span.0.name == name, name);
        row.check(
            span.is_error() == call.error_type.is_some(),
            format!("the status is {:?}", span.status()),
        );
    }
    row
}
