//! Many requests on one HTTP/2 connection, whose client resets them, or leaves, at any point. A witness
//! outside of the layer sees what the server does with each response and tells the model of it: so the
//! outcome is known, however server and client have raced.

mod client;
mod witness;

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
use super::core::{check, layer};
use super::crowd::Spans;
use super::script::Script;
use super::scripts::scripts;
use crate::support::recorder::Recorder;
use client::{Read, converse};
use witness::{Seen, Witness, Witnessed, served};

/// The header in which a request has its number.
const NUMBER: &str = "x-number";

/// A request, and what the client does with it.
#[derive(Clone, Debug)]
struct Member {
    script: Arc<Script>,
    /// How often others go first.
    waits: usize,
    /// After how many frames, the head among them, it is reset; else it is read to its end.
    resets_after: Option<usize>,
    /// How long the reset takes its time.
    hesitates: usize,
}

#[derive(Clone, Debug)]
struct Connection {
    is_llm: bool,
    members: Vec<Member>,
    /// How much of each response the server may send before it is read.
    window: u32,
    /// After how much of all the client is gone without a word.
    leaves_after: Option<usize>,
}

fn connections() -> impl Strategy<Value = Connection> {
    let member = (scripts(), 0..6_usize, option::of(0..5_usize), 0..4_usize);
    (
        any::<bool>(),
        vec(member, 1..6),
        prop_oneof![Just(4), Just(65_535)],
        option::weighted(0.2, 0..40_usize),
    )
        .prop_map(|(is_llm, members, window, leaves_after)| Connection {
            is_llm,
            members: members
                .into_iter()
                .map(|(mut script, waits, resets_after, hesitates)| {
                    script.is_llm = is_llm;
                    if script.method == Method::CONNECT {
                        // Has no path, which scripts have.
                        script.method = Method::GET;
                    }
                    Member {
                        script: Arc::new(script),
                        waits,
                        resets_after,
                        hesitates,
                    }
                })
                .collect(),
            window,
            leaves_after,
        })
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn requests_on_one_connection_end_once_and_as_the_witness_says(connection in connections()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(play(&connection));
    }
}

async fn play(connection: &Connection) {
    let at = Recorder::new();
    let seen = Seen::default();
    let members = Arc::new(connection.members.clone());
    let service = Witness {
        inner: layer(&at, connection.is_llm).layer(served(&members, &seen)),
        seen: seen.clone(),
    };
    let (client, server) = tokio::io::duplex(1 << 12);
    let server = tokio::spawn(async move {
        let server = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
        // How the connection ends is not for this test.
        let _ = server.await;
    });
    let reads = tokio::time::timeout(Duration::from_secs(120), converse(connection, client))
        .await
        .expect("the client comes to its end");
    server.await.expect("the server does not panic");
    at.all_ended().await;

    let (spans, seen) = (Spans::of(&at), seen.lock());
    assert_eq!((at.starts(), at.ends()), (seen.len(), seen.len()));
    for (nr, Witnessed { oracle, span }) in seen.iter() {
        let span = spans.find(*span);
        check(span, oracle);
        let mut impossible = match reads[*nr] {
            Read::Whole => vec!["client_disconnect", "generator_exit", "panic"],
            Read::WholeAsDeclared => vec![
                "client_disconnect",
                "generator_exit",
                "panic",
                "length_mismatch",
            ],
            Read::Broken | Read::Reset => Vec::new(),
        };
        let outcome = span.outcome();
        impossible.retain(|reason| outcome == format!("ABORTED({reason})"));
        // A server may answer so itself, and whole.
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
