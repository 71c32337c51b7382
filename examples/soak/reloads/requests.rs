//! The requests: short ones, streams that outlast reloads, clients that leave, and failures.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use opentelemetry::KeyValue;
use tokio::time::{sleep, timeout};
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, Service as _, service_fn};
use tower_api_span::{ApiSpanLayer, Outcome};

use super::receivers::log_provider;
use super::records::Records;
use crate::metrics;
use crate::tag::NUMBER;

/// What a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Short,
    /// Five seconds.
    Stream,
    /// A minute and a half: three reloads.
    LongStream,
    /// The client leaves after three seconds.
    Leaves,
    ServerError,
    BodyFails,
}

impl Kind {
    pub(crate) fn new(request: u64) -> Self {
        match request % 20 {
            0 => Self::LongStream,
            1..=3 => Self::Stream,
            4 => Self::Leaves,
            5 => Self::ServerError,
            6 => Self::BodyFails,
            _ => Self::Short,
        }
    }

    /// Returns the intended outcome of the span.
    pub(crate) fn outcome(self) -> &'static str {
        match self {
            Self::Short | Self::Stream | Self::LongStream => "DEPARTED",
            Self::Leaves | Self::ServerError | Self::BodyFails => "ABORTED",
        }
    }

    /// Whether the layer emits a log event.
    fn has_log_event(self) -> bool {
        matches!(self, Self::Leaves | Self::BodyFails)
    }
}

type Service = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// Makes requests.
pub(crate) struct Client {
    records: Arc<Records>,
    service: Service,
    open: Arc<AtomicU64>,
}

impl Client {
    pub(crate) fn new(records: &Arc<Records>) -> Self {
        let completed = Arc::clone(records);
        let layer = ApiSpanLayer::new()
            .active_requests(true)
            .metric_attribute_keys([metrics::OUTCOME])
            .metric_attributes(|completion| {
                let is_departed = matches!(completion.outcome(), Some(Outcome::Departed));
                let outcome = if is_departed { "DEPARTED" } else { "ABORTED" };
                [metrics::outcome(outcome.to_owned())]
            })
            .logger_provider(&log_provider(records))
            .request_attributes(|request| {
                let number = request.extensions.get::<u64>().copied();
                let number = number.and_then(|number| i64::try_from(number).ok());
                number.map(|number| KeyValue::new(NUMBER, number))
            })
            .on_completion(move |_| {
                completed.completions.fetch_add(1, Ordering::SeqCst);
            });
        let service = layer.layer(service_fn(answer));
        let service =
            tower::util::MapResponse::new(service, |response: Response<_>| response.map(Body::new));
        Self {
            records: Arc::clone(records),
            service: BoxCloneSyncService::new(service),
            open: Arc::default(),
        }
    }

    /// Starts a request. It runs in a task of its own.
    pub(crate) fn start(&self) {
        let (records, open) = (Arc::clone(&self.records), Arc::clone(&self.open));
        let mut service = self.service.clone();
        open.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let number = records.begin();
            if Kind::new(number).has_log_event() {
                records.expected_log_events.fetch_add(1, Ordering::SeqCst);
            }
            let Ok(response) = service.call(request(number)).await;
            receive(response, Kind::new(number)).await;
            records.end(number);
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// Waits until no request is open.
    pub(crate) async fn wait_until_idle(&self) {
        while self.open.load(Ordering::SeqCst) > 0 {
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Makes requests, and waits until all have ended.
    pub(crate) async fn make_and_wait(&self, requests: u64) {
        for _ in 0..requests {
            self.start();
            tokio::task::yield_now().await;
        }
        self.wait_until_idle().await;
    }
}

/// Returns the trace of a request's caller.
pub(crate) fn callers_trace(request: u64) -> u128 {
    u128::from(request) + 1
}

fn request(number: u64) -> Request<Body> {
    let trace = callers_trace(number);
    let mut request = Request::get("/reload")
        .header(
            "traceparent",
            format!("00-{trace:032x}-b7ad6b7169203331-01"),
        )
        .body(Body::empty())
        .expect("all parts are well-formed");
    request.extensions_mut().insert(number);
    request
}

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let number = request.extensions().get::<u64>().copied();
    let kind = Kind::new(number.unwrap_or_default());
    let mut response = Response::new(match kind {
        Kind::Short | Kind::ServerError => Body::from("short"),
        Kind::Stream => frames(5, Duration::from_secs(1)),
        Kind::LongStream => frames(10, Duration::from_secs(9)),
        Kind::Leaves => frames(usize::MAX, Duration::from_secs(2)),
        Kind::BodyFails => Body::from_stream(stream::iter([
            Ok(Bytes::from_static(b"frame")),
            Err(io::Error::other("the engine has gone away")),
        ])),
    });
    if kind == Kind::ServerError {
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    }
    Ok(response)
}

fn frames(count: usize, pause: Duration) -> Body {
    let frames = stream::iter(0..count).then(move |_| async move {
        sleep(pause).await;
        Ok::<_, Infallible>("frame")
    });
    Body::from_stream(frames)
}

/// Reads a response to its end, or leaves it.
async fn receive(response: Response<Body>, kind: Kind) {
    let read = response.into_body().collect();
    let limit = if kind == Kind::Leaves {
        Duration::from_secs(3)
    } else {
        Duration::from_secs(1_000)
    };
    // The result is known from the kind. What counts is what the span has.
    let _ = timeout(limit, read).await;
}
