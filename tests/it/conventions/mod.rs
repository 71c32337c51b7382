//! Complete spans on real servers, compared with the semantic conventions 1.45.0 for HTTP and gRPC servers.
//! An extra attribute or another type fails; the values of times are not compared. The row counts are printed:
//! `cargo test --all-features --test it -- conventions --nocapture`

mod client;
mod expected;
mod grpc;
mod grpc_in_http;
mod http;
mod report;
mod servers;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_request_spans_follow_the_conventions() {
    http::check_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_call_spans_follow_the_conventions() {
    grpc::check_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_calls_answered_in_plain_http_follow_the_conventions() {
    grpc_in_http::check_all().await;
}
