//! The access log: one line for each request, however it ends, whatever its telemetry.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tower_api_span::{AccessLog, ApiSpanLayer, Outcome};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry;

use super::{json, json_subscriber, serve, written};
use crate::metrics::endings::ALL;
use crate::support::recorder::Recorder;
use crate::support::subscriber::with_subscriber;
use crate::support::{called, defused, explode};

fn field<'a>(line: &'a Value, name: &str) -> Option<&'a str> {
    line["fields"][name].as_str()
}

#[test]
fn each_ending_is_one_line_with_the_outcome_of_the_span() {
    for ending in &ALL {
        let at = Recorder::new();
        let layer = at.layer().access_log(AccessLog::new());
        let lines = json(|| {
            defused(|| ending.run(&layer));
        });
        let [line] = &lines[..] else {
            panic!("{}: {lines:#?}", ending.name);
        };
        let span = at.only();
        let outcome = match field(line, "reason") {
            None => field(line, "outcome").unwrap_or_default().to_owned(),
            Some(reason) => format!("{}({reason})", field(line, "outcome").unwrap_or_default()),
        };
        assert_eq!(outcome, span.outcome(), "{}", ending.name);
        assert_eq!(
            field(line, "error_type"),
            ending.error_type,
            "{}",
            ending.name
        );
        // A dropped call has gRPC's code for a drop; an error of the service has none.
        assert!(
            ending.is_grpc() || field(line, "grpc_status").is_none(),
            "{}: {line}",
            ending.name
        );
        let expected = match (outcome.as_str(), ending.error_type, ending.is_disconnect) {
            ("DEPARTED", ..) => "INFO",
            (_, None, _) | (_, _, true) => "WARN",
            _ => "ERROR",
        };
        assert_eq!(line["level"], expected, "{}: {line}", ending.name);
        assert_eq!(line["target"], "tower_api_span::access_log");
        let context = &span.0.span_context;
        let ids = (field(line, "trace_id"), field(line, "span_id"));
        let (trace, id) = (
            context.trace_id().to_string(),
            context.span_id().to_string(),
        );
        assert_eq!(ids, (Some(&*trace), Some(&*id)), "{}", ending.name);
        assert_eq!(
            span.events().len(),
            2,
            "{}: {:?}",
            ending.name,
            span.events()
        );
    }
}

#[test]
fn requests_without_a_span_are_logged() {
    let at = Recorder::new();
    let log = |layer: ApiSpanLayer| layer.access_log(AccessLog::new());
    for (rule, layer, has_ids, spans) in [
        ("filtered", log(at.layer().filter(|_| false)), false, 0),
        // It starts a trace that is not sampled.
        ("sampled out", log(at.layer().sample_rate(0.0)), true, 0),
        ("no tracer", log(ApiSpanLayer::new()), false, 0),
        ("recorded", log(at.layer()), true, 1),
    ] {
        let lines = json(|| serve(&layer));
        assert_eq!(lines.len(), 1, "{rule}: {lines:#?}");
        assert_eq!(field(&lines[0], "outcome"), Some("DEPARTED"), "{rule}");
        assert_eq!(field(&lines[0], "trace_id").is_some(), has_ids, "{rule}");
        assert_eq!(at.ends(), spans, "{rule}");
    }
}

#[test]
fn a_request_without_a_span_has_the_ids_of_its_caller() {
    let at = Recorder::new();
    let layer = at.layer().sample_rate(0.0).access_log(AccessLog::new());
    let lines = json(|| {
        let mut service = crate::support::answering(&layer, |_| {
            crate::support::response(200, crate::support::body::ScriptedBody::full(3))
        });
        let future = tower::Service::call(&mut service, called("01"));
        drop(crate::support::ready(future));
    });
    let caller = called("01");
    let traceparent = caller.headers()["traceparent"].to_str().expect("text");
    let ids = traceparent.split('-').collect::<Vec<_>>();
    assert_eq!(field(&lines[0], "trace_id"), Some(ids[1]));
    assert_eq!(field(&lines[0], "span_id"), Some(ids[2]));
}

#[test]
fn the_filter_of_the_log_decides_alone() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let at = Recorder::new();
    let log = AccessLog::new().filter(move |parts| {
        counted.fetch_add(1, Ordering::Relaxed);
        parts.uri.path() != "/"
    });
    let layer = at.layer().access_log(log);
    assert_eq!(json(|| serve(&layer)).len(), 0);
    assert_eq!((calls.load(Ordering::Relaxed), at.ends()), (1, 1));
}

#[test]
fn the_level_is_the_settings_and_a_line_that_is_not_wanted_is_not_written() {
    let at = Recorder::new();
    for (level, expected) in [
        (Level::ERROR, Some("ERROR")),
        (Level::WARN, Some("WARN")),
        (Level::INFO, Some("INFO")),
        (Level::DEBUG, Some("DEBUG")),
        (Level::TRACE, Some("TRACE")),
    ] {
        let log = AccessLog::new().level_fn(move |completion| {
            assert_eq!(completion.outcome(), Some(&Outcome::Departed));
            level
        });
        let layer = at.layer().access_log(log);
        for wanted in [Level::INFO, Level::TRACE] {
            let subscriber = |to| json_subscriber(to, wanted);
            let lines = written(subscriber, || serve(&layer)).json();
            let levels: Vec<_> = lines
                .iter()
                .filter_map(|line| line["level"].as_str())
                .collect();
            let expected = expected.filter(|_| level <= wanted);
            assert_eq!(levels, Vec::from_iter(expected), "{wanted}");
        }
    }
}

#[test]
fn a_callback_that_panics_leaves_the_default() {
    let at = Recorder::new();
    let log = AccessLog::new()
        .filter(|_| explode())
        .level_fn(|_| explode());
    let layer = at.layer().access_log(log);
    let lines = json(|| defused(|| serve(&layer)));
    let own = |line: &&Value| line["target"] == "tower_api_span::access_log";
    let lines: Vec<_> = lines.iter().filter(own).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn the_line_of_the_arrival_is_first_and_optional() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new().request_start(true));
    let lines = json(|| serve(&layer));
    let messages: Vec<_> = lines.iter().map(|line| field(line, "message")).collect();
    assert_eq!(
        messages,
        [Some("request started"), Some("request completed")]
    );
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(field(&lines[0], "path"), Some("/"));
    assert_eq!(field(&lines[0], "trace_id"), field(&lines[1], "trace_id"));
    assert_eq!(field(&lines[0], "span_id"), field(&lines[1], "span_id"));
}

/// Panics at each event of the access log.
struct Faulty;

impl<S: Subscriber> Layer<S> for Faulty {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tower_api_span::access_log" {
            explode();
        }
    }
}

#[test]
fn a_subscriber_that_panics_affects_neither_request_nor_span() {
    for ending in &ALL {
        let at = Recorder::new();
        let log = AccessLog::new().request_start(true);
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&calls);
        let layer = at.layer().access_log(log).on_completion(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        with_subscriber(registry().with(Faulty), || {
            defused(|| ending.run(&layer));
        });
        let outcome = at.only().outcome();
        assert_eq!(outcome == "DEPARTED", !outcome.starts_with("ABORTED"));
        assert_eq!(calls.load(Ordering::Relaxed), 1, "{}", ending.name);
    }
}

/// Records the order in which the readers of an end are called.
struct Order(Arc<Mutex<Vec<&'static str>>>);

impl Visit for Order {
    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl<S: Subscriber> Layer<S> for Order {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "tower_api_span::access_log" {
            self.0.lock().expect("no panic").push("log");
        }
    }
}

#[test]
fn the_line_is_written_before_the_callback_and_before_the_span_ends() {
    let at = Recorder::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let (called, ended) = (Arc::clone(&order), at.clone());
    let layer = at
        .layer()
        .access_log(AccessLog::new())
        .on_completion(move |_| {
            assert_eq!(ended.ends(), 0);
            called.lock().expect("no panic").push("callback");
        });
    let log = Order(Arc::clone(&order));
    with_subscriber(registry().with(log), || {
        serve(&layer);
    });
    let order = order.lock().expect("no panic").clone();
    assert!(order.ends_with(&["log", "callback"]), "{order:?}");
    assert_eq!(at.ends(), 1);
}

/// The name of each event and span that a layer behind a filter gets.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Names {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: Context<'_, S>,
    ) {
        self.0
            .lock()
            .expect("no panic")
            .push(attributes.metadata().name());
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0
            .lock()
            .expect("no panic")
            .push(event.metadata().target());
    }
}

/// Asking a subscriber whether it wants an event that is not sent would make a layer behind a filter lose the next one.
#[test]
fn a_layer_behind_a_filter_loses_nothing() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new()).tracing_span(true);
    let names = Names::default();
    let filter = tracing_subscriber::EnvFilter::new("info,tower_api_span::access_log=off");
    let filtered = names.clone().with_filter(filter);
    let subscriber = registry().with(filtered).with(Order(Arc::default()));
    with_subscriber(subscriber, || {
        let mut service = crate::support::answering(&layer, |_| {
            tracing::info!(target: "app", "handler");
            crate::support::response(200, crate::support::body::ScriptedBody::full(3))
        });
        for _ in 0..3 {
            let future = tower::Service::call(&mut service, crate::support::get());
            drop(crate::support::ready(future));
        }
    });
    let mut names = names.0.lock().expect("no panic").clone();
    // Made by a test beside this one, with tracing-opentelemetry.
    names.retain(|name| !name.starts_with("request start") && !name.starts_with("opentelemetry"));
    assert_eq!(names, ["request", "app"].repeat(3));
}

#[test]
fn the_line_goes_to_the_subscriber_that_had_the_arrival() {
    let at = Recorder::new();
    let layer = at.layer().access_log(AccessLog::new());
    let mut open = None;
    let lines = json(|| {
        let mut service = crate::support::answering(&layer, |_| {
            crate::support::response(200, crate::support::body::ScriptedBody::full(3))
        });
        let future = tower::Service::call(&mut service, crate::support::get());
        open = Some(crate::support::ready(future).expect("a response"));
        let other = json(|| drop(open.take()));
        assert_eq!(other.len(), 0, "{other:#?}");
    });
    assert_eq!(lines.len(), 1, "{lines:#?}");
}
