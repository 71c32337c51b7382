//! The time that a request waited before it arrived.

use std::time::{Duration, SystemTime};

use http::{HeaderName, Request};
use tower::Service;
use tower_api_span::ApiSpanLayer;

use crate::support::body::ScriptedBody;
use crate::support::meters::Meters;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, defused, explode, read, ready, response};

fn seen(at: &Recorder, layer: &ApiSpanLayer, header: &str) -> Seen {
    at.forget();
    let mut service = answering(layer, |_| response(200, ScriptedBody::full(3)));
    let request = Request::get("/").header("x-request-start", header);
    let request = request.body(()).expect("a request");
    let response = ready(service.call(request)).expect("a response");
    read(&mut response.into_body()).expect("bytes");
    at.only()
}

fn header() -> HeaderName {
    HeaderName::from_static("x-request-start")
}

/// Returns the header of a request that was received so many seconds ago.
fn ago(seconds: f64) -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    format!("t={:.6}", now.expect("after 1970").as_secs_f64() - seconds)
}

fn queue_time(span: &Seen) -> Option<f64> {
    let text = span.attribute("api.queue_time")?;
    Some(text.parse().expect("a number"))
}

/// Returns the time from the start of the span to its first event, the arrival.
fn lead(span: &Seen) -> f64 {
    let arrived = span.0.events[0].timestamp;
    let lead = arrived.duration_since(span.0.start_time);
    lead.expect("the start is first").as_secs_f64()
}

#[test]
fn the_time_is_an_attribute_and_if_set_the_start_of_the_span() {
    let at = Recorder::new();
    let layer = at.layer().queue_start_header(header());
    let span = seen(&at, &layer, &ago(2.0));
    let waited = queue_time(&span).expect("a time");
    assert!((2.0..30.0).contains(&waited), "{waited}");
    assert!(lead(&span) < 1e-9, "{}", lead(&span));

    let meters = Meters::new();
    let span = seen(&at, &meters.on(layer.start_in_queue(true)), &ago(2.0));
    let waited = queue_time(&span).expect("a time");
    assert!(
        (lead(&span) - waited).abs() < 1e-6,
        "{waited} {}",
        lead(&span)
    );
    assert!(span.duration() >= Duration::from_secs(2));
    let measured = meters.only("http.server.request.duration").sum();
    assert!(measured < 2.0, "durations begin at the arrival: {measured}");
}

#[test]
fn without_the_setting_or_a_sound_value_there_is_none() {
    let at = Recorder::new();
    let layer = at.layer().start_in_queue(true);
    assert_eq!(queue_time(&seen(&at, &layer, &ago(2.0))), None);
    let layer = layer.queue_start_header(header());
    for value in [
        ago(-60.0),
        ago(3_700.0),
        "t=0".to_owned(),
        "soon".to_owned(),
    ] {
        let span = seen(&at, &layer, &value);
        assert_eq!(queue_time(&span), None, "{value}");
        assert!(lead(&span) < 1e-9, "{value}");
    }
    let panics = at.layer().queue_start_fn(|_| explode());
    let span = defused(|| seen(&at, &panics, ""));
    assert_eq!(queue_time(&span), None);
}

#[test]
fn the_application_may_know_the_start() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .queue_start_fn(|_| SystemTime::now().checked_sub(Duration::from_secs(9)));
    // The layer has read the clock before.
    let waited = queue_time(&seen(&at, &layer, "")).expect("a time");
    assert!((8.0..=9.0).contains(&waited), "{waited}");
}

#[test]
fn the_handler_cannot_replace_the_time() {
    use opentelemetry::KeyValue;

    let at = Recorder::new();
    let layer = at.layer().queue_start_header(header());
    let mut service = answering(&layer, |request| {
        let handle = crate::support::handle_of(&request);
        handle.set_attribute(KeyValue::new("api.queue_time", 1.0));
        response(200, ScriptedBody::full(3))
    });
    let request = Request::get("/").body(()).expect("a request");
    drop(ready(service.call(request)));
    assert_eq!(queue_time(&at.only()), None);
    assert_eq!(
        at.only().attribute("api.dropped_attributes").as_deref(),
        Some("1")
    );
}
