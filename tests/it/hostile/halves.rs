//! Clients of HTTP/1.1 that close their half of the connection after the request, as `nc -N` does. To
//! hyper that is a client that has left, unless its server is told otherwise.

use axum::body::Body;
use http::Response;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::raw::{GET, LAST_GET};
use super::{LEFT, alone, service, settle};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Pending, Silent};
use crate::support::recorder::{Recorder, Seen};

/// A body of two frames, the second of which comes later.
const TWO: &[Step] = &[Data(5), Pending, Data(5)];
const NEVER: &[Step] = &[Data(5), Silent];

/// When the client closes its half.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Closes {
    /// With the request.
    AtOnce,
    /// When the handler is at work, or has answered.
    Later,
}
use Closes::{AtOnce, Later};

struct Case {
    rule: &'static str,
    /// What the server is told: that half a connection is one.
    half_close: bool,
    closes: Closes,
    /// `None` for a handler that never answers.
    steps: Option<&'static [Step]>,
    /// How many bytes of the body the client gets.
    bytes: usize,
    /// `None` if the handler is not even called.
    outcome: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case {
        rule: "half a connection is none: a FIN with the request, and the service is not called",
        half_close: false,
        closes: AtOnce,
        steps: Some(TWO),
        bytes: 0,
        outcome: None,
    },
    Case {
        rule: "half a connection is none: a FIN while the handler works",
        half_close: false,
        closes: Later,
        steps: None,
        bytes: 0,
        outcome: Some(LEFT),
    },
    Case {
        rule: "half a connection is none: a FIN while the body is silent",
        half_close: false,
        closes: Later,
        steps: Some(NEVER),
        bytes: 5,
        outcome: Some(LEFT),
    },
    Case {
        rule: "half a connection is one: a FIN with the request",
        half_close: true,
        closes: AtOnce,
        steps: Some(TWO),
        bytes: 10,
        outcome: Some("DEPARTED"),
    },
    Case {
        rule: "half a connection is one: the client stays, and so does the span",
        half_close: true,
        closes: Later,
        steps: Some(NEVER),
        bytes: 5,
        outcome: None,
    },
];

#[test]
fn a_half_closed_client_has_left_unless_the_server_is_told_otherwise() {
    for case in CASES {
        alone().block_on(half_closed(case));
    }
}

async fn half_closed(case: &Case) {
    let Case { rule, steps, .. } = *case;
    let at = Recorder::new();
    let service = service(Some(&at.layer()), move |_| async move {
        match steps {
            Some(steps) => Response::new(Body::new(ScriptedBody::new(steps.iter().cloned()))),
            None => std::future::pending().await,
        }
    });
    let (mut client, server) = duplex(1 << 16);
    let connection = http1::Builder::new()
        .half_close(case.half_close)
        .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
    let connection = tokio::spawn(connection);
    let request = if case.steps == Some(TWO) {
        LAST_GET
    } else {
        GET
    };
    client.write_all(request).await.expect("the server reads");
    if case.closes == Later {
        settle().await;
        assert_eq!((at.starts(), at.ends()), (1, 0), "{rule}");
    }
    client.shutdown().await.expect("half a connection");
    settle().await;
    let stays = case.half_close && case.closes == Later;
    if stays {
        assert_eq!((at.starts(), at.ends()), (1, 0), "{rule}");
        // Nobody hears of it, and nothing is written: the server's own end is the only one.
        drop(client);
        settle().await;
        assert_eq!(at.ends(), 0, "{rule}");
        connection.abort();
        settle().await;
        assert_eq!(at.only().outcome(), LEFT, "{rule}");
        return;
    }
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.expect("a pipe");
    let bytes = answer.split(|byte| *byte == b'x').count() - 1;
    assert_eq!(bytes, case.bytes, "{rule}");
    let outcomes: Vec<_> = at
        .spans()
        .into_iter()
        .map(|span| Seen(span).outcome())
        .collect();
    assert_eq!(at.starts(), at.ends(), "{rule}");
    assert_eq!(outcomes, Vec::from_iter(case.outcome), "{rule}");
}
