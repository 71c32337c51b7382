//! The layer held against real servers and real clients: what did the client get, and what does the
//! span say?
//!
//! Every test prints its results as a table:
//! `cargo test --all-features --test it -- matrix --nocapture`

mod exchanges;
mod expected;
mod got;
pub mod grpc;
mod handler;
mod http1;
mod http2;
mod leavers;
mod leavings;
mod observe;
mod responses;
mod routers;
mod scenes;
mod servers;
mod table;
mod tunnels;

use std::panic;
use std::sync::Once;

/// A runtime as servers have it, with more than one thread.
fn run<F: Future>(future: F) -> F::Output {
    quiet();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// Keeps hyper's complaint about a wrong Content-Length, which is wanted here, out of the output.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let text = info.payload().downcast_ref::<String>();
            let is_wanted = |text: &String| text.starts_with("payload claims content-length");
            if !text.is_some_and(is_wanted) {
                hook(info);
            }
        }));
    });
}

#[test]
fn responses() {
    run(responses::all());
}

#[test]
fn exchanges() {
    run(exchanges::all());
}

#[test]
fn leavings() {
    run(leavings::all());
}

#[test]
fn grpc_calls() {
    run(grpc::all());
}
