//! The whole span of every kind of request, on real servers: method by status by route by framework,
//! and for gRPC code by place by method. What is expected is written down from the conventions
//! (HTTP and gRPC server spans 1.45.0), as complete as a span is: one attribute too many is wrong,
//! and so is one of another type. Of times only that they are there.
//!
//! How many requests went where is printed:
//! `cargo test --all-features --test it -- conventions --nocapture`

mod client;
mod expected;
mod grpc;
mod http;
mod refused;
mod report;
mod servers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_requests() {
    http::all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_calls() {
    grpc::all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_calls_answered_in_plain_http() {
    refused::all().await;
}
