//! Beside the layers that people stack: nothing breaks, and where the layer stands decides what it
//! can know.
//!
//! Each stack is an axum application behind hyper on a pipe. A client gets from it the same with
//! the layer outside the neighbour, inside it, and without it.

use std::io::Write as _;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _, stream};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::io::{DuplexStream, duplex};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::services::ServeFile;
use tower_http::timeout::{ResponseBodyTimeoutLayer, TimeoutLayer};

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Silent};
use crate::support::recorder::Recorder;

const SECOND: Duration = Duration::from_secs(1);

/// A neighbour, a request, and what the span says outside and inside of it.
struct Case {
    rule: &'static str,
    neighbour: fn(Router) -> Router,
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// `None`: the neighbour answers without asking the layer.
    outside: Option<&'static str>,
    inside: Option<&'static str>,
}

const fn get_of(
    rule: &'static str,
    neighbour: fn(Router) -> Router,
    path: &'static str,
    outside: &'static str,
    inside: &'static str,
) -> Case {
    Case {
        rule,
        neighbour,
        method: "GET",
        path,
        headers: &[],
        outside: Some(outside),
        inside: Some(inside),
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let compression = |app: Router| app.layer(CompressionLayer::new());
    let timeout = |app: Router| {
        app.layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            SECOND,
        ))
    };
    let body_timeout = |app: Router| app.layer(ResponseBodyTimeoutLayer::new(SECOND));
    let catch_panic = |app: Router| app.layer(CatchPanicLayer::new());
    let cors = |app: Router| app.layer(CorsLayer::permissive());
    let limit = |app: Router| app.layer(RequestBodyLimitLayer::new(10));
    let replaced = |app: Router| app.layer(axum::middleware::map_response(replace));
    let none = |app: Router| app;
    let (left, gone) = ("ABORTED(client_disconnect)", "ABORTED(generator_exit)");
    vec![
        get_of(
            "nothing to compress",
            compression,
            "/large",
            "DEPARTED",
            "DEPARTED",
        ),
        Case {
            headers: &[("accept-encoding", "gzip")],
            ..get_of(
                "compression, which polls after None",
                compression,
                "/large",
                "DEPARTED",
                "DEPARTED",
            )
        },
        get_of(
            "a handler in time",
            timeout,
            "/large",
            "DEPARTED",
            "DEPARTED",
        ),
        // Inside, the time-out is somebody who gave up; outside, an answer.
        get_of(
            "a handler too late",
            timeout,
            "/slow",
            "ABORTED(client_error)",
            left,
        ),
        get_of(
            "a body in time",
            body_timeout,
            "/large",
            "DEPARTED",
            "DEPARTED",
        ),
        get_of(
            "a body too late",
            body_timeout,
            "/stalls",
            "ABORTED(exception)",
            left,
        ),
        get_of(
            "a panic that is caught",
            catch_panic,
            "/panics",
            "ABORTED(exception)",
            "ABORTED(panic)",
        ),
        // Inside, the body that the handler gave was never read.
        get_of(
            "a body that is replaced",
            replaced,
            "/large",
            "DEPARTED",
            gone,
        ),
        Case {
            headers: &[("origin", "https://example.com")],
            ..get_of(
                "a request across origins",
                cors,
                "/large",
                "DEPARTED",
                "DEPARTED",
            )
        },
        Case {
            method: "OPTIONS",
            headers: &[
                ("origin", "https://example.com"),
                ("access-control-request-method", "GET"),
            ],
            inside: None,
            ..get_of(
                "a preflight, which only the outside sees",
                cors,
                "/large",
                "DEPARTED",
                "",
            )
        },
        Case {
            method: "POST",
            headers: &[("content-length", "99")],
            inside: None,
            ..get_of(
                "a body too large, which only the outside sees",
                limit,
                "/large",
                "ABORTED(validation_error)",
                "",
            )
        },
        get_of("a file", none, "/file", "DEPARTED", "DEPARTED"),
        Case {
            headers: &[("range", "bytes=10-19")],
            ..get_of("a range of a file", none, "/file", "DEPARTED", "DEPARTED")
        },
        Case {
            headers: &[("range", "bytes=999999-")],
            ..get_of(
                "a range beyond a file",
                none,
                "/file",
                "ABORTED(client_error)",
                "ABORTED(client_error)",
            )
        },
        Case {
            method: "HEAD",
            ..get_of("the head of a file", none, "/file", "DEPARTED", "DEPARTED")
        },
        get_of(
            "events with keep-alives between them",
            none,
            "/events",
            "DEPARTED",
            "DEPARTED",
        ),
    ]
}

async fn replace(_: Response) -> Response {
    "something else".into_response()
}

/// The application. The file is its own source of bytes.
fn app(file: &std::path::Path) -> Router {
    let large = || async { "a line of text\n".repeat(300) };
    Router::new()
        .route("/large", get(large).post(large))
        .route(
            "/slow",
            get(|| async {
                std::future::pending::<()>().await;
            }),
        )
        .route(
            "/stalls",
            get(|| async { Response::new(Body::new(ScriptedBody::new([Data(5), Silent]))) }),
        )
        .route(
            "/panics",
            get(|| async {
                std::panic::resume_unwind(Box::new("the handler panics"));
                #[expect(unreachable_code, reason = "a handler has a response")]
                ""
            }),
        )
        .route("/events", get(events))
        .route_service("/file", ServeFile::new(file))
}

async fn events() -> impl axum::response::IntoResponse {
    let events = stream::iter(["one", "two", "[DONE]"]).then(|data| async move {
        tokio::time::sleep(3 * SECOND).await;
        Ok::<_, std::convert::Infallible>(Event::default().data(data))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(SECOND))
}

/// What a client gets: status, headers without the date, and the body or that it broke off.
#[derive(Debug, PartialEq)]
struct Got(StatusCode, HeaderMap, Result<Bytes, ()>);

async fn exchange(app: Router, case: &Case) -> Got {
    let (mut sender, _connection) = connect(app).await;
    let mut request = Request::builder()
        .method(case.method)
        .uri(case.path)
        .header("host", "example.com");
    for (name, value) in case.headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request");
    let response = sender.send_request(request).await.expect("a head");
    let (mut parts, body) = response.into_parts();
    parts.headers.remove("date");
    let body = body
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes);
    Got(parts.status, parts.headers, body.map_err(|_| ()))
}

/// A client's connection to an application.
async fn connect(
    app: Router,
) -> (
    http1::SendRequest<Empty<Bytes>>,
    tokio::task::JoinHandle<()>,
) {
    let handshake = http1::handshake(TokioIo::new(serve(app))).await;
    let (sender, connection) = handshake.expect("a connection");
    let connection = tokio::spawn(async move {
        connection.with_upgrades().await.unwrap_or_default();
    });
    (sender, connection)
}

/// Serves one connection; the client's end of it.
fn serve(app: Router) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    tokio::spawn(async move {
        let service = TowerToHyperService::new(app);
        // How the connection ends is for the client to see.
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(server), service)
            .await;
    });
    client
}

#[tokio::test(start_paused = true)]
async fn a_client_gets_the_same_and_the_span_says_what_its_place_can_know() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&vec![b'f'; 100_000]).expect("written");
    for case in cases() {
        let app = app(file.path());
        let bare = exchange((case.neighbour)(app.clone()), &case).await;
        for (place, expected) in [("outside", case.outside), ("inside", case.inside)] {
            let at = Recorder::new();
            let stack = if place == "outside" {
                (case.neighbour)(app.clone()).layer(at.layer())
            } else {
                (case.neighbour)(app.clone().layer(at.layer()))
            };
            let got = exchange(stack, &case).await;
            assert_eq!(got, bare, "{}, {place}", case.rule);
            at.all_ended().await;
            match expected {
                Some(outcome) => assert_eq!(at.only().outcome(), outcome, "{}, {place}", case.rule),
                None => assert_eq!(at.starts(), 0, "{}, {place}", case.rule),
            }
        }
    }
}

#[tokio::test]
async fn a_web_socket_ends_its_span_with_the_handshake_and_lives_on() {
    let at = Recorder::new();
    let echo = |upgrade: axum::extract::WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    let app = Router::new().route("/", get(echo)).layer(at.layer());
    let client = tokio_tungstenite::client_async("ws://example.com/", serve(app)).await;
    let (mut socket, response) = client.expect("a handshake");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let span = at.only();
    assert_eq!(span.outcome(), "DEPARTED");
    assert_eq!(
        span.attribute("http.response.status_code").as_deref(),
        Some("101")
    );
    for text in ["one", "two"] {
        socket.send(text.into()).await.expect("sent");
        let echoed = socket.next().await.expect("a message").expect("no error");
        assert_eq!(echoed.into_text().expect("a text").as_str(), text);
    }
    assert_eq!((at.starts(), at.ends()), (1, 1));
}
