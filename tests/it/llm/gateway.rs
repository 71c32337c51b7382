//! A gateway in front of an engine: both are in one trace, however the context reaches the engine.

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

/// How the trace context reaches the engine.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Propagation {
    /// The gateway injects the context into a new request.
    Inject,
    /// The engine runs in the gateway's process and receives the context.
    InProcess,
    /// The gateway forwards the request headers.
    Proxy,
}

const PROPAGATIONS: [Propagation; 3] = [
    Propagation::Inject,
    Propagation::InProcess,
    Propagation::Proxy,
];

/// Returns both propagations over HTTP, each with both HTTP versions.
fn http_propagations() -> impl Iterator<Item = (Propagation, Version)> {
    [Propagation::Inject, Propagation::Proxy]
        .into_iter()
        .flat_map(|propagation| PROTOCOLS.map(|version| (propagation, version)))
}

/// Sends a request with these headers to the gateway, which calls the engine. Returns the headers that the
/// engine received.
async fn exchange(
    recorder: &Recorder,
    gateway: ApiSpanLayer,
    (propagation, version): (Propagation, Version),
    headers: HeaderMap,
) -> HeaderMap {
    let sent = Arc::new(Mutex::new(HeaderMap::new()));
    let engine = {
        let sent = Arc::clone(&sent);
        recorder.layer().span_name("llm_core").layer(service_fn(
            move |request: Request<Incoming>| {
                *sent.lock().expect("headers") = request.headers().clone();
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::from("tokens"))))
            },
        ))
    };
    let gateway_recorder = recorder.clone();
    let gateway = gateway.layer(service_fn(move |incoming: Request<Incoming>| {
        let (engine, recorder) = (engine.clone(), gateway_recorder.clone());
        async move {
            let handle = handle_of(&incoming);
            let mut outgoing = request();
            match propagation {
                Propagation::InProcess => {
                    return Ok(Response::new(run_engine(&recorder, &handle).into()));
                }
                Propagation::Inject => handle.inject(outgoing.headers_mut()),
                Propagation::Proxy => *outgoing.headers_mut() = incoming.into_parts().0.headers,
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
    recorder.all_ended().await;
    std::mem::take(&mut *sent.lock().expect("headers"))
}

fn run_engine(recorder: &Recorder, handle: &SpanHandle) -> &'static str {
    let tracer = recorder.provider.tracer("engine");
    let mut core = tracer.start_with_context("llm_core", &handle.context());
    core.end();
    "tokens"
}

/// Returns the headers of a caller with these trace flags.
fn caller_headers(flags: &str, state: Option<&'static str>) -> HeaderMap {
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
async fn client_gateway_and_engine_spans_form_one_trace() {
    for propagation in PROPAGATIONS {
        for version in PROTOCOLS {
            let recorder = Recorder::new();
            let tracer = recorder.provider.tracer("client");
            let client = tracer
                .span_builder("client")
                .with_kind(SpanKind::Client)
                .start(&tracer);
            let context = Context::new().with_span(client);
            let mut headers = HeaderMap::new();
            w3c().inject_context(&context, &mut HeaderInjector(&mut headers));
            let gateway = llm(&recorder).propagate_to_inner(propagation == Propagation::Proxy);
            // The client's span may end before its children.
            context.span().end();
            exchange(&recorder, gateway, (propagation, version), headers).await;
            assert_eq!(recorder.spans().len(), 3, "{propagation:?} {version:?}");

            let [client, api, core] =
                ["client", "llm_request", "llm_core"].map(|name| recorder.named(name));
            for (child, parent) in [(&api, &client), (&core, &api)] {
                let case = format!("{} {propagation:?} {version:?}", child.name);
                assert_eq!(
                    child.parent_span_id,
                    parent.span_context.span_id(),
                    "{case}"
                );
                let (trace, parents) = (&child.span_context, &parent.span_context);
                assert_eq!(trace.trace_id(), parents.trace_id(), "{case}");
            }
            assert_eq!(api.span_kind, SpanKind::Server);
            let is_remote = propagation != Propagation::InProcess;
            assert_eq!(
                core.span_kind == SpanKind::Server,
                is_remote,
                "{propagation:?}"
            );
            assert_eq!(core.parent_span_is_remote, is_remote, "{propagation:?}");
        }
    }
}

#[tokio::test]
async fn an_unsampled_caller_leaves_gateway_and_engine_unsampled() {
    for (propagation, version) in
        http_propagations().chain([(Propagation::InProcess, Version::HTTP_11)])
    {
        let recorder = Recorder::new();
        let gateway = llm(&recorder).propagate_to_inner(propagation == Propagation::Proxy);
        let sent = exchange(
            &recorder,
            gateway,
            (propagation, version),
            caller_headers("00", None),
        )
        .await;
        assert_eq!(recorder.starts(), 0, "{propagation:?} {version:?}");
        if propagation != Propagation::InProcess {
            let sent = sent["traceparent"].to_str().expect("text");
            assert!(
                sent.starts_with(&format!("00-{TRACE}-")),
                "{propagation:?}: {sent}"
            );
            assert!(sent.ends_with("-00"), "{propagation:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn a_request_sampled_out_by_the_gateway_is_unsampled_in_the_engine() {
    for version in PROTOCOLS {
        for headers in [caller_headers("01", None), HeaderMap::new()] {
            let recorder = Recorder::new();
            let gateway = llm(&recorder).propagate_to_inner(true).sample_rate(0.0);
            let sent = exchange(&recorder, gateway, (Propagation::Proxy, version), headers).await;
            assert_eq!(recorder.starts(), 0, "{version:?}");
            let sent = sent["traceparent"].to_str().expect("text");
            assert!(sent.ends_with("-00"), "{version:?}: {sent}");
        }
    }
}

#[tokio::test]
async fn a_tracestate_is_forwarded_and_an_empty_one_is_not() {
    for (propagation, version) in http_propagations() {
        for flags in ["00", "01"] {
            for (state, expected) in [
                (None, None),
                (Some("vendor=1,other=2"), Some("vendor=1,other=2")),
                (Some(""), None),
            ] {
                let recorder = Recorder::new();
                let gateway = llm(&recorder).propagate_to_inner(propagation == Propagation::Proxy);
                let sent = exchange(
                    &recorder,
                    gateway,
                    (propagation, version),
                    caller_headers(flags, state),
                )
                .await;
                let got: Vec<_> = sent.get_all("tracestate").iter().collect();
                let expected: Vec<_> = expected.into_iter().collect();
                assert_eq!(
                    got, expected,
                    "{propagation:?} {version:?} {flags} {state:?}"
                );
                assert_eq!(sent.get_all("traceparent").iter().count(), 1);
            }
        }
    }
}

#[tokio::test]
async fn a_filtered_request_is_forwarded_with_unchanged_headers() {
    for version in PROTOCOLS {
        for mut headers in [
            caller_headers("01", Some("vendor=1")),
            caller_headers("00", None),
            HeaderMap::new(),
        ] {
            let recorder = Recorder::new();
            // Two lines, which the layer would merge if it wrote the header.
            for line in ["tenant=blue", "shard=7"] {
                headers.append("baggage", HeaderValue::from_static(line));
            }
            let gateway = llm(&recorder).propagate_to_inner(true).filter(|_| false);
            let mut sent = exchange(
                &recorder,
                gateway,
                (Propagation::Proxy, version),
                headers.clone(),
            )
            .await;
            sent.remove(HOST);
            assert_eq!(sent, headers, "{version:?}");
        }
    }
}
