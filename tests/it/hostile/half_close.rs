//! HTTP/1.1 clients that shut down their sending half after the request, as `nc -N` does. hyper treats that as
//! a disconnect unless `half_close` is on.

use axum::body::Body;
use http::Response;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

use super::raw::{GET, LAST_GET};
use super::{CLIENT_DISCONNECT, current_thread_runtime, run_until_idle, service};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Pending, Silent};
use crate::support::recorder::{Recorder, Seen};

/// A body of two frames. The second one is pending at first.
const TWO_FRAMES: &[Step] = &[Data(5), Pending, Data(5)];
const SILENT_BODY: &[Step] = &[Data(5), Silent];

/// When the client closes its half.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Closes {
    WithRequest,
    /// While the handler runs, or after it has responded.
    Later,
}
use Closes::{Later, WithRequest};

struct Case {
    rule: &'static str,
    /// The server's `half_close` setting.
    half_close: bool,
    closes: Closes,
    /// The body. `None` if the handler never responds.
    steps: Option<&'static [Step]>,
    /// The body bytes that the client receives.
    bytes: usize,
    /// `None` if the handler is not called, or the span stays open.
    outcome: Option<&'static str>,
}

const CASES: &[Case] = &[
    Case {
        rule: "half_close off: with a FIN in the request, the service is not called",
        half_close: false,
        closes: WithRequest,
        steps: Some(TWO_FRAMES),
        bytes: 0,
        outcome: None,
    },
    Case {
        rule: "half_close off: a FIN while the handler runs is a disconnect",
        half_close: false,
        closes: Later,
        steps: None,
        bytes: 0,
        outcome: Some(CLIENT_DISCONNECT),
    },
    Case {
        rule: "half_close off: a FIN while the body is silent is a disconnect",
        half_close: false,
        closes: Later,
        steps: Some(SILENT_BODY),
        bytes: 5,
        outcome: Some(CLIENT_DISCONNECT),
    },
    Case {
        rule: "half_close on: with a FIN in the request, the response departs",
        half_close: true,
        closes: WithRequest,
        steps: Some(TWO_FRAMES),
        bytes: 10,
        outcome: Some("DEPARTED"),
    },
    Case {
        rule: "half_close on: after a later FIN, the span stays open",
        half_close: true,
        closes: Later,
        steps: Some(SILENT_BODY),
        bytes: 5,
        outcome: None,
    },
];

#[test]
fn a_half_close_is_a_client_disconnect_unless_the_server_allows_it() {
    for case in CASES {
        current_thread_runtime().block_on(check_half_close(case));
    }
}

async fn check_half_close(case: &Case) {
    let Case { rule, steps, .. } = *case;
    let recorder = Recorder::new();
    let service = service(Some(&recorder.layer()), move |_| async move {
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
    let request = if case.steps == Some(TWO_FRAMES) {
        LAST_GET
    } else {
        GET
    };
    client.write_all(request).await.expect("the server reads");
    if case.closes == Later {
        run_until_idle().await;
        assert_eq!((recorder.starts(), recorder.ends()), (1, 0), "{rule}");
    }
    client.shutdown().await.expect("a half close");
    run_until_idle().await;
    let stays_open = case.half_close && case.closes == Later;
    if stays_open {
        assert_eq!((recorder.starts(), recorder.ends()), (1, 0), "{rule}");
        // hyper reads and writes nothing, so it does not detect the disconnect. The span ends with the server.
        drop(client);
        run_until_idle().await;
        assert_eq!(recorder.ends(), 0, "{rule}");
        connection.abort();
        run_until_idle().await;
        assert_eq!(recorder.only().outcome(), CLIENT_DISCONNECT, "{rule}");
        return;
    }
    let mut received = Vec::new();
    client.read_to_end(&mut received).await.expect("a pipe");
    let bytes = received.split(|byte| *byte == b'x').count() - 1;
    assert_eq!(bytes, case.bytes, "{rule}");
    let outcomes: Vec<_> = recorder
        .spans()
        .into_iter()
        .map(|span| Seen(span).outcome())
        .collect();
    assert_eq!(recorder.starts(), recorder.ends(), "{rule}");
    assert_eq!(outcomes, Vec::from_iter(case.outcome), "{rule}");
}
