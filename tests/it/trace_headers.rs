//! The response headers `traceresponse` and `server-timing` carry the ids of the exported span.

use std::convert::Infallible;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_EXPOSE_HEADERS, ORIGIN, SERVER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use opentelemetry::trace::SpanContext;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::io::duplex;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_http::cors::{Any, CorsLayer};

use crate::support::recorder::{Recorder, w3c};
use crate::support::{CALLER, TRACE, called, handle_of};

const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Turns on all trace headers.
fn with_trace_headers(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer
        .traceresponse(true)
        .server_timing(true)
        .expose_trace_headers(true)
}

/// Returns all values of a header as text.
fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
    values.map(text).collect()
}

fn traceparent(span: &SpanContext) -> String {
    let flags = span.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
}

fn has_no_trace_header(headers: &HeaderMap) -> bool {
    [TRACERESPONSE, SERVER_TIMING, ACCESS_CONTROL_EXPOSE_HEADERS]
        .iter()
        .all(|name| !headers.contains_key(name))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Http1,
    Http2,
}

/// Sends a request with hyper through a pipe and returns the head of the response.
async fn head<S, B>(version: Version, service: S, request: Request<()>) -> (StatusCode, HeaderMap)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static,
{
    let (client, server) = duplex(64 * 1024);
    tokio::spawn(async move {
        let service = TowerToHyperService::new(service);
        // The client checks how the connection ends.
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection_with_upgrades(TokioIo::new(server), service)
            .await;
    });
    let (parts, ()) = request.into_parts();
    let mut request = Request::from_parts(parts, Empty::<Bytes>::new());
    let io = TokioIo::new(client);
    let response = match version {
        Version::Http1 => {
            let host = HeaderValue::from_static("example.com");
            request.headers_mut().insert("host", host);
            let (mut sender, connection) = http1::handshake(io).await.expect("a connection");
            tokio::spawn(connection.with_upgrades());
            sender.send_request(request).await
        }
        Version::Http2 => {
            let path = request.uri().path();
            let uri = format!("http://example.com{path}");
            *request.uri_mut() = uri.parse().expect("a target");
            let handshake = http2::handshake(TokioExecutor::new(), io).await;
            let (mut sender, connection) = handshake.expect("a connection");
            tokio::spawn(connection);
            sender.send_request(request).await
        }
    };
    let (parts, body) = response.expect("a response").into_parts();
    drop(body);
    (parts.status, parts.headers)
}

/// A service that responds with this status.
fn responding(
    status: u16,
) -> impl Service<
    Request<Incoming>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send,
> + Clone
+ Send
+ 'static {
    service_fn(move |_: Request<Incoming>| async move {
        let has_body = !matches!(status, 101 | 204 | 304);
        let body = Full::from(if has_body { "a body" } else { "" });
        let mut response = Response::new(body);
        *response.status_mut() = status.try_into().expect("a status");
        Ok(response)
    })
}

fn request(method: Method, path: &str) -> Request<()> {
    let request = Request::builder().method(method).uri(path);
    request.body(()).expect("a request")
}

#[tokio::test]
async fn every_kind_of_head_carries_the_ids_of_the_exported_span() {
    for version in [Version::Http1, Version::Http2] {
        for (method, status) in [
            (Method::GET, 200),
            (Method::HEAD, 200),
            (Method::GET, 204),
            (Method::GET, 304),
            (Method::GET, 404),
            (Method::GET, 500),
            (Method::GET, 101),
        ] {
            if (version, status) == (Version::Http2, 101) {
                // HTTP/2 has no 101 (RFC 9113, section 8.6).
                continue;
            }
            let recorder = Recorder::new();
            let layer = with_trace_headers(recorder.layer()).capture_response_headers([
                TRACERESPONSE,
                SERVER_TIMING,
                ACCESS_CONTROL_EXPOSE_HEADERS,
            ]);
            let service = layer.layer(responding(status));
            let (got, headers) = head(version, service, request(method.clone(), "/")).await;
            assert_eq!(got, status);
            recorder.all_ended().await;
            let span = recorder.only();
            let case = format!("{version:?} {method} {status}");
            let ids = traceparent(&span.0.span_context);
            assert!(ids.ends_with("-01"), "{case}");
            let timing = format!("traceparent;desc=\"{ids}\"");
            let exposed = ["traceresponse", "server-timing"]
                .map(str::to_owned)
                .to_vec();
            for (name, expected) in [
                (TRACERESPONSE, vec![ids]),
                (SERVER_TIMING, vec![timing]),
                (ACCESS_CONTROL_EXPOSE_HEADERS, exposed),
            ] {
                assert_eq!(values(&headers, &name), expected, "{case}");
                // The captured response headers are those that the client gets.
                let captured = span.value(&format!("http.response.header.{name}"));
                let opentelemetry::Array::String(captured) = (match captured {
                    Some(opentelemetry::Value::Array(values)) => values,
                    other => panic!("{case}: {name} is {other:?}"),
                }) else {
                    panic!("{case}: {name} is not a string array");
                };
                let captured: Vec<_> = captured.iter().map(ToString::to_string).collect();
                assert_eq!(captured, expected, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn each_setting_is_independent() {
    for (rule, layer, expected) in [
        (
            "neither",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            [0, 0, 0],
        ),
        (
            "only exposed",
            |layer| layer.expose_trace_headers(true),
            [0, 0, 0],
        ),
        (
            "traceresponse",
            |layer| layer.traceresponse(true),
            [1, 0, 0],
        ),
        (
            "server-timing",
            |layer| layer.server_timing(true),
            [0, 1, 0],
        ),
        (
            "traceresponse, exposed",
            |layer| layer.traceresponse(true).expose_trace_headers(true),
            [1, 0, 1],
        ),
        ("all", with_trace_headers, [1, 1, 2]),
        (
            "all, then turned off",
            |layer| {
                with_trace_headers(layer)
                    .traceresponse(false)
                    .server_timing(false)
            },
            [0, 0, 0],
        ),
    ] {
        for version in [Version::Http1, Version::Http2] {
            let recorder = Recorder::new();
            let service = layer(recorder.layer()).layer(responding(200));
            let (_, headers) = head(version, service, request(Method::GET, "/")).await;
            let names = [TRACERESPONSE, SERVER_TIMING, ACCESS_CONTROL_EXPOSE_HEADERS];
            let got = names.map(|name| values(&headers, &name).len());
            assert_eq!(got, expected, "{version:?}, {rule}");
            recorder.all_ended().await;
            assert_eq!(recorder.only().outcome(), "DEPARTED");
        }
    }
}

#[tokio::test]
async fn unsampled_span_is_reported_as_not_sampled() {
    let unsampled_caller = Recorder::new();
    let dropping_sampler = Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOff));
    for (recorder, request) in [
        (unsampled_caller, called("00")),
        (dropping_sampler, called("01")),
    ] {
        let (sender, mut inside) = tokio::sync::mpsc::unbounded_channel();
        let service = with_trace_headers(recorder.layer()).layer(service_fn(
            move |request: Request<Incoming>| {
                let mut headers = HeaderMap::new();
                handle_of(&request).inject(&mut headers);
                sender.send(headers).expect("the test waits");
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
                    "it",
                ))))
            },
        ));
        let (_, headers) = head(Version::Http1, service, request).await;
        let injected = inside.recv().await.expect("a request");
        let ids = values(&headers, &TRACERESPONSE);
        assert_eq!(
            ids,
            values(&injected, &HeaderName::from_static("traceparent"))
        );
        assert!(ids[0].starts_with(&format!("00-{TRACE}-")), "{ids:?}");
        assert!(
            ids[0].ends_with("-00") && !ids[0].contains(CALLER),
            "{ids:?}"
        );
        assert_eq!(recorder.starts(), 0);
    }
}

#[tokio::test]
async fn request_without_a_span_gets_no_trace_header() {
    let recorder = Recorder::new();
    let shut_down = SdkTracerProvider::default();
    shut_down.shutdown().expect("the first shutdown");
    let logger = opentelemetry_sdk::logs::SdkLoggerProvider::builder().build();
    let w3c = || ApiSpanLayer::new().propagator(w3c());
    for (rule, layer) in [
        ("filtered out", recorder.layer().filter(|_| false)),
        ("sampled out", recorder.layer().sample_rate(0.0)),
        (
            "no tracer",
            w3c().tracer_provider(&NoopTracerProvider::new()),
        ),
        (
            "a provider that is shut down",
            w3c().tracer_provider(&shut_down),
        ),
        ("no provider", w3c()),
        (
            "filtered out, with logs",
            recorder.layer().filter(|_| false).logger_provider(&logger),
        ),
        (
            "sampled out, with logs",
            recorder.layer().sample_rate(0.0).logger_provider(&logger),
        ),
        (
            "no tracer, with logs",
            w3c()
                .tracer_provider(&NoopTracerProvider::new())
                .logger_provider(&logger),
        ),
    ] {
        for request in [request(Method::GET, "/"), called("01")] {
            let service = with_trace_headers(layer.clone()).layer(responding(200));
            let (_, headers) = head(Version::Http1, service, request).await;
            assert!(has_no_trace_header(&headers), "{rule}: {headers:?}");
        }
    }
    assert_eq!(recorder.starts(), 0);
}

#[tokio::test]
async fn headers_set_by_the_handler_are_kept() {
    for version in [Version::Http1, Version::Http2] {
        let recorder = Recorder::new();
        let service =
            with_trace_headers(recorder.layer()).layer(service_fn(async |_: Request<Incoming>| {
                let mut response = Response::new(Full::<Bytes>::from("it"));
                let headers = response.headers_mut();
                for (name, value) in [
                    (TRACERESPONSE, "mine"),
                    (SERVER_TIMING, "db;dur=53"),
                    (SERVER_TIMING, "cache, app;dur=1"),
                    (SERVER, "journey"),
                    (ACCESS_CONTROL_EXPOSE_HEADERS, "x-a"),
                ] {
                    headers.append(name, HeaderValue::from_static(value));
                }
                Ok::<_, Infallible>(response)
            }));
        let (_, headers) = head(version, service, request(Method::GET, "/")).await;
        recorder.all_ended().await;
        let ids = traceparent(&recorder.only().0.span_context);
        let timing = format!("traceparent;desc=\"{ids}\"");
        assert_eq!(values(&headers, &TRACERESPONSE), ["mine"]);
        assert_eq!(
            values(&headers, &SERVER_TIMING),
            ["db;dur=53", "cache, app;dur=1", &timing]
        );
        // `traceresponse` is the handler's, so the layer does not expose it.
        let exposed = values(&headers, &ACCESS_CONTROL_EXPOSE_HEADERS);
        assert_eq!(exposed, ["x-a", "server-timing"]);
        assert_eq!(values(&headers, &SERVER), ["journey"]);
    }
}

#[tokio::test]
async fn inner_of_two_layers_sets_the_trace_headers() {
    let (outer, inner) = (Recorder::new(), Recorder::new());
    let service = with_trace_headers(outer.layer())
        .layer(with_trace_headers(inner.layer()).layer(responding(200)));
    let (_, headers) = head(Version::Http1, service, called("01")).await;
    outer.all_ended().await;
    let ids = traceparent(&inner.only().0.span_context);
    assert_eq!(values(&headers, &TRACERESPONSE), [ids.as_str()]);
    let timing = format!("traceparent;desc=\"{ids}\"");
    assert_eq!(values(&headers, &SERVER_TIMING), [timing]);
    let exposed = values(&headers, &ACCESS_CONTROL_EXPOSE_HEADERS);
    assert_eq!(exposed, ["traceresponse", "server-timing"]);
}

/// Returns the exposed header names, which a script of another origin may read.
fn readable(headers: &HeaderMap) -> Vec<String> {
    let lists = values(headers, &ACCESS_CONTROL_EXPOSE_HEADERS);
    let mut names: Vec<_> = lists
        .iter()
        .flat_map(|list| list.split(','))
        .map(|name| name.trim().to_owned())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn trace_headers_next_to_cors_are_readable_by_scripts_if_exposed() {
    let plain = || CorsLayer::new().allow_origin(Any);
    let with_list = || plain().expose_headers([HeaderName::from_static("x-a")]);
    let with_all = || plain().expose_headers(Any);
    let ours = ["server-timing", "traceresponse"];
    for (rule, cors, is_exposed, outside, inside) in [
        ("not exposed", plain(), false, &[][..], &[][..]),
        ("exposed", plain(), true, &ours, &ours),
        // `CorsLayer` replaces the header if it is outside.
        (
            "exposed, with a list",
            with_list(),
            true,
            &["x-a"],
            &["server-timing", "traceresponse", "x-a"],
        ),
        (
            "exposed, with a wildcard",
            with_all(),
            true,
            &["*"],
            // With credentials, `*` is a literal name and no wildcard (Fetch standard).
            &["*", "server-timing", "traceresponse"],
        ),
    ] {
        for (place, expected) in [("outside", outside), ("inside", inside)] {
            let recorder = Recorder::new();
            let layer = with_trace_headers(recorder.layer()).expose_trace_headers(is_exposed);
            let app = Router::new().route("/", get(|| async { "a body" }));
            let app = match place {
                "outside" => app.layer(layer).layer(cors.clone()),
                _ => app.layer(cors.clone()).layer(layer),
            };
            let mut request = request(Method::GET, "/");
            let origin = HeaderValue::from_static("https://example.com");
            request.headers_mut().insert(ORIGIN, origin);
            let app = app.into_service::<Incoming>();
            let (status, headers) = head(Version::Http1, app, request).await;
            assert_eq!(status, 200);
            recorder.all_ended().await;
            let ids = traceparent(&recorder.only().0.span_context);
            let case = format!("{rule}, CORS {place}");
            assert_eq!(values(&headers, &TRACERESPONSE), [ids], "{case}");
            assert_eq!(readable(&headers), expected, "{case}");
            let allowed = values(
                &headers,
                &HeaderName::from_static("access-control-allow-origin"),
            );
            assert_eq!(allowed, ["*"], "{case}");
        }
    }
}

#[tokio::test]
async fn preflight_has_trace_headers_only_if_it_has_a_span() {
    for (place, spans) in [("outside", 0), ("inside", 1)] {
        let recorder = Recorder::new();
        let (layer, cors) = (
            with_trace_headers(recorder.layer()),
            CorsLayer::permissive(),
        );
        let app = Router::new().route("/", get(|| async { "a body" }));
        let app = match place {
            "outside" => app.layer(layer).layer(cors),
            _ => app.layer(cors).layer(layer),
        };
        let mut request = request(Method::OPTIONS, "/");
        for (name, value) in [
            ("origin", "https://example.com"),
            ("access-control-request-method", "GET"),
        ] {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        let app = app.into_service::<Incoming>();
        let (_, headers) = head(Version::Http1, app, request).await;
        recorder.all_ended().await;
        assert_eq!(recorder.ends(), spans, "CORS {place}");
        assert_eq!(
            values(&headers, &TRACERESPONSE).len(),
            spans,
            "CORS {place}"
        );
    }
}

#[tokio::test]
async fn grpc_client_gets_the_trace_headers_as_metadata() {
    let recorder = Recorder::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (reporter, health) = tonic_health::server::health_reporter();
    let serving = tonic_health::ServingStatus::Serving;
    reporter.set_service_status("known", serving).await;
    let server = Server::builder()
        .layer(with_trace_headers(recorder.layer()))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    let channel = tonic::transport::Endpoint::new(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut client = HealthClient::new(channel.ready_oneshot().await.expect("a channel"));
    for (service, is_known) in [("known", true), ("unknown", false)] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let metadata = match client.check(request).await {
            Ok(response) => response.metadata().clone(),
            // A trailers-only response.
            Err(status) => status.metadata().clone(),
        };
        recorder.all_ended().await;
        let span = recorder.only();
        let code = span.attribute("rpc.status_code");
        assert_eq!(code.as_deref() == Some("OK"), is_known, "{code:?}");
        let ids = traceparent(&span.0.span_context);
        let traceresponse = metadata.get("traceresponse").expect("the header");
        assert_eq!(traceresponse.to_str().expect("text"), ids);
        let timing = metadata.get("server-timing").expect("the header");
        assert!(timing.to_str().expect("text").contains(&ids));
        recorder.forget();
    }
}
