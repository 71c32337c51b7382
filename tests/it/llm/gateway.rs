//! A gateway in front of an engine: one trace, whatever way the engine learns of its parent.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Request, Response, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{
    Span as _, SpanKind, TraceContextExt as _, Tracer as _, TracerProvider as _,
};
use opentelemetry_http::HeaderInjector;
use tower::service_fn;
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use super::llm;
use super::pipes::{PROTOCOLS, request, send};
use crate::support::recorder::{Recorder, w3c};
use crate::support::{CALLER, TRACE, handle_of};

/// How the engine learns whose child it is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// The gateway makes a request of its own and injects into it.
    Inject,
    /// The engine is in the gateway's process and is given the context.
    InProcess,
    /// The gateway forwards the headers that it got.
    Proxy,
}

const WAYS: [Way; 3] = [Way::Inject, Way::InProcess, Way::Proxy];

/// Both ways over HTTP, each over both protocols.
fn over_http() -> impl Iterator<Item = (Way, Version)> {
    [Way::Inject, Way::Proxy]
        .into_iter()
        .flat_map(|way| PROTOCOLS.map(|version| (way, version)))
}

/// Sends a request with these headers to the gateway, which asks the engine; what the engine was
/// sent.
async fn exchange(
    at: &Recorder,
    gateway: ApiSpanLayer,
    (way, version): (Way, Version),
    headers: HeaderMap,
) -> HeaderMap {
    let sent = Arc::new(Mutex::new(HeaderMap::new()));
    let engine = {
        let sent = Arc::clone(&sent);
        at.layer()
            .span_name("llm_core")
            .layer(service_fn(move |request: Request<Incoming>| {
                *sent.lock().expect("headers") = request.headers().clone();
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::from("tokens"))))
            }))
    };
    let recorder = at.clone();
    let gateway = gateway.layer(service_fn(move |incoming: Request<Incoming>| {
        let (engine, at) = (engine.clone(), recorder.clone());
        async move {
            let handle = handle_of(&incoming);
            let mut outgoing = request();
            match way {
                Way::InProcess => return Ok(Response::new(in_process(&at, &handle).into())),
                Way::Inject => handle.inject(outgoing.headers_mut()),
                Way::Proxy => *outgoing.headers_mut() = incoming.into_parts().0.headers,
            }
            let response = send(version, engine, outgoing).await;
            let body = response.into_body().collect().await.expect("a body");
            Ok::<_, Infallible>(Response::new(Full::from(body.to_bytes())))
        }
    }));
    let mut request = request();
    *request.headers_mut() = headers;
    let response = send(version, gateway, request).await;
    let body = response.into_body().collect().await.expect("a body");
    assert_eq!(body.to_bytes(), "tokens");
    at.all_ended().await;
    std::mem::take(&mut *sent.lock().expect("headers"))
}

fn in_process(at: &Recorder, handle: &SpanHandle) -> &'static str {
    let tracer = at.provider.tracer("engine");
    let mut core = tracer.start_with_context("llm_core", &handle.context());
    core.end();
    "tokens"
}

/// The headers of a caller with these trace flags.
fn called(flags: &str, state: Option<&'static str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let value = format!("00-{TRACE}-{CALLER}-{flags}");
    let value = HeaderValue::from_str(&value).expect("a value");
    headers.insert("traceparent", value);
    headers.extend(state.map(|state| {
        let name = HeaderName::from_static("tracestate");
        (name, HeaderValue::from_static(state))
    }));
    headers
}

#[tokio::test]
async fn a_client_asks_and_the_three_spans_are_one_trace() {
    for way in WAYS {
        for version in PROTOCOLS {
            let at = Recorder::new();
            let tracer = at.provider.tracer("client");
            let client = tracer
                .span_builder("client")
                .with_kind(SpanKind::Client)
                .start(&tracer);
            let context = Context::new().with_span(client);
            let mut headers = HeaderMap::new();
            w3c().inject_context(&context, &mut HeaderInjector(&mut headers));
            let gateway = llm(&at).propagate_to_inner(way == Way::Proxy);
            // Its own end waits for no other.
            context.span().end();
            exchange(&at, gateway, (way, version), headers).await;
            assert_eq!(at.spans().len(), 3, "{way:?} {version:?}");

            let [client, api, core] =
                ["client", "llm_request", "llm_core"].map(|name| at.named(name));
            for (child, parent) in [(&api, &client), (&core, &api)] {
                let case = format!("{} {way:?} {version:?}", child.name);
                assert_eq!(
                    child.parent_span_id,
                    parent.span_context.span_id(),
                    "{case}"
                );
                let (trace, parents) = (&child.span_context, &parent.span_context);
                assert_eq!(trace.trace_id(), parents.trace_id(), "{case}");
            }
            assert_eq!(api.span_kind, SpanKind::Server);
            let is_remote = way != Way::InProcess;
            assert_eq!(core.span_kind == SpanKind::Server, is_remote, "{way:?}");
            assert_eq!(core.parent_span_is_remote, is_remote, "{way:?}");
        }
    }
}

#[tokio::test]
async fn the_caller_is_unsampled_and_so_is_the_engine() {
    for (way, version) in over_http().chain([(Way::InProcess, Version::HTTP_11)]) {
        let at = Recorder::new();
        let gateway = llm(&at).propagate_to_inner(way == Way::Proxy);
        let sent = exchange(&at, gateway, (way, version), called("00", None)).await;
        assert_eq!(at.starts(), 0, "{way:?} {version:?}");
        if way != Way::InProcess {
            let sent = sent["traceparent"].to_str().expect("text");
            assert!(sent.starts_with(&format!("00-{TRACE}-")), "{way:?}: {sent}");
            assert!(sent.ends_with("-00"), "{way:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn a_request_is_sampled_out_and_the_engine_behind_the_proxy_is_too() {
    for version in PROTOCOLS {
        for headers in [called("01", None), HeaderMap::new()] {
            let at = Recorder::new();
            let gateway = llm(&at).propagate_to_inner(true).sample_rate(0.0);
            let sent = exchange(&at, gateway, (Way::Proxy, version), headers).await;
            assert_eq!(at.starts(), 0, "{version:?}");
            let sent = sent["traceparent"].to_str().expect("text");
            assert!(sent.ends_with("-00"), "{version:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn a_tracestate_goes_on_and_an_empty_one_is_never_sent() {
    for (way, version) in over_http() {
        for flags in ["00", "01"] {
            for (state, expected) in [
                (None, None),
                (Some("vendor=1,other=2"), Some("vendor=1,other=2")),
                (Some(""), None),
            ] {
                let at = Recorder::new();
                let gateway = llm(&at).propagate_to_inner(way == Way::Proxy);
                let sent = exchange(&at, gateway, (way, version), called(flags, state)).await;
                let got: Vec<_> = sent.get_all("tracestate").iter().collect();
                let expected: Vec<_> = expected.into_iter().collect();
                assert_eq!(got, expected, "{way:?} {version:?} {flags} {state:?}");
                assert_eq!(sent.get_all("traceparent").iter().count(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_request_is_filtered_out_and_its_headers_go_on_as_they_came() {
    for version in PROTOCOLS {
        for mut headers in [
            called("01", Some("vendor=1")),
            called("00", None),
            HeaderMap::new(),
        ] {
            let at = Recorder::new();
            // What the layer would write anew, if it wrote.
            for line in ["tenant=blue", "shard=7"] {
                headers.append("baggage", HeaderValue::from_static(line));
            }
            let gateway = llm(&at).propagate_to_inner(true).filter(|_| false);
            let mut sent = exchange(&at, gateway, (Way::Proxy, version), headers.clone()).await;
            sent.remove(HOST);
            assert_eq!(sent, headers, "{version:?}");
        }
    }
}
