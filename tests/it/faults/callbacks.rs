//! Code that only the layer calls panics: callbacks, propagators, the handler's iterators and messages,
//! and the destructors of what the settings hold.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Poll;
use std::time::Duration;

use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Error};
use crate::support::client::Exchange;
use crate::support::recorder::{Recorder, w3c};
use crate::support::{
    answering, called, defused, explode, get, handle_of, poll_frame, read, ready, response,
    without_deadlock,
};

#[test]
fn filter_that_panics_traces_the_request() {
    for exchange in Exchange::all() {
        let at = Recorder::new();
        let layer = at.layer().filter(|_| explode());
        let bare = exchange.seen(&mut exchange.service(|_| {}), get());
        let traced = exchange.seen(&mut layer.layer(exchange.service(|_| {})), get());
        assert_eq!(traced, bare, "{}", exchange.name);
        assert_eq!(at.only().outcome(), exchange.outcome, "{}", exchange.name);
    }
}

#[test]
fn classification_that_panics_leaves_no_terminal_event() {
    for exchange in Exchange::all() {
        let at = Recorder::new();
        let layer = at.layer().classify(|_| explode());
        let handler = |request: &Request<()>| {
            handle_of(request).set_attribute(KeyValue::new("test.tenant", "blue"));
            handle_of(request).set_attribute(KeyValue::new("api.outcome", "DEPARTED"));
        };
        let bare = exchange.seen(&mut exchange.service(handler), get());
        let traced = exchange.seen(&mut layer.layer(exchange.service(handler)), get());
        assert_eq!(traced, bare, "{}", exchange.name);
        let span = at.only();
        assert_eq!(span.outcome(), "none", "{}", exchange.name);
        assert!(!span.is_error(), "{}", exchange.name);
        assert_eq!(span.attribute("api.outcome"), None, "{}", exchange.name);
        // Attributes that do not depend on the classification are kept.
        assert_eq!(span.attribute("test.tenant").as_deref(), Some("blue"));
    }
}

/// A propagator that panics in this method.
#[derive(Debug)]
struct PanickingPropagator(&'static str, [String; 1]);

impl PanickingPropagator {
    fn new(method: &'static str) -> Self {
        Self(method, ["traceparent".to_owned()])
    }

    fn panic_in(&self, method: &str) {
        if self.0 == method {
            explode();
        }
    }
}

impl TextMapPropagator for PanickingPropagator {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {
        self.panic_in("inject");
    }

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        self.panic_in("extract");
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        self.panic_in("fields");
        FieldIter::new(&self.1)
    }
}

#[test]
fn propagator_that_panics_leaves_a_root_span() {
    for method in ["inject", "extract", "fields"] {
        for exchange in Exchange::all() {
            let at = Recorder::new();
            let layer = at.layer().propagator(PanickingPropagator::new(method));
            let handler = |request: &Request<()>| {
                let mut headers = HeaderMap::new();
                handle_of(request).inject(&mut headers);
                assert!(headers.is_empty());
            };
            let bare = exchange.seen(&mut exchange.service(handler), called("01"));
            let traced = exchange.seen(&mut layer.layer(exchange.service(handler)), called("01"));
            assert_eq!(traced, bare, "{method}, {}", exchange.name);
            let span = at.only();
            assert_eq!(
                span.outcome(),
                exchange.outcome,
                "{method}, {}",
                exchange.name
            );
            assert!(!span.0.parent_span_is_remote, "{method}, {}", exchange.name);
        }
    }
}

#[test]
fn attribute_iterator_that_panics_sets_nothing() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |request| {
        let handle = handle_of(&request);
        handle.set_attributes((0..).map(|n| {
            if n == 2 {
                explode();
            }
            KeyValue::new(format!("test.from_iterator_{n}"), n)
        }));
        handle.set_attribute(KeyValue::new("test.after", true));
        response(200, ScriptedBody::full(0))
    });
    defused(|| ready(service.call(get()))).expect("a response");
    let span = at.only();
    assert_eq!(span.outcome(), "DEPARTED");
    assert_eq!(span.attribute("test.from_iterator_0"), None);
    assert_eq!(span.attribute("test.after").as_deref(), Some("true"));
}

#[test]
fn attribute_iterator_that_uses_the_same_handle_does_not_deadlock() {
    let at = without_deadlock(|| {
        let at = Recorder::new();
        let mut service = answering(&at.layer(), |request| {
            let handle = handle_of(&request);
            let again = handle.clone();
            handle.set_attributes((0..2).map(|n| {
                assert!(again.is_recording());
                again.set_attribute(KeyValue::new("test.inner", n));
                again.add_event("inner", Vec::new());
                again.mark_aborted("quota", MessageUsingHandle(&again));
                KeyValue::new("test.outer", n)
            }));
            response(200, ScriptedBody::full(0))
        });
        ready(service.call(get())).expect("a response");
        at
    });
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(quota)");
    assert_eq!(span.error().as_deref(), Some("formatted"));
    assert_eq!(span.attribute("test.inner").as_deref(), Some("1"));
    assert_eq!(span.attribute("test.outer").as_deref(), Some("1"));
    assert_eq!(
        span.events(),
        [
            "api.ARRIVED",
            "inner",
            "from_message",
            "inner",
            "from_message",
            "api.ABORTED"
        ]
    );
}

/// A message that uses a handle while it is formatted.
struct MessageUsingHandle<'a>(&'a tower_api_span::SpanHandle);

impl fmt::Display for MessageUsingHandle<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.add_event("from_message", Vec::new());
        f.write_str("formatted")
    }
}

/// An error that panics while it is formatted.
#[derive(Debug, PartialEq)]
struct PanickingDisplay;

impl fmt::Display for PanickingDisplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("half of ")?;
        explode()
    }
}

#[test]
fn error_message_that_panics_is_omitted() {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(PanickingDisplay)
    }));
    assert_eq!(
        defused(|| ready(service.call(get()))).expect_err("the error"),
        PanickingDisplay
    );
    let span = at.only();
    assert_eq!(
        (span.outcome().as_str(), span.error()),
        ("ABORTED(exception)", None)
    );

    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| {
        Response::new(ScriptedBody::new([Data(3), Error]).map_err(|_| PanickingDisplay))
    });
    let mut body = defused(|| ready(service.call(get())))
        .expect("a response")
        .into_body();
    assert!(matches!(
        defused(|| poll_frame(&mut body)),
        Poll::Ready(Some(Ok(_)))
    ));
    assert!(matches!(
        defused(|| poll_frame(&mut body)),
        Poll::Ready(Some(Err(PanickingDisplay)))
    ));
    let span = at.only();
    assert_eq!(
        (span.outcome().as_str(), span.error()),
        ("ABORTED(exception)", None)
    );
}

#[test]
fn verdict_message_that_panics_is_omitted_and_the_verdict_kept() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |request| {
        handle_of(&request).mark_aborted("quota", PanickingDisplay);
        response(200, ScriptedBody::new([Data(3)]))
    });
    let mut body = defused(|| ready(service.call(get())))
        .expect("a response")
        .into_body();
    defused(|| read(&mut body)).expect("bytes");
    let span = at.only();
    assert_eq!(
        (span.outcome().as_str(), span.error()),
        ("ABORTED(quota)", None)
    );
}

/// Clients may be able to trigger a panic as often as they like. The payloads of `panic!` are strings.
#[test]
fn callback_that_panics_leaks_no_memory() {
    let provider = SdkTracerProvider::builder().build();
    for throw in [
        || resume_unwind(Box::new("literal")),
        || resume_unwind(Box::new(format!("formatted: {}", 1))),
    ] as [fn() -> Option<String>; 2]
    {
        let layer = ApiSpanLayer::new().tracer_provider(&provider);
        let layer = layer.span_name_fn(move |_| throw());
        let mut service = answering(&layer, |_| response(200, ScriptedBody::full(3)));
        let mut serve = || {
            let response = ready(service.call(get())).expect("a response");
            read(&mut response.into_body()).expect("bytes");
        };
        // The first request initialises the thread's locals.
        serve();
        let measured = allocation_counter::measure(|| (0..10).for_each(|_| serve()));
        assert_eq!(measured.bytes_current, 0);
    }
}

/// A value whose destructor panics.
#[derive(Debug)]
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("a value of the settings is dropped");
    }
}

impl SpanProcessor for PanicsOnDrop {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for PanicsOnDrop {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {}

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl TextMapPropagator for PanicsOnDrop {
    fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

    fn extract_with_context(&self, context: &Context, _: &dyn Extractor) -> Context {
        context.clone()
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&[])
    }
}

/// Callbacks, providers and propagators may have destructors, and a request may hold the last reference. The request
/// is dropped, ended by its head, read, unread, or its handler panics.
#[test]
fn settings_whose_destructors_panic_are_dropped_with_the_last_request() {
    let callback = |layer: ApiSpanLayer| {
        let captured = PanicsOnDrop;
        layer.filter(move |_| {
            let _captured = &captured;
            true
        })
    };
    let tracer = |layer: ApiSpanLayer| {
        let provider = SdkTracerProvider::builder().with_span_processor(PanicsOnDrop);
        layer.tracer_provider(&provider.build())
    };
    let logger = |layer: ApiSpanLayer| {
        let provider = SdkLoggerProvider::builder().with_log_processor(PanicsOnDrop);
        layer.logger_provider(&provider.build())
    };
    let propagator = |layer: ApiSpanLayer| {
        let layer = layer.tracer_provider(&SdkTracerProvider::default());
        layer.propagator(PanicsOnDrop)
    };
    for configure in [callback, tracer, logger, propagator] as [fn(ApiSpanLayer) -> ApiSpanLayer; 4]
    {
        for end in ["dropped", "head", "read", "unread", "panics"] {
            let layer = configure(ApiSpanLayer::new().propagator(w3c()));
            let mut service = layer.layer(service_fn(move |_: Request<()>| async move {
                assert_ne!(end, "panics", "on purpose");
                let status = if end == "head" { 204 } else { 200 };
                Ok::<_, std::convert::Infallible>(response(status, ScriptedBody::full(3)))
            }));
            let mut future = Some(service.call(get()));
            drop((service, layer));
            let served = catch_unwind(AssertUnwindSafe(|| {
                let future = future.take().expect("a future");
                if end == "dropped" {
                    return;
                }
                let mut body = ready(future).expect("a response").into_body();
                if end == "read" {
                    read(&mut body).expect("bytes");
                }
            }));
            assert_eq!(served.is_err(), end == "panics", "{end}");
        }
    }
}
