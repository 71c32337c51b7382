//! What depends on whether the process has a subscriber of `tracing`, and whether it has made a `RequestTracer`. So this
//! is a binary of its own, with one test.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Waker};

use http::{Request, Response};
use opentelemetry::trace::noop::NoopTracer;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Service as _, service_fn};
use tower_api_span::{AccessLog, ApiSpanLayer, RequestTracer};
use tower_layer::Layer as _;
use tracing::span::Id;
use tracing::subscriber::with_default;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

/// Counts how often a span is entered.
#[derive(Clone, Default)]
struct Enters(Arc<AtomicUsize>);

impl<S: tracing::Subscriber> Layer<S> for Enters {
    fn on_enter(&self, _: &Id, _: Context<'_, S>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn serve(layer: &ApiSpanLayer) {
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    let response = pin!(service.call(Request::new(())));
    let response = response.poll(&mut TaskContext::from_waker(Waker::noop()));
    assert!(matches!(response, Poll::Ready(Ok(_))));
}

/// Serves a request, and returns how often its span is entered.
fn count_enters() -> usize {
    let enters = Enters::default();
    let provider = SdkTracerProvider::default();
    let layer = ApiSpanLayer::new().tracer_provider(&provider);
    with_default(registry().with(enters.clone()), || {
        serve(&layer.tracing_span(true));
    });
    enters.0.load(Ordering::Relaxed)
}

#[test]
fn nothing_is_made_for_a_subscriber_or_a_request_tracer_that_the_process_lacks() {
    let calls = Arc::new(AtomicUsize::new(0));
    let called = Arc::clone(&calls);
    let log = AccessLog::new().filter(move |_| called.fetch_add(1, Ordering::Relaxed) == 0);
    let provider = SdkTracerProvider::default();
    let logging = ApiSpanLayer::new()
        .tracer_provider(&provider)
        .access_log(log);
    serve(&logging);
    assert_eq!(calls.load(Ordering::Relaxed), 0, "no subscriber");

    let without = count_enters();
    assert!(without > 0);
    let _tracer = RequestTracer::new(NoopTracer::new());
    assert!(count_enters() > without, "{without}");

    with_default(registry(), || serve(&logging));
    assert_eq!(calls.load(Ordering::Relaxed), 1, "a subscriber");
}
