//! Ten thousand concurrent requests over HTTP/1.1 and HTTP/2, some from clients that disconnect.
//!
//! Every handler waits until all requests have arrived. Each request gets a random kind before it
//! starts. A client disconnects only from a response that cannot end, so each outcome is known.

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

/// Half of the requests have an HTTP/1.1 connection each; the others are HTTP/2 streams.
const REQUESTS: usize = 10_000;
/// The number of HTTP/2 streams per connection.
const STREAMS: usize = 100;

/// A response, the moment at which the client disconnects, and the expected outcome.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    status: u16,
    steps: &'static [Step],
    disconnects: Disconnects,
    outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Disconnects {
    Never,
    /// While the handler, which never responds, is pending.
    BeforeHead,
    /// After the first frame.
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
    disconnecting("hangs", &[], Disconnects::BeforeHead),
    disconnecting("silent", &[Data(9), Silent], Disconnects::Midway),
    disconnecting("busy", &[Forever(512)], Disconnects::Midway),
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
        disconnects: Disconnects::Never,
        outcome,
    }
}

const fn disconnecting(
    name: &'static str,
    steps: &'static [Step],
    disconnects: Disconnects,
) -> Kind {
    Kind {
        disconnects,
        ..kind(name, 200, steps, "ABORTED(client_disconnect)")
    }
}

/// One request: its id, which is its query, and its kind.
#[derive(Debug)]
struct Plan {
    id: usize,
    kind: Kind,
}

#[test]
fn ten_thousand_concurrent_requests_end_with_the_outcome_of_their_kind() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let layer = meters
        .on(recorder.layer())
        .active_requests(true)
        .body_sizes(true);
    let shared: Arc<str> = Arc::from("an attribute value that each span shares");

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
    // Drops all connections.
    drop(runtime);

    assert_eq!((recorder.starts(), recorder.ends()), (REQUESTS, REQUESTS));
    let spans = recorder.spans();
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
    // Both sums have the rounding errors of ten thousand durations.
    assert!((measured - seconds).abs() < 1e-3, "{measured}, {seconds}");
    let sizes = meters.of("http.server.response.body.size");
    let measured: f64 = sizes.iter().map(Series::sum).sum();
    assert_eq!(measured.to_string(), bytes.to_string());
    recorder.forget();
    assert_eq!(
        Arc::strong_count(&shared),
        1,
        "no data of a request is left"
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
            let (arrival, arrived) = oneshot::channel();
            waiting.insert(*id, (*kind, arrival));
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
        let (kind, arrival) = waiting
            .lock()
            .expect("not poisoned")
            .remove(&id)
            .expect("each request comes once");
        let all_arrived = Arc::clone(&all_arrived);
        async move {
            all_arrived.wait().await;
            if kind.disconnects == Disconnects::BeforeHead {
                arrival.send(()).expect("the client waits for this");
                std::future::pending::<()>().await;
            }
            let body = ScriptedBody::new(kind.steps.iter().cloned());
            Ok::<_, Infallible>(response(kind.status, body))
        }
    }));
    tokio::spawn(async move {
        // Connections end with an error if a client disconnects or a body fails.
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
    // Closes the connection, so that the server notices the disconnect.
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
    // Dropped after the last stream, so that the resets are still sent.
    drop(sender);
    let _ = connection.await;
}

fn request(id: usize) -> Request<Empty<Bytes>> {
    let uri = format!("http://example.com/?{id}");
    Request::get(uri).body(Empty::new()).expect("a request")
}

/// Reads the response, or the part of it that the client of this kind reads.
async fn receive(
    response: impl Future<Output = hyper::Result<Response<Incoming>>>,
    kind: Kind,
    arrived: oneshot::Receiver<()>,
) {
    if kind.disconnects == Disconnects::BeforeHead {
        tokio::select! {
            response = response => panic!("{} has responded: {response:?}", kind.name),
            arrived = arrived => arrived.expect("the handler has begun"),
        }
        return;
    }
    let is_complete = !kind.name.starts_with("body-");
    let response = match response.await {
        Ok(response) => response,
        // A body that fails before the head is flushed suppresses the head.
        Err(_) if !is_complete => return,
        Err(error) => panic!("{}: {error}", kind.name),
    };
    assert_eq!(response.status().as_u16(), kind.status, "{}", kind.name);
    let mut body = response.into_body();
    if kind.disconnects == Disconnects::Midway {
        let frame = body.frame().await.expect("a frame");
        assert!(frame.is_ok_and(|frame| frame.is_data()));
        return;
    }
    assert_eq!(body.collect().await.is_ok(), is_complete, "{}", kind.name);
}
