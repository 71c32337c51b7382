//! The request's span of `tracing`: current wherever the inner service runs, with the ids of the SERVER span.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use serde_json::Value;
use tower::{Service, service_fn};
use tower_api_span::{AccessLog, ApiSpanLayer};
use tower_layer::Layer as _;
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::{is_of_requests, json, written};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Pending};
use crate::support::recorder::Recorder;
use crate::support::subscriber::with_subscriber;
use crate::support::{answering, defused, explode, get, poll_frame, read, ready, response};

/// Logs a line in the handler, in each poll of the body, and in its destructor.
fn serve_logging(layer: &ApiSpanLayer) {
    let mut service = answering(layer, |_| {
        tracing::info!("handler");
        let body = ScriptedBody::new([Data(1), Pending, Data(1)]);
        let body = body.on_poll(|| tracing::info!("body"));
        response(200, body.on_drop(|| tracing::info!("destructor")))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    drop(body);
}

/// Returns the request's span in a line, if that is its only one.
fn span_of<'a>(line: &'a Value, why: &str) -> &'a Value {
    let spans = line["spans"].as_array().expect(why);
    assert_eq!(spans.len(), 1, "{why}: {line}");
    &spans[0]
}

fn messages(lines: &[Value]) -> Vec<&str> {
    let texts = lines.iter().map(|line| line["fields"]["message"].as_str());
    texts.map(|text| text.expect("a message")).collect()
}

#[test]
fn every_line_inside_has_the_ids() {
    let at = Recorder::new();
    let layer = at.layer().tracing_span(true);
    let lines = json(|| serve_logging(&layer));
    assert_eq!(
        messages(&lines),
        ["handler", "body", "body", "body", "body", "destructor"]
    );
    let context = at.only().0.span_context;
    for line in &lines {
        let span = span_of(line, "inside");
        assert_eq!(span["name"], "request");
        assert_eq!(span["method"], "GET");
        assert_eq!(span["path"], "/");
        assert_eq!(span["trace_id"], context.trace_id().to_string());
        assert_eq!(span["span_id"], context.span_id().to_string());
    }
}

#[test]
fn without_the_setting_there_is_no_span() {
    let at = Recorder::new();
    for layer in [
        at.layer(),
        at.layer().tracing_span(true).tracing_span(false),
        at.layer().tracing_span(true).filter(|_| false),
    ] {
        let lines = json(|| serve_logging(&layer));
        assert!(
            lines.iter().all(|line| line["spans"].is_null()),
            "{lines:#?}"
        );
    }
}

#[test]
fn requests_without_a_span_of_opentelemetry_have_one_of_tracing() {
    let at = Recorder::new();
    for (rule, layer, has_ids) in [
        ("no tracer", ApiSpanLayer::new(), false),
        ("sampled out", at.layer().sample_rate(0.0), true),
        ("recorded", at.layer(), true),
    ] {
        let lines = json(|| serve_logging(&layer.tracing_span(true)));
        assert_eq!(lines.len(), 6, "{rule}");
        for line in &lines {
            let span = span_of(line, rule);
            assert_eq!(span["method"], "GET", "{rule}");
            assert_eq!(span["trace_id"].is_string(), has_ids, "{rule}: {span}");
        }
    }
}

#[test]
fn it_is_not_current_between_polls_and_after_the_end() {
    let layer = ApiSpanLayer::new().tracing_span(true);
    let lines = json(|| {
        let mut service = answering(&layer, |_| {
            response(200, ScriptedBody::new([Data(1), Pending, Data(1)]))
        });
        let response = ready(service.call(get())).expect("a response");
        tracing::info!("between head and body");
        let mut body = response.into_body();
        assert!(poll_frame(&mut body).is_ready());
        tracing::info!("between frames");
        drop(body);
        tracing::info!("after");
    });
    assert_eq!(lines.len(), 3);
    assert!(
        lines.iter().all(|line| line["spans"].is_null()),
        "{lines:#?}"
    );
}

#[test]
fn a_task_that_is_instrumented_has_it() {
    let at = Recorder::new();
    let layer = at.layer().tracing_span(true);
    let lines = json(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let mut service = layer.layer(service_fn(async |_: Request<()>| {
                let work = async { tracing::info!("in the task") };
                let task = tokio::spawn(work.instrument(Span::current()));
                task.await.expect("no panic");
                Ok::<_, std::convert::Infallible>(Response::new(String::new()))
            }));
            service.call(get()).await.expect("a response");
        });
    });
    let trace = at.only().0.span_context.trace_id().to_string();
    assert_eq!(span_of(&lines[0], "task")["trace_id"], trace);
}

#[test]
fn a_handler_records_in_the_documented_fields() {
    let layer = ApiSpanLayer::new().tracing_span(true);
    let fields = ["route", "request_id", "user_id", "session_id", "tenant"];
    let lines = json(|| {
        let mut service = answering(&layer, |_| {
            for field in fields {
                Span::current().record(field, "set");
            }
            Span::current().record("other", "lost");
            tracing::info!("handler");
            response(200, ScriptedBody::full(3))
        });
        drop(ready(service.call(get())));
    });
    let span = span_of(&lines[0], "handler");
    for field in fields {
        assert_eq!(span[field], "set", "{field}");
    }
    assert!(span["other"].is_null());
}

#[test]
fn route_and_request_id_are_known_at_the_start() {
    let layer = ApiSpanLayer::new()
        .tracing_span(true)
        .route_fn(|_| Some("/items/{id}"))
        .request_id_header(http::HeaderName::from_static("x-request-id"));
    for layer in [layer.clone(), layer.on_completion(|_| {})] {
        let lines = json(|| {
            let mut service = answering(&layer, |_| {
                tracing::info!("handler");
                response(200, ScriptedBody::full(3))
            });
            let request = Request::get("/items/7?key=secret").header("x-request-id", "r-1");
            drop(ready(service.call(request.body(()).expect("a request"))));
        });
        let span = span_of(&lines[0], "handler");
        assert_eq!(span["request_id"], "r-1");
        assert_eq!(span["route"], "/items/{id}");
        assert_eq!(span["path"], "/items/7", "without the query");
    }
}

#[test]
fn the_operators_span_replaces_it_and_gets_the_ids_in_its_fields() {
    let at = Recorder::new();
    let layer = at.layer().tracing_span_fn(|parts| {
        tracing::info_span!("mine", uri = %parts.uri, trace_id = Empty, span_id = Empty, shard = Empty)
    });
    let lines = json(|| serve_logging(&layer));
    let context = at.only().0.span_context;
    assert_eq!(lines.len(), 6);
    for line in &lines {
        let span = span_of(line, "mine");
        assert_eq!((&span["name"], &span["uri"]), (&"mine".into(), &"/".into()));
        assert_eq!(span["trace_id"], context.trace_id().to_string());
        assert_eq!(span["span_id"], context.span_id().to_string());
    }
}

#[test]
fn an_operators_span_that_is_none_or_panics() {
    let none = ApiSpanLayer::new().tracing_span_fn(|_| Span::none());
    let lines = json(|| serve_logging(&none));
    assert!(
        lines.iter().all(|line| line["spans"].is_null()),
        "{lines:#?}"
    );
    let panics = ApiSpanLayer::new().tracing_span_fn(|_| explode());
    let lines = json(|| defused(|| serve_logging(&panics)));
    let own = lines
        .iter()
        .filter(|line| line["fields"]["message"] == "handler");
    let names: Vec<_> = own.map(|line| &span_of(line, "default")["name"]).collect();
    assert_eq!(names, ["request"]);
}

#[test]
fn the_lines_of_the_access_log_are_in_it() {
    let layer = ApiSpanLayer::new().tracing_span(true);
    let layer = layer.access_log(AccessLog::new().request_start(true));
    let lines = json(|| {
        let mut service = answering(&layer, |_| {
            Span::current().record("tenant", "acme");
            response(200, ScriptedBody::full(3))
        });
        drop(ready(service.call(get())));
    });
    assert_eq!(messages(&lines), ["request started", "request completed"]);
    assert_eq!(span_of(&lines[1], "end")["tenant"], "acme");
    assert!(span_of(&lines[0], "start")["tenant"].is_null());
}

#[test]
fn it_is_inside_a_span_around_the_layer_and_not_in_another_requests() {
    let layer = ApiSpanLayer::new().tracing_span(true);
    let lines = json(|| {
        tracing::info_span!("connection").in_scope(|| serve_logging(&layer));
        serve_logging(&layer);
    });
    let names = |line: &Value| -> Vec<String> {
        let spans = line["spans"].as_array().expect("spans");
        let names = spans.iter().map(|span| span["name"].as_str());
        names.map(|name| name.expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&lines[0]), ["connection", "request"]);
    assert_eq!(names(&lines[5]), ["connection", "request"]);
    assert_eq!(names(&lines[6]), ["request"]);
}

/// Panics where a span is entered, exited or closed.
struct Faulty(&'static str);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Faulty {
    fn on_new_span(
        &self,
        _: &tracing::span::Attributes<'_>,
        _: &tracing::span::Id,
        _: tracing_subscriber::layer::Context<'_, S>,
    ) {
        assert_ne!(self.0, "new", "new");
    }

    fn on_enter(&self, _: &tracing::span::Id, _: tracing_subscriber::layer::Context<'_, S>) {
        assert_ne!(self.0, "enter", "enter");
    }

    fn on_exit(&self, _: &tracing::span::Id, _: tracing_subscriber::layer::Context<'_, S>) {
        assert_ne!(self.0, "exit", "exit");
    }

    fn on_close(&self, _: tracing::span::Id, _: tracing_subscriber::layer::Context<'_, S>) {
        assert_ne!(self.0, "close", "close");
    }
}

#[test]
fn a_subscriber_that_panics_affects_neither_request_nor_span() {
    use tracing_subscriber::layer::SubscriberExt as _;

    for at_call in ["new", "enter", "exit", "close"] {
        for ending in &crate::metrics::endings::ALL {
            let at = Recorder::new();
            let layer = at.layer().tracing_span(true);
            let subscriber = tracing_subscriber::registry().with(Faulty(at_call));
            with_subscriber(subscriber, || {
                defused(|| ending.run(&layer));
                assert!(Span::current().is_none(), "{at_call}, {}", ending.name);
            });
            assert_eq!(at.ends(), 1, "{at_call}, {}", ending.name);
            assert_eq!(
                at.only().attribute("error.type").as_deref(),
                ending.error_type,
                "{}",
                ending.name
            );
        }
    }
}

#[test]
fn it_is_closed_when_the_response_is_dropped() {
    use tracing_subscriber::fmt::format::FmtSpan;

    let plain = |written| {
        tracing_subscriber::fmt()
            .with_span_events(FmtSpan::NEW | FmtSpan::CLOSE)
            .with_writer(written)
            .json()
            .finish()
    };
    let layer = ApiSpanLayer::new().tracing_span(true);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let all = written(plain, || serve_logging(&layer)).json();
    // That of a test beside this one, with tracing-opentelemetry.
    for line in all
        .iter()
        .filter(|line| is_of_requests(line) && line["span"]["name"] != "request start")
    {
        let text = line["fields"]["message"].as_str().unwrap_or_default();
        seen.lock().expect("no panic").push(text.to_owned());
    }
    let seen = seen.lock().expect("no panic");
    assert_eq!(seen.first().map(String::as_str), Some("new"));
    assert_eq!(seen.last().map(String::as_str), Some("close"));
    assert_eq!(seen.iter().filter(|text| *text == "close").count(), 1);
}

#[test]
fn it_is_current_in_the_callback_at_the_end() {
    let at = Recorder::new();
    let layer = at.layer().tracing_span(true);
    let layer = layer.on_completion(|_| tracing::info!("completed"));
    let lines = json(|| serve_logging(&layer));
    let line = lines
        .iter()
        .find(|line| line["fields"]["message"] == "completed");
    let trace = at.only().0.span_context.trace_id().to_string();
    assert_eq!(span_of(line.expect("a line"), "end")["trace_id"], trace);
}

#[test]
fn a_subscriber_that_panics_leaves_no_span_entered() {
    use tracing_subscriber::layer::SubscriberExt as _;

    let layer = ApiSpanLayer::new().tracing_span(true);
    let subscriber = tracing_subscriber::registry().with(Faulty("enter"));
    with_subscriber(subscriber, || {
        let mut service = answering(&layer, |_| response(200, ScriptedBody::full(3)));
        let open = defused(|| ready(service.call(get())));
        assert!(Span::current().is_none(), "{:?}", Span::current());
        drop(open);
    });
}
