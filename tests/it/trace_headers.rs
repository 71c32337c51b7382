//! The trace, told to the caller: what is on the wire is what was exported.

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

/// A layer that tells all it can.
fn telling(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer
        .traceresponse(true)
        .server_timing(true)
        .expose_trace_headers(true)
}

/// All values of a header, as text.
fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter();
    let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
    values.map(text).collect()
}

fn ids_of(span: &SpanContext) -> String {
    let flags = span.trace_flags().to_u8();
    format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id())
}

fn says_nothing(headers: &HeaderMap) -> bool {
    [TRACERESPONSE, SERVER_TIMING, ACCESS_CONTROL_EXPOSE_HEADERS]
        .iter()
        .all(|name| !headers.contains_key(name))
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    Http1,
    Http2,
}

/// The head of the answer to a request, through hyper on both sides of a pipe.
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
        // How the connection ends is for the client to see.
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

/// A service that answers with this status.
fn of_status(
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
        let body = Full::from(if has_body { "an answer" } else { "" });
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
async fn every_kind_of_head_tells_the_ids_that_are_exported() {
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
                // There is none in HTTP/2.
                continue;
            }
            let at = Recorder::new();
            let layer = telling(at.layer()).capture_response_headers([
                TRACERESPONSE,
                SERVER_TIMING,
                ACCESS_CONTROL_EXPOSE_HEADERS,
            ]);
            let service = layer.layer(of_status(status));
            let (got, headers) = head(version, service, request(method.clone(), "/")).await;
            assert_eq!(got, status);
            at.all_ended().await;
            let span = at.only();
            let case = format!("{version:?} {method} {status}");
            let ids = ids_of(&span.0.span_context);
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
                // What is taken down of the response is what the client gets.
                let captured = span.value(&format!("http.response.header.{name}"));
                let opentelemetry::Array::String(captured) = (match captured {
                    Some(opentelemetry::Value::Array(values)) => values,
                    other => panic!("{case}: {name} is {other:?}"),
                }) else {
                    panic!("{case}: {name} is no text");
                };
                let captured: Vec<_> = captured.iter().map(ToString::to_string).collect();
                assert_eq!(captured, expected, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn each_setting_is_of_its_own() {
    for (rule, layer, expected) in [
        (
            "neither",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            [0, 0, 0],
        ),
        (
            "exposing nothing",
            |layer| layer.expose_trace_headers(true),
            [0, 0, 0],
        ),
        ("the one", |layer| layer.traceresponse(true), [1, 0, 0]),
        ("the other", |layer| layer.server_timing(true), [0, 1, 0]),
        (
            "the one, exposed",
            |layer| layer.traceresponse(true).expose_trace_headers(true),
            [1, 0, 1],
        ),
        ("all", telling, [1, 1, 2]),
        (
            "all, and off again",
            |layer| telling(layer).traceresponse(false).server_timing(false),
            [0, 0, 0],
        ),
    ] {
        for version in [Version::Http1, Version::Http2] {
            let at = Recorder::new();
            let service = layer(at.layer()).layer(of_status(200));
            let (_, headers) = head(version, service, request(Method::GET, "/")).await;
            let names = [TRACERESPONSE, SERVER_TIMING, ACCESS_CONTROL_EXPOSE_HEADERS];
            let got = names.map(|name| values(&headers, &name).len());
            assert_eq!(got, expected, "{version:?}, {rule}");
            at.all_ended().await;
            assert_eq!(at.only().outcome(), "DEPARTED");
        }
    }
}

#[tokio::test]
async fn an_unsampled_trace_is_told_as_such() {
    let of_caller = Recorder::new();
    let of_sampler = Recorder::with(|builder| builder.with_sampler(Sampler::AlwaysOff));
    for (at, request) in [(of_caller, called("00")), (of_sampler, called("01"))] {
        let (sender, mut inside) = tokio::sync::mpsc::unbounded_channel();
        let service = telling(at.layer()).layer(service_fn(move |request: Request<Incoming>| {
            let mut headers = HeaderMap::new();
            handle_of(&request).inject(&mut headers);
            sender.send(headers).expect("the test waits");
            std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::from(
                "it",
            ))))
        }));
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
        assert_eq!(at.starts(), 0);
    }
}

#[tokio::test]
async fn where_there_is_no_span_nothing_is_told() {
    let at = Recorder::new();
    let gone = SdkTracerProvider::default();
    gone.shutdown().expect("once");
    let logger = opentelemetry_sdk::logs::SdkLoggerProvider::builder().build();
    let w3c = || ApiSpanLayer::new().propagator(w3c());
    for (rule, layer) in [
        ("filtered out", at.layer().filter(|_| false)),
        ("sampled out", at.layer().sample_rate(0.0)),
        (
            "no tracer",
            w3c().tracer_provider(&NoopTracerProvider::new()),
        ),
        ("a provider that is gone", w3c().tracer_provider(&gone)),
        ("no provider", w3c()),
        (
            "filtered out, with logs",
            at.layer().filter(|_| false).logger_provider(&logger),
        ),
        (
            "sampled out, with logs",
            at.layer().sample_rate(0.0).logger_provider(&logger),
        ),
        (
            "no tracer, with logs",
            w3c()
                .tracer_provider(&NoopTracerProvider::new())
                .logger_provider(&logger),
        ),
    ] {
        for request in [request(Method::GET, "/"), called("01")] {
            let service = telling(layer.clone()).layer(of_status(200));
            let (_, headers) = head(Version::Http1, service, request).await;
            assert!(says_nothing(&headers), "{rule}: {headers:?}");
        }
    }
    assert_eq!(at.starts(), 0);
}

#[tokio::test]
async fn what_the_handler_says_stays() {
    for version in [Version::Http1, Version::Http2] {
        let at = Recorder::new();
        let service = telling(at.layer()).layer(service_fn(async |_: Request<Incoming>| {
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
        at.all_ended().await;
        let ids = ids_of(&at.only().0.span_context);
        let timing = format!("traceparent;desc=\"{ids}\"");
        assert_eq!(values(&headers, &TRACERESPONSE), ["mine"]);
        assert_eq!(
            values(&headers, &SERVER_TIMING),
            ["db;dur=53", "cache, app;dur=1", &timing]
        );
        // The handler's is the handler's to expose.
        let exposed = values(&headers, &ACCESS_CONTROL_EXPOSE_HEADERS);
        assert_eq!(exposed, ["x-a", "server-timing"]);
        assert_eq!(values(&headers, &SERVER), ["journey"]);
    }
}

#[tokio::test]
async fn of_two_layers_the_inner_one_tells() {
    let (outer, inner) = (Recorder::new(), Recorder::new());
    let service = telling(outer.layer()).layer(telling(inner.layer()).layer(of_status(200)));
    let (_, headers) = head(Version::Http1, service, called("01")).await;
    outer.all_ended().await;
    let ids = ids_of(&inner.only().0.span_context);
    assert_eq!(values(&headers, &TRACERESPONSE), [ids.as_str()]);
    let timing = format!("traceparent;desc=\"{ids}\"");
    assert_eq!(values(&headers, &SERVER_TIMING), [timing]);
    let exposed = values(&headers, &ACCESS_CONTROL_EXPOSE_HEADERS);
    assert_eq!(exposed, ["traceresponse", "server-timing"]);
}

/// What a script of another origin may read of the answer, beside what it always may.
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
async fn beside_cors_scripts_may_read_what_was_asked_for() {
    let plain = || CorsLayer::new().allow_origin(Any);
    let with_list = || plain().expose_headers([HeaderName::from_static("x-a")]);
    let with_all = || plain().expose_headers(Any);
    let ours = ["server-timing", "traceresponse"];
    for (rule, cors, is_exposed, outside, inside) in [
        ("not asked for", plain(), false, &[][..], &[][..]),
        ("asked for", plain(), true, &ours, &ours),
        // What stands outside has the last word: `CorsLayer` sets the header anew.
        (
            "asked for, with a list",
            with_list(),
            true,
            &["x-a"],
            &["server-timing", "traceresponse", "x-a"],
        ),
        (
            "asked for, with all",
            with_all(),
            true,
            &["*"],
            // A star is no more than a name where credentials are sent.
            &["*", "server-timing", "traceresponse"],
        ),
    ] {
        for (place, expected) in [("outside", outside), ("inside", inside)] {
            let at = Recorder::new();
            let layer = telling(at.layer()).expose_trace_headers(is_exposed);
            let app = Router::new().route("/", get(|| async { "an answer" }));
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
            at.all_ended().await;
            let ids = ids_of(&at.only().0.span_context);
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
async fn a_preflight_is_told_only_where_there_is_a_span_of_it() {
    for (place, spans) in [("outside", 0), ("inside", 1)] {
        let at = Recorder::new();
        let (layer, cors) = (telling(at.layer()), CorsLayer::permissive());
        let app = Router::new().route("/", get(|| async { "an answer" }));
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
        at.all_ended().await;
        assert_eq!(at.ends(), spans, "CORS {place}");
        assert_eq!(
            values(&headers, &TRACERESPONSE).len(),
            spans,
            "CORS {place}"
        );
    }
}

#[tokio::test]
async fn a_grpc_client_sees_it_in_the_metadata() {
    let at = Recorder::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let (reporter, health) = tonic_health::server::health_reporter();
    let serving = tonic_health::ServingStatus::Serving;
    reporter.set_service_status("there", serving).await;
    let server = Server::builder()
        .layer(telling(at.layer()))
        .add_service(health)
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);
    let channel = tonic::transport::Endpoint::new(format!("http://{address}"))
        .expect("an address")
        .connect()
        .await
        .expect("a connection");
    let mut client = HealthClient::new(channel.ready_oneshot().await.expect("a channel"));
    for (service, is_there) in [("there", true), ("nowhere", false)] {
        let request = HealthCheckRequest {
            service: service.to_owned(),
        };
        let metadata = match client.check(request).await {
            Ok(response) => response.metadata().clone(),
            // Nothing but a head.
            Err(status) => status.metadata().clone(),
        };
        at.all_ended().await;
        let span = at.only();
        let code = span.attribute("rpc.status_code");
        assert_eq!(code.as_deref() == Some("OK"), is_there, "{code:?}");
        let ids = ids_of(&span.0.span_context);
        let told = metadata.get("traceresponse").expect("a trace");
        assert_eq!(told.to_str().expect("text"), ids);
        let timing = metadata.get("server-timing").expect("a trace");
        assert!(timing.to_str().expect("text").contains(&ids));
        at.forget();
    }
}
