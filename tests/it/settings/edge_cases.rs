//! Edge cases of the settings: forged and invalid requests, full header maps, empty and long values.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body as AxumBody;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use opentelemetry::Context;
use opentelemetry::KeyValue;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{Status, TraceContextExt as _};
use opentelemetry_sdk::propagation::BaggagePropagator;
use tower::{Layer as _, Service as _, ServiceBuilder, ServiceExt as _, service_fn};
use tower_api_span::{Aborted, ApiSpanLayer, Outcome, RequestBody, RequestBodyLayer, SpanHandle};

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::future::HandFuture;
use crate::support::recorder::{Recorder, Seen, is_server};
use crate::support::{answering, called, get, read, ready, response};

fn server_span(at: &Recorder) -> Seen {
    let spans = at.exported();
    Seen(spans.into_iter().find(is_server).expect("a span"))
}

fn serve(layer: &ApiSpanLayer, request: Request<()>, status: u16) {
    let mut service = answering(layer, move |_| {
        response(status, ScriptedBody::new([Data(3)]))
    });
    let answer = ready(service.call(request)).expect("a response");
    read(&mut answer.into_body()).expect("bytes");
}

fn with_headers(mut request: Request<()>, headers: &[(&'static str, &str)]) -> Request<()> {
    for (name, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        request.headers_mut().append(*name, value);
    }
    request
}

// === names ===

fn request_with_invented_method() -> Request<()> {
    Request::post("/users/1234567")
        .header("content-type", "application/grpc")
        .body(())
        .expect("r")
}

#[test]
fn client_that_leaves_before_the_head_does_not_choose_the_name() {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(|_: Request<()>| {
        HandFuture::ready(response(200, ScriptedBody::new([]))).pending_for(9)
    }));
    drop(service.call(request_with_invented_method()));
    assert!(
        !server_span(&at).0.name.contains("1234567"),
        "{}",
        server_span(&at).0.name
    );
}

#[tokio::test]
async fn client_of_a_failing_service_does_not_choose_the_name() {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(async |_: Request<()>| {
        Err::<Response<ScriptedBody>, _>(std::io::Error::other("x"))
    }));
    let _ = service.call(request_with_invented_method()).await;
    assert!(
        !server_span(&at).0.name.contains("1234567"),
        "{}",
        server_span(&at).0.name
    );
}

#[test]
fn grpc_timeout_is_ignored_where_no_rpc_method_is_known() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .known_rpc_methods::<&str>([])
        .disconnect_is_error(false);
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        HandFuture::ready(response(200, ScriptedBody::new([]))).pending_for(9)
    }));
    drop(service.call(with_headers(
        request_with_invented_method(),
        &[("grpc-timeout", "1n")],
    )));
    let span = server_span(&at);
    assert!(
        !span.is_error(),
        "{} {:?}",
        span.outcome(),
        span.attribute("error.type")
    );
}

/// A propagator of another format.
#[derive(Debug)]
struct Other([String; 1]);
impl Other {
    fn new() -> Self {
        Self(["x-other".to_owned()])
    }
}
impl TextMapPropagator for Other {
    fn inject_context(&self, cx: &Context, injector: &mut dyn Injector) {
        injector.set("x-other", cx.span().span_context().span_id().to_string());
    }
    fn extract_with_context(&self, cx: &Context, _: &dyn Extractor) -> Context {
        cx.clone()
    }
    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.0)
    }
}

/// Returns the `traceparent` that the handler receives, of a request with a caller.
fn inner_traceparent(layer: &ApiSpanLayer) -> Option<String> {
    let mut seen = None;
    let mut service = answering(layer, |request| {
        seen = request
            .headers()
            .get("traceparent")
            .map(|v| v.to_str().expect("t").to_owned());
        response(200, ScriptedBody::new([Data(3)]))
    });
    let answer = ready(service.call(called("01"))).expect("a response");
    read(&mut answer.into_body()).expect("bytes");
    drop(service);
    seen
}

#[test]
fn propagator_of_another_format_strips_the_untrusted_traceparent() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .propagator(Other::new())
        .public_endpoint(true)
        .propagate_to_inner(true);
    assert_eq!(
        inner_traceparent(&layer.clone().filter(|_| false)),
        None,
        "without a span"
    );
    assert_eq!(inner_traceparent(&layer), None, "with a span");
}

#[test]
fn propagator_that_writes_nothing_strips_the_untrusted_traceparent() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .propagator(BaggagePropagator::new())
        .public_endpoint(true)
        .propagate_to_inner(true);
    assert_eq!(inner_traceparent(&layer), None);
}

#[test]
fn full_header_map_does_not_fail_the_request() {
    let at = Recorder::new();
    let layer = at.layer().propagate_to_inner(true);
    let mut request = get();
    let headers = request.headers_mut();
    let mut n = 0;
    while headers
        .try_append(
            HeaderName::try_from(format!("x-{n}")).expect("n"),
            HeaderValue::from_static("1"),
        )
        .is_ok()
    {
        n += 1;
    }
    let mut service = answering(&layer, move |_| response(200, ScriptedBody::new([Data(3)])));
    let answered = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ready(service.call(request)).is_ok()
    }));
    assert!(answered.is_ok(), "the layer panicked");
}

// === request bodies ===

#[test]
fn body_counted_by_two_layers_has_its_size_once() {
    let at = Recorder::new();
    let mut service = ServiceBuilder::new()
        .layer(at.layer().body_sizes(true))
        .layer(RequestBodyLayer::new())
        .layer(RequestBodyLayer::new())
        .service(service_fn(
            async |request: Request<RequestBody<RequestBody<Full<Bytes>>>>| {
                let _ = request.into_body().collect().await;
                Ok::<_, Infallible>(response(200, ScriptedBody::new([Data(3)])))
            },
        ));
    let request = Request::post("/")
        .body(Full::new(Bytes::from_static(b"12345")))
        .expect("r");
    let answer = ready(service.call(request)).expect("a");
    read(&mut answer.into_body()).expect("b");
    assert_eq!(
        server_span(&at)
            .attribute("http.request.body.size")
            .as_deref(),
        Some("5")
    );
}

// === attributes ===

#[test]
fn request_attributes_leave_room_for_the_layers() {
    let at = Recorder::new();
    let layer = at.layer().request_attributes(|request| {
        let query = request.uri.query().unwrap_or_default().to_owned();
        let all: Vec<_> = query
            .split('&')
            .map(|p| KeyValue::new(format!("q.{p}"), 1))
            .collect();
        all
    });
    let query: Vec<_> = (0..200).map(|n| n.to_string()).collect();
    let request = Request::get(format!("/?{}", query.join("&")))
        .body(())
        .expect("r");
    serve(&layer, request, 500);
    let span = server_span(&at);
    for key in [
        "http.request.method",
        "http.response.status_code",
        "error.type",
        "api.outcome",
    ] {
        assert!(
            span.attribute(key).is_some(),
            "no {key} among {}",
            span.0.attributes.len()
        );
    }
}

#[test]
fn empty_url_path_from_the_operator_removes_the_attribute() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .request_attributes(|_| [KeyValue::new("url.path", "")]);
    serve(
        &layer,
        Request::get("/reset/secret").body(()).expect("r"),
        200,
    );
    assert_eq!(server_span(&at).attribute("url.path"), None);
}

#[test]
fn empty_keys_values_and_names_are_not_recorded() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .response_attributes(|_| [KeyValue::new("empty", ""), KeyValue::new("", 1)]);
    let mut service = answering(&layer, |request| {
        let context = SpanHandle::from_extensions(request.extensions()).context();
        context.span().update_name("");
        response(200, ScriptedBody::new([Data(3)]))
    });
    let answer = ready(service.call(get())).expect("a");
    read(&mut answer.into_body()).expect("b");
    let span = server_span(&at);
    let attributes: Vec<_> = span
        .0
        .attributes
        .iter()
        .filter(|kv| kv.key.as_str().is_empty() || kv.value.as_str() == "")
        .collect();
    assert!(
        attributes.is_empty() && !span.0.name.is_empty(),
        "{attributes:?} {:?}",
        span.0.name
    );
}

#[test]
fn client_cannot_forge_host_and_scheme_in_headers_its_proxy_does_not_write() {
    let at = Recorder::new();
    // nginx with only `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`. It keeps Host.
    let request = with_headers(
        get(),
        &[
            ("host", "real.example"),
            ("forwarded", "for=192.0.2.7;host=evil.example;proto=https"),
            ("x-forwarded-for", "192.0.2.7"),
        ],
    );
    serve(&at.layer().trusted_proxies(1), request, 200);
    let span = server_span(&at);
    assert_eq!(
        span.attribute("server.address").as_deref(),
        Some("real.example")
    );
    assert_eq!(span.attribute("url.scheme").as_deref(), Some("http"));
}

#[tokio::test]
async fn uri_rewritten_by_a_gateway_is_recorded_as_rewritten() {
    let at = Recorder::new();
    // A gateway passes the request of axum on to an inner service, under another path.
    let backend = at.layer().layer(service_fn(|_: Request<AxumBody>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(AxumBody::empty())))
    }));
    let app = Router::new().route(
        "/public/{id}",
        axum::routing::any(move |mut request: Request<AxumBody>| {
            let backend = backend.clone();
            async move {
                *request.uri_mut() = "/internal/7".parse().expect("u");
                backend.oneshot(request).await.expect("a")
            }
        }),
    );
    let request = Request::get("/public/secret")
        .body(AxumBody::empty())
        .expect("r");
    let answer = app.oneshot(request).await.expect("a");
    let _ = answer.into_body().collect().await;
    let span = server_span(&at);
    assert_eq!(span.attribute("url.path").as_deref(), Some("/internal/7"));
}

#[test]
fn empty_and_long_strings_of_a_classification_are_bounded() {
    let at = Recorder::new();
    let layer = at.layer().classify(|_| {
        let long = "x".repeat(1_000_000);
        Outcome::Aborted(Aborted::new("").with_error_type("").with_message(long))
    });
    let mut service = answering(&layer, |_| response(200, ScriptedBody::full(0)));
    drop(ready(service.call(get())));
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(exception)");
    assert_eq!(span.attribute("error.type").as_deref(), Some("_OTHER"));
    assert_eq!(span.error().map(|error| error.len()), Some(1_024));
    assert_eq!(*span.status(), Status::error("x".repeat(1_024)));
}

#[test]
fn callbacks_are_called_once_per_request() {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static N: [AtomicUsize; 9] = [const { AtomicUsize::new(0) }; 9];
    let at = Recorder::new();
    let layer = at
        .layer()
        .trusted_proxies(1)
        .filter(|_| {
            N[0].fetch_add(1, Relaxed);
            true
        })
        .public_endpoint_fn(|_| {
            N[1].fetch_add(1, Relaxed);
            true
        })
        .span_name_fn(|_| {
            N[2].fetch_add(1, Relaxed);
            None::<String>
        })
        .route_fn(|_| {
            N[3].fetch_add(1, Relaxed);
            None::<String>
        })
        .peer_address_fn(|_| {
            N[4].fetch_add(1, Relaxed);
            None
        })
        .local_address_fn(|_| {
            N[5].fetch_add(1, Relaxed);
            None
        })
        .request_attributes(|_| {
            N[6].fetch_add(1, Relaxed);
            None
        })
        .response_attributes(|_| {
            N[7].fetch_add(1, Relaxed);
            None
        })
        .classify(|completion| {
            N[8].fetch_add(1, Relaxed);
            tower_api_span::classify(completion)
        });
    serve(&layer, get(), 200);
    for (index, n) in N.iter().enumerate() {
        assert_eq!(n.load(Relaxed), 1, "{index}");
    }
}
