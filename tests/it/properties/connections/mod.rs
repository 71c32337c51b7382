//! Requests on one HTTP/2 connection whose client resets streams or disconnects at any point. An observer
//! around the layer sees what the server does with each response and reports it to the oracle, so the
//! outcome is determined although server and client race.

mod client;
mod observer;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tower_layer::Layer as _;

use super::config;
use super::interleaved::Spans;
use super::script::Script;
use super::single_request::{check, layer};
use super::strategies::scripts;
use crate::support::recorder::Recorder;
use client::{Read, send_all};
use observer::{Observations, Observed, Observer, serve};

/// The header with the number of a request.
const NUMBER: &str = "x-number";

/// A request, and what the client does with its response.
#[derive(Clone, Debug)]
struct Member {
    script: Arc<Script>,
    /// How often the client yields before it sends the request.
    delay: usize,
    /// The number of frames, with the head, after which it is reset; else it is read to the end.
    resets_after: Option<usize>,
    /// How often the client yields before the reset.
    reset_delay: usize,
}

#[derive(Clone, Debug)]
struct Connection {
    is_llm: bool,
    members: Vec<Member>,
    /// The flow-control window of each response, in bytes.
    window: u32,
    /// How often the client yields before it disconnects without a GOAWAY.
    disconnects_after: Option<usize>,
}

fn connections() -> impl Strategy<Value = Connection> {
    let member = (scripts(), 0..6_usize, option::of(0..5_usize), 0..4_usize);
    (
        any::<bool>(),
        vec(member, 1..6),
        prop_oneof![Just(4), Just(65_535)],
        option::weighted(0.2, 0..40_usize),
    )
        .prop_map(|(is_llm, members, window, disconnects_after)| Connection {
            is_llm,
            members: members
                .into_iter()
                .map(|(mut script, delay, resets_after, reset_delay)| {
                    script.is_llm = is_llm;
                    if script.method == Method::CONNECT {
                        // Scripts have a path, and CONNECT has none.
                        script.method = Method::GET;
                    }
                    Member {
                        script: Arc::new(script),
                        delay,
                        resets_after,
                        reset_delay,
                    }
                })
                .collect(),
            window,
            disconnects_after,
        })
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn requests_on_one_connection_end_once_and_as_observed(connection in connections()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(play(&connection));
    }
}

async fn play(connection: &Connection) {
    let at = Recorder::new();
    let observations = Observations::default();
    let members = Arc::new(connection.members.clone());
    let service = Observer {
        inner: layer(&at, connection.is_llm).layer(serve(&members, &observations)),
        observations: observations.clone(),
    };
    let (client, server) = tokio::io::duplex(1 << 12);
    let server = tokio::spawn(async move {
        let server = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
        // The client may have disconnected.
        let _ = server.await;
    });
    let reads = tokio::time::timeout(Duration::from_secs(120), send_all(connection, client))
        .await
        .expect("the client finishes");
    server.await.expect("the server does not panic");
    at.all_ended().await;

    let (spans, observed) = (Spans::recorded(&at), observations.lock());
    assert_eq!((at.starts(), at.ends()), (observed.len(), observed.len()));
    for (nr, Observed { oracle, span }) in observed.iter() {
        let span = spans.find(*span);
        check(span, oracle);
        let mut impossible = match reads[*nr] {
            Read::Complete => vec!["client_disconnect", "generator_exit", "panic"],
            Read::CompleteAsDeclared => vec![
                "client_disconnect",
                "generator_exit",
                "panic",
                "length_mismatch",
            ],
            Read::Broken | Read::Reset => Vec::new(),
        };
        let outcome = span.outcome();
        impossible.retain(|reason| outcome == format!("ABORTED({reason})"));
        // A complete gRPC response can carry this status.
        if span.attribute("rpc.status_code").as_deref() == Some("CANCELLED") {
            impossible.retain(|reason| *reason != "client_disconnect");
        }
        assert!(
            impossible.is_empty(),
            "{nr}: {:?}, but {outcome}",
            reads[*nr]
        );
    }
}
