//! Settings that decide errors and stream durations: span and metric have the same `error.type`.

use tower_api_span::{Aborted, ApiSpanLayer, End, Outcome, StreamDurations, classify};

use super::endings::{ALL, Ending, head, head_with};
use super::{CALL_DURATION, DURATION, RESPONSE_SIZE};
use crate::support::body::Step::{Data, Silent};
use crate::support::get;
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen};

/// Runs an ending in `layer` and returns its span and its duration metric.
fn run(ending: &Ending, layer: ApiSpanLayer) -> (Seen, Series) {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    ending.run(&meters.on(layer).tracer_provider(&recorder.provider));
    let metric = if ending.is_grpc() {
        CALL_DURATION
    } else {
        DURATION
    };
    let span = recorder.only();
    let series = meters.only(metric);
    assert_eq!(series.count(), 1, "{}", ending.name);
    (span, series)
}

/// Checks `error.type` on the span and on the metric.
fn assert_error(ending: &Ending, layer: ApiSpanLayer, error_type: Option<&str>, why: &str) {
    let name = ending.name;
    let (span, series) = run(ending, layer);
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
fn a_client_disconnect_is_not_an_error_if_the_setting_is_off() {
    for ending in &ALL {
        let layer = ApiSpanLayer::new().disconnect_is_error(false);
        let error_type = ending.error_type.filter(|_| !ending.is_disconnect);
        assert_error(ending, layer, error_type, "tolerated");
    }
}

#[test]
fn a_client_disconnect_is_not_an_error_if_the_handler_allows_it() {
    for ending in ALL.iter().filter(|ending| ending.is_disconnect) {
        let ending = Ending {
            use_handle: tower_api_span::SpanHandle::allow_disconnect,
            ..*ending
        };
        assert_error(&ending, ApiSpanLayer::new(), None, "allowed");
    }
}

#[test]
fn a_custom_classification_applies_to_span_and_metric() {
    for ending in &ALL {
        let quota = Aborted::new("quota").with_error_type("quota_exceeded");
        let layer = ApiSpanLayer::new().classify(move |_| Outcome::Aborted(quota.clone()));
        // The classification applies to panics too.
        assert_error(ending, layer, Some("quota_exceeded"), "all are errors");
        let layer = ApiSpanLayer::new().classify(|_| Outcome::Departed);
        assert_error(ending, layer, None, "no errors");
        let layer = ApiSpanLayer::new().classify(|completion| match completion.end() {
            End::Complete { .. } => classify(completion),
            _ => Outcome::Aborted(Aborted::new("cut").with_error_type("cut")),
        });
        let is_complete = ["success", "404", "500", "verdict"].contains(&ending.name)
            || ending.name.starts_with("gRPC") && ending.polls > 0;
        let error_type = if is_complete {
            ending.error_type
        } else {
            Some("cut")
        };
        assert_error(ending, layer, error_type, "some are errors");
    }
}

#[test]
fn an_empty_custom_error_type_is_recorded_as_other() {
    let layer = || {
        ApiSpanLayer::new()
            .classify(|_| Outcome::Aborted(Aborted::new("quota").with_error_type("")))
    };
    assert_error(&ALL[0], layer(), Some("_OTHER"), "empty");
}

const TEXT: Ending = Ending {
    name: "text",
    reply: head_with(200, &[("content-type", "text/plain")], &[Data(5)]),
    ..ALL[0]
};
const STREAM: Ending = Ending {
    name: "stream by its content type",
    reply: head_with(200, &[("content-type", "text/event-stream")], &[Data(5)]),
    ..ALL[0]
};
const DECLARED: Ending = Ending {
    name: "stream declared by the handler",
    use_handle: tower_api_span::SpanHandle::declare_stream,
    ..TEXT
};
const ABANDONED: Ending = Ending {
    name: "stream that the client leaves",
    reply: head_with(
        200,
        &[("content-type", "application/x-ndjson; a=b")],
        &[Data(5), Silent],
    ),
    polls: 1,
    ..ALL[0]
};
const GRPC_STREAM: Ending = Ending {
    name: "gRPC stream",
    use_handle: tower_api_span::SpanHandle::declare_stream,
    ..ALL[12]
};

/// Whether a duration is recorded, and with `api.stream`.
#[derive(Debug, PartialEq)]
enum Recorded {
    Unmarked,
    Marked,
    Absent,
}

#[test]
fn stream_durations_are_included_marked_or_excluded() {
    use StreamDurations::{Excluded, Included, Marked};
    for (ending, is_stream) in [
        (TEXT, false),
        (STREAM, true),
        (DECLARED, true),
        (ABANDONED, true),
        (GRPC_STREAM, true),
    ] {
        for setting in [Included, Marked, Excluded] {
            let (recorder, meters) = (Recorder::new(), Meters::new());
            let layer = recorder.layer().stream_durations(setting);
            let layer = meters.on(layer).body_sizes(true).response_times(true);
            ending.run(&layer);
            let why = format!("{}, {setting:?}", ending.name);
            let (metric, others) = if ending.is_grpc() {
                (CALL_DURATION, &["api.server.time_to_head"][..])
            } else {
                (DURATION, &["api.server.time_to_head", RESPONSE_SIZE][..])
            };
            let is_marked = is_stream && setting == Marked;
            let expected = match setting {
                Excluded if is_stream => Recorded::Absent,
                _ if is_marked => Recorded::Marked,
                _ => Recorded::Unmarked,
            };
            let found = match &meters.of(metric)[..] {
                [] => Recorded::Absent,
                [one] if one.attribute("api.stream").as_deref() == Some("true") => Recorded::Marked,
                [one] if one.get("api.stream").is_none() => Recorded::Unmarked,
                other => panic!("{why}: {other:?}"),
            };
            assert_eq!(found, expected, "{why}");
            let span = recorder.only();
            assert_eq!(span.attribute("api.stream").is_some(), is_marked, "{why}");
            // All other metrics include streams.
            for metric in others {
                let other = meters.only(metric);
                assert_eq!(other.count(), 1, "{why}: {metric}");
                assert_eq!(other.get("api.stream").is_some(), is_marked, "{why}");
            }
        }
    }
}

#[test]
fn only_the_configured_content_types_are_streams() {
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
fn response_time_metrics_equal_the_span_attributes() {
    const METRICS: [(&str, &str); 2] = [
        ("api.server.time_to_head", "api.time_to_head"),
        ("api.server.time_to_first_byte", "api.time_to_first_byte"),
    ];
    for ending in &ALL {
        let (recorder, meters) = (Recorder::new(), Meters::new());
        ending.run(&meters.on(recorder.layer()).response_times(true));
        let span = recorder.only();
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
    let meters = Meters::new();
    // An empty body has no first byte.
    let empty = Ending {
        request: get,
        reply: head(200, &[]),
        ..ALL[0]
    };
    empty.run(&meters.layer().response_times(true));
    assert_eq!(meters.names(), ["api.server.time_to_head", DURATION]);
}
