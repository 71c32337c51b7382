//! Servers, proxies and instrumentations. Each test is a request over a real connection on loopback. The comment at a
//! row or a test names the report.

mod access_log;
mod bodies;
mod connections;
mod disconnects;
mod forwarded;
mod grpc;
mod metrics;
mod routes;
mod statuses;
mod targets;
mod tasks;
mod trace_ids;
mod unix_sockets;
mod upgrades;

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::recorder::{Recorder, Seen};

/// Serves an application until the runtime is dropped, and returns its address.
async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let make = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async { axum::serve(listener, make).await });
    address
}

/// Opens a connection and sends bytes.
async fn connect_and_send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("the server reads");
    stream
}

/// Sends bytes, and returns all that the server answers until it closes the connection.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = connect_and_send(address, bytes).await;
    let mut answer = Vec::new();
    // Without an answer the server may reset the connection.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Returns the status of an HTTP/1 answer, or `None` without one.
fn status_of(answer: &str) -> Option<u16> {
    answer.split(' ').nth(1)?.parse().ok()
}

/// Returns a request with the last head of its connection.
fn request(line: &str, headers: &str) -> Vec<u8> {
    format!("{line} HTTP/1.1\r\n{headers}connection: close\r\n\r\n").into_bytes()
}

/// Waits until all spans have ended, and returns the only one.
async fn only(recorder: &Recorder) -> Seen {
    recorder.all_ended().await;
    recorder.only()
}
