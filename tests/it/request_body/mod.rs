//! `RequestBodyLayer`: clients that disconnect before they have sent their request, and other failures of a request's
//! body. Real servers, on sockets.

mod clients;
mod disconnects;
mod grpc;
mod other_failures;
mod scripted;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::map_request;
use axum::response::IntoResponse as _;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tower_api_span::{ApiSpanLayer, RequestBodyLayer};
use tower_layer::Stack;

use crate::matrix::observers::{Observations, ObservedLayer};
use crate::support::recorder::{Recorder, Seen};

/// A running server.
struct Server {
    recorder: Recorder,
    /// What passed outside and inside of the two layers.
    observations: Observations,
    address: SocketAddr,
    /// Notified when a handler has read a frame of its request.
    read: Arc<Notify>,
}

/// Serves the handlers of [`router`], inside what `wrap` adds and the two layers.
async fn serve(wrap: impl FnOnce(Router) -> Router) -> Server {
    let recorder = Recorder::new();
    let read = Arc::new(Notify::new());
    let app = wrap(router());
    let layers = Stack::new(RequestBodyLayer::new(), recorder.layer());
    let (layers, observations) = ObservedLayer::around(layers, &recorder);
    let address = listen(observed(app, &read).layer(layers)).await;
    Server {
        recorder,
        observations,
        address,
        read,
    }
}

async fn listen(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await.expect("a listener") });
    address
}

impl Server {
    /// Waits for the span of the only request. Checks that the layers have changed neither request nor response.
    async fn span(&self) -> Seen {
        assert!(self.recorder.wait_for(1).await, "the span ends");
        self.observations.wait_until_same().await;
        self.recorder.only()
    }
}

/// Handlers that read their request in different ways.
fn router() -> Router {
    let fails = async |body: Body| status_of(body, StatusCode::OK, StatusCode::BAD_GATEWAY).await;
    let ignores =
        async |body: Body| status_of(body, StatusCode::NO_CONTENT, StatusCode::NO_CONTENT).await;
    Router::new()
        .route("/json", post(async |_: Json<serde_json::Value>| "ok"))
        .route("/raw", post(async |body: Bytes| body))
        .route("/echo", post(async |body: Body| body))
        .route("/fails", post(fails))
        .route("/ignores", post(ignores))
}

/// Notifies `read` of each frame that a handler reads.
fn observed(app: Router, read: &Arc<Notify>) -> Router {
    let read = Arc::clone(read);
    app.layer(map_request(move |request: Request| {
        let read = Arc::clone(&read);
        std::future::ready(request.map(|body| {
            Body::new(body.map_frame(move |frame| {
                read.notify_one();
                frame
            }))
        }))
    }))
}

/// A reverse proxy: passes its request on to the handler `/raw` of another server.
fn proxy(upstream: SocketAddr) -> Router {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let forward = move |request: Request| {
        let forwarded = http::Request::post(format!("http://{upstream}/raw"));
        let forwarded = forwarded.body(request.into_body()).expect("a request");
        let client = client.clone();
        async move {
            match client.request(forwarded).await {
                Ok(response) => response.into_response(),
                Err(_) => StatusCode::BAD_GATEWAY.into_response(),
            }
        }
    };
    Router::new().route("/proxy", post(forward))
}

/// Reads a request, and answers with one of two statuses and no body.
async fn status_of(body: Body, whole: StatusCode, broken: StatusCode) -> StatusCode {
    match body.collect().await {
        Ok(_) => whole,
        Err(_) => broken,
    }
}

#[tokio::test]
async fn without_the_layer_the_handlers_answer_decides() {
    let recorder = Recorder::new();
    let read = Arc::new(Notify::new());
    let layer: ApiSpanLayer = recorder.layer();
    let address = listen(observed(router(), &read).layer(layer)).await;
    clients::Cut::Http1 {
        is_chunked: false,
        is_abortive: false,
    }
    .send(address, "/fails", &read)
    .await;
    assert!(recorder.wait_for(1).await);
    let span = recorder.only();
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(
        span.attribute("http.response.status_code").as_deref(),
        Some("502")
    );
}
