//! The handle's span context, errors, names, links and injection, and what is lost after the end.

use std::cell::Cell;
use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

use http::{HeaderMap, StatusCode};
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tower_api_span::{Completion, Outcome, SpanHandle, classify};

use super::{record_span, serve};
use crate::support::get;
use crate::support::recorder::{Recorder, value};

fn other_span() -> SpanContext {
    let (trace_id, span_id) = (TraceId::from(7), SpanId::from(8));
    SpanContext::new(
        trace_id,
        span_id,
        TraceFlags::SAMPLED,
        true,
        TraceState::NONE,
    )
}

#[test]
fn the_span_context_is_that_of_the_exported_span() {
    let mut seen = SpanContext::NONE;
    let span = record_span(|handle| seen = handle.span_context());
    assert_eq!(seen, span.0.span_context);
    assert_eq!(SpanHandle::default().span_context(), SpanContext::NONE);
}

/// An error with a source.
#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad number of tokens")
    }
}

impl Error for Outer {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn a_recorded_error_is_an_event_with_its_sources_and_no_verdict() {
    let span = record_span(|handle| {
        let source = "x".parse::<u32>().expect_err("no number");
        handle.record_error(&Outer(source));
    });
    let event = &span.0.events.events[1];
    assert_eq!(event.name, "exception");
    let message = "bad number of tokens: invalid digit found in string";
    assert_eq!(
        event.attributes,
        [KeyValue::new("exception.message", message)]
    );
    assert_eq!(span.outcome(), "DEPARTED");
}

#[test]
fn the_last_name_wins_and_an_empty_one_is_ignored() {
    let at = Recorder::new();
    serve(&at.layer(), get(), 200, |handle| {
        handle.update_name("first");
        handle.update_name(format!("second {}", 1));
        handle.update_name("");
    });
    serve(&at.layer(), get(), 200, |handle| {
        handle.update_name("n".repeat(5_000));
    });
    let spans = at.exported();
    assert_eq!(spans[0].name, "second 1");
    assert_eq!(spans[1].name.len(), 1_024);
}

#[test]
fn a_link_is_kept_with_its_attributes() {
    let span = record_span(|handle| {
        handle.add_link(other_span(), [KeyValue::new("kind", "retry")]);
    });
    let links = &span.0.links.links;
    assert_eq!(links.len(), 1);
    assert_eq!(links[0].span_context, other_span());
    assert_eq!(links[0].attributes, [KeyValue::new("kind", "retry")]);
}

#[test]
fn another_context_is_injected_with_the_layers_propagator() {
    let at = Recorder::new();
    let layer = at.layer().propagator(TraceContextPropagator::new());
    let mut headers = HeaderMap::new();
    serve(&layer, get(), 200, |handle| {
        let child = Context::new().with_remote_span_context(other_span());
        handle.inject_context(&child, &mut headers);
    });
    let traceparent = "00-00000000000000000000000000000007-0000000000000008-01";
    assert_eq!(headers["traceparent"], traceparent);
    let mut inert = HeaderMap::new();
    let child = Context::new().with_remote_span_context(other_span());
    SpanHandle::default().inject_context(&child, &mut inert);
    assert_eq!(inert["traceparent"], traceparent);
}

#[test]
fn records_after_the_end_are_lost_and_counted() {
    let kept = OnceLock::new();
    let span = record_span(|handle| {
        assert_eq!(handle.lost_records(), 0);
        kept.set(handle).expect("one request");
    });
    let handle = kept.get().expect("a handle");
    handle.set_attribute(KeyValue::new("late", 1));
    handle.add_event("late", []);
    handle.update_name("late");
    handle.add_link(other_span(), []);
    handle.record_error(&fmt::Error);
    handle.mark_aborted("late", "");
    handle.set_route("/late");
    handle.declare_stream();
    handle
        .context()
        .span()
        .set_attribute(KeyValue::new("late", 1));
    handle.gen_ai().request_model("late");
    let is_collected = Cell::new(false);
    let reasons = std::iter::from_fn(|| is_collected.replace(true).then_some("late"));
    handle.gen_ai().finish_reasons(reasons);
    handle.gen_ai().input_tokens(1);
    assert_eq!(handle.lost_records(), 12);
    assert!(!is_collected.get());
    assert_eq!(value(&span.0, "late"), None);
    assert_eq!(span.events(), ["api.ARRIVED", "api.DEPARTED"]);
}

#[test]
fn a_classification_reads_the_whole_record() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .body_sizes(true)
        .classify(|completion: &Completion| {
            assert_eq!(completion.method(), http::Method::GET);
            assert_eq!(completion.path(), Some("/p"));
            assert_eq!(completion.route(), Some("/{p}"));
            assert_eq!(completion.status(), Some(StatusCode::OK));
            assert_eq!(completion.version(), http::Version::HTTP_11);
            assert_eq!(completion.response_bytes(), Some(3));
            assert_eq!(completion.outcome(), None);
            assert_eq!(completion.grpc_status(), None);
            assert_eq!(completion.verdict(), None);
            assert!(completion.time_to_head() <= completion.time_to_first_byte());
            assert!(completion.time_to_first_byte() <= Some(completion.duration()));
            assert_ne!(completion.trace_id(), TraceId::INVALID);
            assert_ne!(completion.span_id(), SpanId::INVALID);
            assert_eq!(classify(completion).to_string(), "DEPARTED");
            match completion.path() {
                Some("/p") => Outcome::Aborted(tower_api_span::Aborted::new("by_path")),
                _ => Outcome::Departed,
            }
        });
    let mut request = get();
    *request.uri_mut() = "/p?secret=1".parse().expect("a uri");
    serve(&layer, request, 200, |handle| handle.set_route("/{p}"));
    assert_eq!(at.only().outcome(), "ABORTED(by_path)");
}
