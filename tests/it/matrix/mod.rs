//! End-to-end tests: real servers, real clients, and the result of each client against its span.
//!
//! Each test prints its results as a table:
//! `cargo test --all-features --test it -- matrix --nocapture`

mod client_result;
mod connections;
mod disconnecting_clients;
mod disconnects;
mod expected;
pub mod grpc;
mod handler;
mod http1;
mod http2;
mod observe;
pub mod observers;
mod responses;
mod routers;
mod scenarios;
mod servers;
mod table;
mod tunnels;

use std::panic;
use std::sync::Once;

/// Runs a future on a multi-threaded runtime, as servers do.
fn run<F: Future>(future: F) -> F::Output {
    silence_length_panics();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Keeps hyper's panics about a wrong Content-Length, which some cases provoke, out of the output.
pub fn silence_length_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            let is_expected = |text: &String| text.starts_with("payload claims content-length");
            if !text.is_some_and(is_expected) {
                hook(info);
            }
        }));
    });
}
