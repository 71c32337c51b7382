//! What the settings decide, and that span and metric tell the same error.

use tower_api_span::{Aborted, ApiSpanLayer, End, Outcome, StreamDurations, classify};

use super::endings::{ALL, Ending, head, headed};
use super::{CALL_DURATION, DURATION, RESPONSE_SIZE};
use crate::support::body::Step::{Data, Silent};
use crate::support::get;
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen};

/// The span and the duration of a request that comes to this end in `layer`.
fn told_of(ending: &Ending, layer: ApiSpanLayer) -> (Seen, Series) {
    let (at, meters) = (Recorder::new(), Meters::new());
    ending.run(&meters.on(layer).tracer_provider(&at.provider));
    let metric = if ending.is_call() {
        CALL_DURATION
    } else {
        DURATION
    };
    let span = at.only();
    let series = meters.only(metric);
    assert_eq!(series.count(), 1, "{}", ending.name);
    (span, series)
}

/// That `error.type` is this, on the span and on the metric.
fn assert_error(ending: &Ending, layer: ApiSpanLayer, error_type: Option<&str>, why: &str) {
    let name = ending.name;
    let (span, series) = told_of(ending, layer);
    let on_span = span.attribute("error.type");
    assert_eq!(on_span.as_deref(), error_type, "{name}, {why}: span");
    let on_metric = series.attribute("error.type");
    assert_eq!(on_metric.as_deref(), error_type, "{name}, {why}: metric");
    assert_eq!(span.is_error(), error_type.is_some(), "{name}, {why}");
}

#[test]
fn every_ending_has_the_same_error_type_on_span_and_metric() {
    for ending in &ALL {
        let layer = ApiSpanLayer::new();
        assert_error(ending, layer, ending.error_type, "by default");
    }
}

#[test]
fn a_client_that_leaves_is_no_error_if_the_settings_say_so() {
    for ending in &ALL {
        let layer = ApiSpanLayer::new().disconnect_is_error(false);
        let error_type = ending.error_type.filter(|_| !ending.is_leaving);
        assert_error(ending, layer, error_type, "tolerated");
    }
}

#[test]
fn a_client_that_leaves_is_no_error_if_the_handler_says_so() {
    for ending in ALL.iter().filter(|ending| ending.is_leaving) {
        let ending = Ending {
            tell: tower_api_span::SpanHandle::allow_disconnect,
            ..*ending
        };
        assert_error(&ending, ApiSpanLayer::new(), None, "allowed");
    }
}

#[test]
fn a_classification_of_the_users_is_told_by_both() {
    for ending in &ALL {
        let quota = Aborted::new("quota").with_error_type("quota_exceeded");
        let layer = ApiSpanLayer::new().classify(move |_, _, _| Outcome::Aborted(quota.clone()));
        // A panic is the user's to judge as well.
        assert_error(ending, layer, Some("quota_exceeded"), "all are errors");
        let layer = ApiSpanLayer::new().classify(|_, _, _| Outcome::Departed);
        assert_error(ending, layer, None, "none is an error");
        let layer = ApiSpanLayer::new().classify(|head, end, verdict| match end {
            End::Complete { .. } => classify(head, end, verdict),
            _ => Outcome::Aborted(Aborted::new("cut").with_error_type("cut")),
        });
        let is_complete = ["success", "404", "500", "verdict"].contains(&ending.name)
            || ending.name.starts_with("gRPC") && ending.polls > 0;
        let error_type = if is_complete {
            ending.error_type
        } else {
            Some("cut")
        };
        assert_error(ending, layer, error_type, "some of them");
    }
}

#[test]
fn an_empty_error_type_of_the_users_is_other_on_both() {
    let layer = || {
        ApiSpanLayer::new()
            .classify(|_, _, _| Outcome::Aborted(Aborted::new("quota").with_error_type("")))
    };
    assert_error(&ALL[0], layer(), Some("_OTHER"), "empty");
}

const TEXT: Ending = Ending {
    name: "text",
    answer: headed(200, &[("content-type", "text/plain")], &[Data(5)]),
    ..ALL[0]
};
const STREAM: Ending = Ending {
    name: "stream by its content type",
    answer: headed(200, &[("content-type", "text/event-stream")], &[Data(5)]),
    ..ALL[0]
};
const DECLARED: Ending = Ending {
    name: "stream by the handler's word",
    tell: tower_api_span::SpanHandle::declare_stream,
    ..TEXT
};
const LEFT: Ending = Ending {
    name: "stream that is left",
    answer: headed(
        200,
        &[("content-type", "application/x-ndjson; a=b")],
        &[Data(5), Silent],
    ),
    polls: 1,
    ..ALL[0]
};
const CALL: Ending = Ending {
    name: "call of a stream",
    tell: tower_api_span::SpanHandle::declare_stream,
    ..ALL[12]
};

/// What becomes of a duration.
#[derive(Debug, PartialEq)]
enum Is {
    There,
    Marked,
    Gone,
}

#[test]
fn streams_are_included_marked_or_left_out() {
    use StreamDurations::{Excluded, Included, Marked};
    for (ending, is_stream) in [
        (TEXT, false),
        (STREAM, true),
        (DECLARED, true),
        (LEFT, true),
        (CALL, true),
    ] {
        for setting in [Included, Marked, Excluded] {
            let (at, meters) = (Recorder::new(), Meters::new());
            let layer = at.layer().stream_durations(setting);
            let layer = meters.on(layer).body_sizes(true).response_times(true);
            ending.run(&layer);
            let why = format!("{}, {setting:?}", ending.name);
            let (metric, others) = if ending.is_call() {
                (CALL_DURATION, &["api.server.time_to_head"][..])
            } else {
                (DURATION, &["api.server.time_to_head", RESPONSE_SIZE][..])
            };
            let is_marked = is_stream && setting == Marked;
            let expected = match setting {
                Excluded if is_stream => Is::Gone,
                _ if is_marked => Is::Marked,
                _ => Is::There,
            };
            let found = match &meters.of(metric)[..] {
                [] => Is::Gone,
                [one] if one.attribute("api.stream").as_deref() == Some("true") => Is::Marked,
                [one] if one.get("api.stream").is_none() => Is::There,
                other => panic!("{why}: {other:?}"),
            };
            assert_eq!(found, expected, "{why}");
            let span = at.only();
            assert_eq!(span.attribute("api.stream").is_some(), is_marked, "{why}");
            // All other metrics have them.
            for metric in others {
                let other = meters.only(metric);
                assert_eq!(other.count(), 1, "{why}: {metric}");
                assert_eq!(other.get("api.stream").is_some(), is_marked, "{why}");
            }
        }
    }
}

#[test]
fn the_content_types_of_streams_are_the_ones_that_were_given() {
    let meters = Meters::new();
    let layer = meters
        .layer()
        .stream_durations(StreamDurations::Excluded)
        .stream_content_types(["Text/Plain"]);
    TEXT.run(&layer);
    assert_eq!(meters.names(), [""; 0]);
    STREAM.run(&layer);
    assert_eq!(meters.only(DURATION).count(), 1);
}

#[test]
fn response_times_are_those_of_the_span() {
    const METRICS: [(&str, &str); 2] = [
        ("api.server.time_to_head", "api.time_to_head"),
        ("api.server.time_to_first_byte", "api.time_to_first_byte"),
    ];
    for ending in &ALL {
        let (at, meters) = (Recorder::new(), Meters::new());
        ending.run(&meters.on(at.layer()).response_times(true));
        let span = at.only();
        for (metric, key) in METRICS {
            let on_span = span.value(key).map(|value| match value {
                opentelemetry::Value::F64(seconds) => seconds,
                other => panic!("{key} is {other:?}"),
            });
            let series = meters.of(metric);
            let on_metric = series.first().map(Series::sum);
            assert_eq!(on_metric, on_span, "{}: {metric}", ending.name);
        }
    }
    let at = Meters::new();
    // An empty body has no first byte.
    let empty = Ending {
        request: get,
        answer: head(200, &[]),
        ..ALL[0]
    };
    empty.run(&at.layer().response_times(true));
    assert_eq!(at.names(), ["api.server.time_to_head", DURATION]);
}
