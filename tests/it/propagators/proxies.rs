//! A reverse proxy over real sockets: the spans of the service behind it are below the proxy's.

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, trace::SpanId};
use tokio::net::TcpListener;

use super::formats::{FORMATS, Format, Given};
use super::inputs::headers;
use super::{find, recorder};
use crate::support::recorder::{Recorder, is_server};

/// Serves an application on a free port.
async fn run(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    address
}

/// Forwards a request with its headers to the engine.
async fn forward(State(engine): State<SocketAddr>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let mut forwarded = http::Request::new(body);
    *forwarded.headers_mut() = parts.headers;
    *forwarded.uri_mut() = format!("http://{engine}/").parse().expect("a URI");
    let client = Client::builder(TokioExecutor::new()).build_http();
    client
        .request(forwarded)
        .await
        .expect("a response")
        .into_response()
}

/// Sends a request with the headers of every format to a proxy in front of an engine. Returns the ids of the caller
/// that the format finds, and the spans of the engine and of the proxy.
async fn through_proxy(
    format: &Format,
    is_public: bool,
) -> (
    SpanId,
    opentelemetry_sdk::trace::SpanData,
    opentelemetry_sdk::trace::SpanData,
) {
    let at = recorder();
    let layer = |at: &Recorder| at.layer().propagator(Given((format.create)()));
    let engine = Router::new()
        .fallback(async || {
            Context::map_current(|own| own.span().span_context().span_id().to_string())
        })
        .layer(layer(&at));
    let proxy = Router::new()
        .fallback(forward)
        .layer(
            layer(&at)
                .propagate_to_inner(true)
                .public_endpoint(is_public),
        )
        .with_state(run(engine).await);
    let proxy = run(proxy).await;

    let mut request = http::Request::new(Body::empty());
    *request.uri_mut() = format!("http://{proxy}/").parse().expect("a URI");
    *request.headers_mut() = headers(&[
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b1-01",
        ),
        ("b3", "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b2-1"),
        ("x-b3-traceid", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("x-b3-spanid", "00f067aa0ba902b3"),
        ("x-b3-parentspanid", "00f067aa0ba902b4"),
        ("x-b3-flags", "1"),
        (
            "uber-trace-id",
            "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b5:0:1",
        ),
        (
            "x-trace",
            "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b6:0:1",
        ),
        (
            "x-amzn-trace-id",
            "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7;Sampled=1",
        ),
    ]);
    let caller = find(&(format.create)(), request.headers()).span_id();
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.expect("a response");
    assert_eq!(response.status(), 200);
    drop(response);
    assert!(at.wait_for(2).await, "both spans end");
    let mut spans = at.exported().into_iter().filter(is_server);
    let (engine, proxy) = (spans.next().expect("a span"), spans.next().expect("a span"));
    (caller, engine, proxy)
}

#[tokio::test]
async fn engine_is_below_the_proxy_below_the_caller() {
    for format in &FORMATS {
        let case = format.name;
        let (caller, engine, proxy) = through_proxy(format, false).await;
        assert_ne!(caller, SpanId::INVALID, "{case}");
        assert_eq!(proxy.parent_span_id, caller, "{case}");
        assert_eq!(
            engine.parent_span_id,
            proxy.span_context.span_id(),
            "{case}"
        );
        let trace = |span: &opentelemetry_sdk::trace::SpanData| span.span_context.trace_id();
        assert_eq!(trace(&engine), trace(&proxy), "{case}");
        assert_eq!(trace(&proxy).to_string(), crate::support::TRACE, "{case}");
    }
}

#[tokio::test]
async fn engine_is_below_a_public_proxy_that_links_the_caller() {
    for format in &FORMATS {
        let case = format.name;
        let (caller, engine, proxy) = through_proxy(format, true).await;
        assert_eq!(proxy.parent_span_id, SpanId::INVALID, "{case}");
        let links: Vec<_> = proxy.links.iter().collect();
        assert_eq!(links.len(), 1, "{case}");
        assert_eq!(links[0].span_context.span_id(), caller, "{case}");
        assert_eq!(
            engine.parent_span_id,
            proxy.span_context.span_id(),
            "{case}"
        );
        assert_eq!(engine.links.iter().count(), 0, "{case}");
    }
}
