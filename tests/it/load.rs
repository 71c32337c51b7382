//! Ten thousand requests of all kinds at once, over HTTP/1.1 and HTTP/2, with clients that leave.
//!
//! Every handler waits until all requests have arrived, so that "at once" is true. What a client
//! does is decided at random before it starts, and only where the response cannot be over by itself
//! does it leave; so each outcome is known.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry::{KeyValue, StringValue, Value};
use proptest::prelude::RngExt as _;
use tokio::io::{DuplexStream, duplex};
use tokio::sync::{Barrier, oneshot};
use tokio::task::JoinSet;
use tower::service_fn;
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data, Error, Forever, Panic, Pending, Silent};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen, is_server};
use crate::support::response;

/// Half of them a connection each, over HTTP/1.1; the others as streams of HTTP/2.
const REQUESTS: usize = 10_000;
const STREAMS: usize = 100;

/// What the handler does, what the client does, and what must come of it.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    status: u16,
    steps: &'static [Step],
    leaves: Leaves,
    outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    Never,
    /// While the handler works, which it does for ever.
    BeforeHead,
    /// With the first frame.
    Midway,
}

const KINDS: &[Kind] = &[
    kind("whole", 200, &[Data(9), Pending, Data(9)], "DEPARTED"),
    kind("empty", 204, &[], "DEPARTED"),
    kind("not-found", 404, &[Data(1)], "ABORTED(client_error)"),
    kind("invalid", 422, &[], "ABORTED(validation_error)"),
    kind("fails", 500, &[Data(1)], "ABORTED(exception)"),
    kind(
        "body-fails",
        200,
        &[Data(9), Pending, Error],
        "ABORTED(exception)",
    ),
    kind(
        "body-panics",
        200,
        &[Data(9), Pending, Panic],
        "ABORTED(panic)",
    ),
    leaving("hangs", &[], Leaves::BeforeHead),
    leaving("silent", &[Data(9), Silent], Leaves::Midway),
    leaving("busy", &[Forever(512)], Leaves::Midway),
];

const fn kind(
    name: &'static str,
    status: u16,
    steps: &'static [Step],
    outcome: &'static str,
) -> Kind {
    Kind {
        name,
        status,
        steps,
        leaves: Leaves::Never,
        outcome,
    }
}

const fn leaving(name: &'static str, steps: &'static [Step], leaves: Leaves) -> Kind {
    Kind {
        leaves,
        ..kind(name, 200, steps, "ABORTED(client_disconnect)")
    }
}

/// One request: what is sent with it, and told to its handler.
#[derive(Debug)]
struct Plan {
    id: usize,
    kind: Kind,
}

#[test]
fn ten_thousand_requests_at_once_end_as_their_clients_did() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (at, meters) = (Recorder::new(), Meters::new());
    let layer = meters.on(at.layer()).active_requests(true).body_sizes(true);
    let shared: Arc<str> = Arc::from("what a span holds while it is open");

    let mut random = proptest::test_runner::TestRng::deterministic_rng(
        proptest::test_runner::RngAlgorithm::ChaCha,
    );
    let plans: Vec<Plan> = (0..REQUESTS)
        .map(|id| Plan {
            id,
            kind: KINDS[random.random_range(0..KINDS.len())],
        })
        .collect();
    let expected: HashMap<usize, Kind> = plans.iter().map(|plan| (plan.id, plan.kind)).collect();

    let served = run(&layer, &shared, plans);
    let limit = Duration::from_secs(120);
    runtime
        .block_on(async { tokio::time::timeout(limit, served).await })
        .expect("all requests have ended");
    // Nothing of any connection lives on.
    drop(runtime);

    assert_eq!((at.starts(), at.ends()), (REQUESTS, REQUESTS));
    let spans = at.spans();
    assert_eq!(spans.len(), REQUESTS);
    let (mut seconds, mut bytes) = (0.0, 0);
    for span in spans {
        assert!(is_server(&span));
        let span = Seen(span);
        seconds += span.duration().as_secs_f64();
        let size = span.attribute("http.response.body.size");
        bytes += size.map_or(0, |size| size.parse::<u64>().expect("a number"));
        let id = span.attribute("url.query").expect("an id");
        let kind = expected[&id.parse::<usize>().expect("a number")];
        assert_eq!(span.outcome(), kind.outcome, "{}", kind.name);
        assert_eq!(span.attribute("test.held").as_deref(), Some(&*shared));
    }
    assert_eq!(meters.active(), 0);
    let durations = meters.of("http.server.request.duration");
    let count: u64 = durations.iter().map(Series::count).sum();
    assert_eq!(count, REQUESTS as u64);
    let measured: f64 = durations.iter().map(Series::sum).sum();
    // Of ten thousand roundings, and of seconds that each waited for all others.
    assert!((measured - seconds).abs() < 1e-3, "{measured}, {seconds}");
    let sizes = meters.of("http.server.response.body.size");
    let measured: f64 = sizes.iter().map(Series::sum).sum();
    assert_eq!(measured.to_string(), bytes.to_string());
    at.forget();
    assert_eq!(
        Arc::strong_count(&shared),
        1,
        "no slot and no span lives on"
    );
}

async fn run(layer: &ApiSpanLayer, shared: &Arc<str>, plans: Vec<Plan>) {
    let mut clients = JoinSet::new();
    let (for_http1, for_http2) = plans.split_at(REQUESTS / 2);
    let all_arrived = Arc::new(Barrier::new(REQUESTS));
    let connections = for_http1
        .chunks(1)
        .map(|plan| (plan, false))
        .chain(for_http2.chunks(STREAMS).map(|plans| (plans, true)));
    for (plans, is_http2) in connections {
        let (client, server) = duplex(4 * 1024);
        let mut waiting = HashMap::new();
        let mut requests = Vec::new();
        for Plan { id, kind } in plans {
            let (tells, arrived) = oneshot::channel();
            waiting.insert(*id, (*kind, tells));
            requests.push((*id, *kind, arrived));
        }
        serve(layer, shared, &all_arrived, server, waiting);
        if is_http2 {
            clients.spawn(http2_client(client, requests));
        } else {
            clients.spawn(http1_client(client, requests.remove(0)));
        }
    }
    clients.join_all().await;
}

type Waiting = HashMap<usize, (Kind, oneshot::Sender<()>)>;
type Sent = (usize, Kind, oneshot::Receiver<()>);

fn serve(
    layer: &ApiSpanLayer,
    shared: &Arc<str>,
    all_arrived: &Arc<Barrier>,
    io: DuplexStream,
    waiting: Waiting,
) {
    let (shared, all_arrived) = (Arc::clone(shared), Arc::clone(all_arrived));
    let waiting = Arc::new(std::sync::Mutex::new(waiting));
    let service = layer.layer(service_fn(move |request: Request<Incoming>| {
        let id: usize = request
            .uri()
            .query()
            .expect("an id")
            .parse()
            .expect("a number");
        let handle = SpanHandle::from_extensions(request.extensions());
        let held = Value::String(StringValue::from(Arc::clone(&shared)));
        handle.set_attribute(KeyValue::new("test.held", held));
        let (kind, tells) = waiting
            .lock()
            .expect("not poisoned")
            .remove(&id)
            .expect("each request comes once");
        let all_arrived = Arc::clone(&all_arrived);
        async move {
            all_arrived.wait().await;
            if kind.leaves == Leaves::BeforeHead {
                tells.send(()).expect("the client waits for this");
                std::future::pending::<()>().await;
            }
            let body = ScriptedBody::new(kind.steps.iter().cloned());
            Ok::<_, Infallible>(response(kind.status, body))
        }
    }));
    tokio::spawn(async move {
        // Clients that leave and bodies that fail end connections with errors, as they should.
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(io), TowerToHyperService::new(service))
            .await;
    });
}

async fn http1_client(io: DuplexStream, (id, kind, arrived): Sent) {
    let handshake = http1::handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.expect("a connection");
    let connection = tokio::spawn(connection);
    receive(sender.send_request(request(id)), kind, arrived).await;
    // What makes the server see that a client left: its socket is gone.
    connection.abort();
}

async fn http2_client(io: DuplexStream, requests: Vec<Sent>) {
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(io)).await;
    let (sender, connection) = handshake.expect("a connection");
    let connection = tokio::spawn(connection);
    let mut streams = JoinSet::new();
    for (id, kind, arrived) in requests {
        let mut sender = sender.clone();
        streams.spawn(async move {
            sender.ready().await.expect("room for a stream");
            receive(sender.send_request(request(id)), kind, arrived).await;
        });
    }
    streams.join_all().await;
    // With the last stream, so that resets are still sent.
    drop(sender);
    let _ = connection.await;
}

fn request(id: usize) -> Request<Empty<Bytes>> {
    let uri = format!("http://example.com/?{id}");
    Request::get(uri).body(Empty::new()).expect("a request")
}

/// Does what the client of this kind does, up to its leaving.
async fn receive(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    kind: Kind,
    arrived: oneshot::Receiver<()>,
) {
    if kind.leaves == Leaves::BeforeHead {
        tokio::select! {
            response = response => panic!("{} has answered: {response:?}", kind.name),
            arrived = arrived => arrived.expect("the handler has begun"),
        }
        return;
    }
    let is_whole = !kind.name.starts_with("body-");
    let response = match response.await {
        Ok(response) => response,
        // What breaks before its head has been flushed takes the head with it.
        Err(_) if !is_whole => return,
        Err(error) => panic!("{}: {error}", kind.name),
    };
    assert_eq!(response.status().as_u16(), kind.status, "{}", kind.name);
    let mut body = response.into_body();
    if kind.leaves == Leaves::Midway {
        let frame = body.frame().await.expect("a frame");
        assert!(frame.is_ok_and(|frame| frame.is_data()));
        return;
    }
    assert_eq!(body.collect().await.is_ok(), is_whole, "{}", kind.name);
}
