//! The layer beside other middleware, outside it and inside it: the response is the same as without the layer.
//! Each stack is an axum application behind hyper on an in-memory pipe.

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

/// A middleware, a request, and the outcome with the layer outside and inside the middleware.
struct Case {
    rule: &'static str,
    middleware: fn(Router) -> Router,
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// The outcome, or `None` if the layer is not called.
    outside: Option<&'static str>,
    inside: Option<&'static str>,
}

const fn get_case(
    rule: &'static str,
    middleware: fn(Router) -> Router,
    path: &'static str,
    outside: &'static str,
    inside: &'static str,
) -> Case {
    Case {
        rule,
        middleware,
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
    let no_middleware = |app: Router| app;
    let disconnect = "ABORTED(client_disconnect)";
    let unread = "ABORTED(generator_exit)";
    vec![
        get_case(
            "compression, not accepted by the client",
            compression,
            "/large",
            "DEPARTED",
            "DEPARTED",
        ),
        Case {
            headers: &[("accept-encoding", "gzip")],
            ..get_case(
                "compression, which polls the body after its end",
                compression,
                "/large",
                "DEPARTED",
                "DEPARTED",
            )
        },
        get_case(
            "a handler within the timeout",
            timeout,
            "/large",
            "DEPARTED",
            "DEPARTED",
        ),
        // Inside, the response future is dropped. Outside, the timeout is a 408 response.
        get_case(
            "a handler after the timeout",
            timeout,
            "/slow",
            "ABORTED(client_error)",
            disconnect,
        ),
        get_case(
            "a body within the timeout",
            body_timeout,
            "/large",
            "DEPARTED",
            "DEPARTED",
        ),
        get_case(
            "a body after the timeout",
            body_timeout,
            "/stalls",
            "ABORTED(exception)",
            disconnect,
        ),
        get_case(
            "a panic that is caught",
            catch_panic,
            "/panics",
            "ABORTED(exception)",
            "ABORTED(panic)",
        ),
        // Inside, the handler's body is dropped unread.
        get_case(
            "a body that is replaced",
            replaced,
            "/large",
            "DEPARTED",
            unread,
        ),
        Case {
            headers: &[("origin", "https://example.com")],
            ..get_case(
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
            ..get_case(
                "a preflight request, answered by the middleware",
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
            ..get_case(
                "a body too large, rejected by the middleware",
                limit,
                "/large",
                "ABORTED(validation_error)",
                "",
            )
        },
        get_case("a file", no_middleware, "/file", "DEPARTED", "DEPARTED"),
        Case {
            headers: &[("range", "bytes=10-19")],
            ..get_case(
                "a range of a file",
                no_middleware,
                "/file",
                "DEPARTED",
                "DEPARTED",
            )
        },
        Case {
            headers: &[("range", "bytes=999999-")],
            ..get_case(
                "a range beyond a file",
                no_middleware,
                "/file",
                "ABORTED(client_error)",
                "ABORTED(client_error)",
            )
        },
        Case {
            method: "HEAD",
            ..get_case(
                "the head of a file",
                no_middleware,
                "/file",
                "DEPARTED",
                "DEPARTED",
            )
        },
        get_case(
            "server-sent events with keep-alives",
            no_middleware,
            "/events",
            "DEPARTED",
            "DEPARTED",
        ),
    ]
}

async fn replace(_: Response) -> Response {
    "another body".into_response()
}

/// Returns the application, which serves `file` at `/file`.
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

/// The response at the client: status, headers without the date, and the body, if it is complete.
#[derive(Debug, PartialEq)]
struct Received(StatusCode, HeaderMap, Result<Bytes, ()>);

async fn exchange(app: Router, case: &Case) -> Received {
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
    Received(parts.status, parts.headers, body.map_err(|_| ()))
}

/// Connects a client to an application.
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

/// Serves one connection and returns its client side.
pub fn serve(app: Router) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    tokio::spawn(async move {
        let service = TowerToHyperService::new(app);
        // The tests check the client side.
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(server), service)
            .await;
    });
    client
}

#[tokio::test(start_paused = true)]
async fn the_response_is_unchanged_and_the_outcome_depends_on_the_position_in_the_stack() {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&vec![b'f'; 100_000]).expect("written");
    for case in cases() {
        let app = app(file.path());
        let bare = exchange((case.middleware)(app.clone()), &case).await;
        for (place, expected) in [("outside", case.outside), ("inside", case.inside)] {
            let recorder = Recorder::new();
            let stack = if place == "outside" {
                (case.middleware)(app.clone()).layer(recorder.layer())
            } else {
                (case.middleware)(app.clone().layer(recorder.layer()))
            };
            let got = exchange(stack, &case).await;
            assert_eq!(got, bare, "{}, {place}", case.rule);
            recorder.all_ended().await;
            match expected {
                Some(outcome) => {
                    assert_eq!(recorder.only().outcome(), outcome, "{}, {place}", case.rule);
                }
                None => assert_eq!(recorder.starts(), 0, "{}, {place}", case.rule),
            }
        }
    }
}

#[tokio::test]
async fn a_web_socket_span_ends_with_the_handshake_and_the_socket_stays_open() {
    let recorder = Recorder::new();
    let echo = |upgrade: axum::extract::WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    let app = Router::new().route("/", get(echo)).layer(recorder.layer());
    let client = tokio_tungstenite::client_async("ws://example.com/", serve(app)).await;
    let (mut socket, response) = client.expect("a handshake");
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let span = recorder.only();
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
    assert_eq!((recorder.starts(), recorder.ends()), (1, 1));
}
