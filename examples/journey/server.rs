//! The server: axum with the layer, and a handler for each way to end.

use std::future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::panic_any;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::MethodRouter;
use futures_util::stream::{self, StreamExt};
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tower_api_span::{ApiSpanLayer, SpanHandle};

/// A route that may tell the client that its handler is running.
pub(crate) type Route = MethodRouter<Arc<Notify>>;

pub(crate) const GREETING: &str = "Hello, world\n";
const TOKEN: &str = "token ";
/// How many tokens a stream has.
pub(crate) const TOKENS: u32 = 3;
pub(crate) const STREAM_BYTES: usize = TOKENS as usize * TOKEN.len();
/// Before each token, and before what follows the last one. It also gives the server the occasion
/// to flush: it drops what it has not yet written when a body fails.
pub(crate) const PAUSE: Duration = Duration::from_millis(5);

/// The payload of the panics that belong to a scenario.
pub(crate) struct IntendedPanic;

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Told when a handler that sleeps has been called.
    pub(crate) handler_entered: Arc<Notify>,
    stop: oneshot::Sender<()>,
    stopped: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves these routes on a free port of the loopback interface.
    pub(crate) async fn start(
        provider: &SdkTracerProvider,
        routes: impl Iterator<Item = (&'static str, Route)>,
    ) -> io::Result<Self> {
        let handler_entered = Arc::new(Notify::new());
        let app = routes
            .fold(Router::new(), |app, (path, route)| app.route(path, route))
            .layer(ApiSpanLayer::new().tracer_provider(provider))
            .with_state(Arc::clone(&handler_entered));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, told_to_stop) = oneshot::channel();
        let serving = axum::serve(listener, app).with_graceful_shutdown(async {
            // A sender that is dropped means the same.
            let _ = told_to_stop.await;
        });
        Ok(Self {
            address,
            handler_entered,
            stop,
            stopped: tokio::spawn(serving.into_future()),
        })
    }

    /// Stops once the last connection is done with.
    pub(crate) async fn stop(self) -> io::Result<()> {
        // A server that is not listening to this has stopped already, and `stopped` says why.
        let _ = self.stop.send(());
        self.stopped.await?
    }
}

pub(crate) async fn whole() -> &'static str {
    GREETING
}

pub(crate) async fn streamed() -> Body {
    tokens_and_then(async { None })
}

pub(crate) async fn content_length() -> impl IntoResponse {
    (
        [(CONTENT_LENGTH, STREAM_BYTES)],
        tokens_and_then(async { None }),
    )
}

pub(crate) async fn invalid() -> StatusCode {
    StatusCode::BAD_REQUEST
}

pub(crate) async fn broken() -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

pub(crate) async fn body_error() -> Body {
    tokens_and_then(async { Some(io::Error::other("the engine has gone away")) })
}

/// Ends as it should on the wire; that it was cut short is known to the handler alone.
pub(crate) async fn verdict(span: SpanHandle) -> Body {
    tokens_and_then(async move {
        span.abort("generation_error", "the engine ran out of memory");
        None
    })
}

/// Never answers, so that nothing but the client's leaving can end the request.
pub(crate) async fn sleeps(State(entered): State<Arc<Notify>>) -> StatusCode {
    entered.notify_one();
    future::pending().await
}

/// Never ends its body, so that nothing but the client's leaving can end the request.
pub(crate) async fn falls_silent() -> Body {
    tokens_and_then(future::pending())
}

pub(crate) async fn handler_panic() -> StatusCode {
    panic_any(IntendedPanic)
}

pub(crate) async fn body_panic() -> Body {
    tokens_and_then(async { panic_any(IntendedPanic) })
}

/// A stream of tokens that ends as `last` says: with an error or without.
fn tokens_and_then(last: impl Future<Output = Option<io::Error>> + Send + 'static) -> Body {
    let tokens = stream::iter(0..TOKENS).then(async |_| {
        sleep(PAUSE).await;
        Ok(TOKEN)
    });
    let last = stream::once(async {
        sleep(PAUSE).await;
        last.await.map(Err)
    });
    Body::from_stream(tokens.chain(last.filter_map(future::ready)))
}
