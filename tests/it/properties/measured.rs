//! What metrics must contain of a request by the oracle, under any settings.

use std::collections::BTreeMap;
use std::panic::resume_unwind;

use opentelemetry::KeyValue;
use proptest::prelude::*;
use proptest::sample::select;
use tower_api_span::{ApiSpanLayer, StreamDurations};

use super::oracle::{Ended, Oracle};
use super::signals::{Measurement, measurement};
use crate::completion::shown;

/// The settings of metrics.
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
#[derive(Clone, Copy, Debug)]
pub struct MetricSettings {
    pub active_requests: bool,
    pub response_times: bool,
    pub body_sizes: bool,
    pub gen_ai: bool,
    pub streams: StreamDurations,
    /// `metric_attribute_keys`.
    keys: &'static [&'static str],
    callback: Callback,
}

/// What `metric_attributes` is set to.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Callback {
    Unset,
    /// It returns the outcome under the first key, and a value under a key that is not listed.
    Returns,
    Panics,
}

/// Lists of keys. One that is the layer's, or empty, is left out.
const KEYS: [&[&str]; 4] = [
    &[],
    &["test.plan"],
    &["test.tenant", "test.plan", "test.plan"],
    &["error.type", "", "test.tenant", "http.route"],
];

pub fn metric_settings() -> impl Strategy<Value = MetricSettings> {
    let streams = select(vec![
        StreamDurations::Included,
        StreamDurations::Marked,
        StreamDurations::Excluded,
    ]);
    let callback = select(vec![
        Callback::Unset,
        Callback::Returns,
        Callback::Returns,
        Callback::Panics,
    ]);
    (any::<[bool; 4]>(), streams, select(&KEYS[..]), callback).prop_map(
        |([active_requests, response_times, body_sizes, gen_ai], streams, keys, callback)| {
            MetricSettings {
                active_requests,
                response_times,
                body_sizes,
                gen_ai,
                streams,
                keys,
                callback,
            }
        },
    )
}

impl MetricSettings {
    pub fn apply(&self, layer: ApiSpanLayer) -> ApiSpanLayer {
        let layer = layer
            .active_requests(self.active_requests)
            .response_times(self.response_times)
            .body_sizes(self.body_sizes)
            .gen_ai_metrics(self.gen_ai)
            .stream_durations(self.streams)
            .metric_attribute_keys(self.keys.iter().copied());
        match self.callback {
            Callback::Unset => layer,
            Callback::Returns => layer.metric_attributes(|completion| {
                [
                    KeyValue::new("test.plan", shown(completion)),
                    KeyValue::new("test.unlisted", "x"),
                ]
            }),
            Callback::Panics => layer.metric_attributes(|_| -> Vec<KeyValue> {
                resume_unwind(Box::new("metric attributes"))
            }),
        }
    }

    /// Whether the durations of this request are recorded.
    fn has_duration(&self, ended: &Ended) -> bool {
        !(ended.is_stream && self.streams == StreamDurations::Excluded)
    }

    /// Whether the request has `api.stream`.
    pub fn is_marked(&self, ended: &Ended) -> bool {
        ended.is_stream && self.streams == StreamDurations::Marked
    }

    /// Returns the attributes of handler and operator.
    fn added(&self, ended: &Ended) -> BTreeMap<String, String> {
        let own = ["error.type", "http.route", ""];
        let is_listed = |key: &str| self.keys.contains(&key) && !own.contains(&key);
        let set = ended.metric_attributes.iter();
        let set = set.filter(|(key, _)| is_listed(key));
        let mut added: BTreeMap<_, _> = set
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        if self.callback == Callback::Returns && is_listed("test.plan") {
            added.insert("test.plan".to_owned(), ended.outcome());
        }
        added
    }
}

/// The times of a request, in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    pub duration: f64,
    pub to_head: Option<f64>,
    pub to_first_byte: Option<f64>,
    pub to_first_token: Option<f64>,
}

/// Returns all measurements of a request. Where the oracle leaves open what is read of an answer, `None`.
pub fn measurements(
    oracle: &Oracle,
    settings: &MetricSettings,
    times: &Times,
) -> Option<Vec<Measurement>> {
    let ended = oracle.ended().expect("an end");
    let mut all = of_server(oracle, settings, times);
    if settings.gen_ai {
        if ended.is_summary_open {
            return None;
        }
        all.extend(of_gen_ai(ended, settings, times));
    }
    Some(all)
}

/// Returns the measurements for HTTP or gRPC, which share their attributes.
pub fn of_server(oracle: &Oracle, settings: &MetricSettings, times: &Times) -> Vec<Measurement> {
    let ended = oracle.ended().expect("an end");
    let mut duration = measurement(oracle, times.duration);
    duration.attributes.extend(settings.added(ended));
    if settings.is_marked(ended) {
        let marked = ("api.stream".to_owned(), "true".to_owned());
        duration.attributes.extend([marked]);
    }
    let attributes = duration.attributes.clone();
    let other = |metric: &str, value: Option<f64>| {
        value.map(|value| Measurement {
            metric: metric.to_owned(),
            value,
            attributes: attributes.clone(),
        })
    };
    let mut all = Vec::new();
    all.extend(Some(duration).filter(|_| settings.has_duration(ended)));
    if settings.response_times {
        all.extend(other("api.server.time_to_head", times.to_head));
        all.extend(other("api.server.time_to_first_byte", times.to_first_byte));
    }
    if settings.body_sizes {
        for (metric, bytes) in [
            ("http.server.request.body.size", ended.request_bytes),
            ("http.server.response.body.size", ended.response_bytes),
        ] {
            all.extend(other(metric, bytes.map(small)));
        }
    }
    all
}

fn small(bytes: u64) -> f64 {
    u32::try_from(bytes).expect("a small body").into()
}

/// Returns the measurements of a request to a language model.
pub fn of_gen_ai(ended: &Ended, settings: &MetricSettings, times: &Times) -> Vec<Measurement> {
    let summary = &ended.summary;
    let Some(operation) = summary.operation else {
        return Vec::new();
    };
    let provider = summary.provider.unwrap_or("_OTHER");
    let has_answer = ended.head_status.is_some_and(|status| status < 400);
    let members = [
        ("gen_ai.operation.name", Some(operation.to_owned())),
        ("gen_ai.provider.name", Some(provider.to_owned())),
        (
            "gen_ai.response.model",
            summary.model.clone().filter(|_| has_answer),
        ),
        ("error.type", ended.error_type.clone()),
    ];
    let members = members.into_iter();
    let members = members.filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let mut attributes: BTreeMap<_, _> = members.collect();
    attributes.extend(settings.added(ended));
    let first = times.to_first_token.filter(|_| ended.reason.is_none());
    let more_tokens = summary.usage().output.and_then(|tokens| {
        let tokens = u32::try_from(tokens).ok()?;
        tokens.checked_sub(1).filter(|more| *more > 0)
    });
    let per_token = first.zip(more_tokens);
    let per_token = per_token.map(|(first, more)| (times.duration - first) / f64::from(more));
    let all = [
        ("gen_ai.server.request.duration", Some(times.duration)),
        ("gen_ai.server.time_to_first_token", first),
        ("gen_ai.server.time_per_output_token", per_token),
    ];
    let all = all.into_iter().filter_map(|(metric, value)| {
        Some(Measurement {
            metric: metric.to_owned(),
            value: value?,
            attributes: attributes.clone(),
        })
    });
    all.collect()
}

/// Asserts that two lists contain the same measurements, in any order. Times are equal to a microsecond.
pub fn assert_same(mut measured: Vec<Measurement>, mut expected: Vec<Measurement>) {
    for list in [&mut measured, &mut expected] {
        list.sort_by(|one, other| {
            let key = |one: &Measurement| (one.metric.clone(), one.attributes.clone());
            let by_value = one.value.total_cmp(&other.value);
            key(one).cmp(&key(other)).then(by_value)
        });
    }
    let is_same = measured.len() == expected.len()
        && measured.iter().zip(&expected).all(|(one, other)| {
            let is_near = (one.value - other.value).abs() < 0.000_001;
            is_near && (&one.metric, &one.attributes) == (&other.metric, &other.attributes)
        });
    assert!(is_same, "measured {measured:#?}, expected {expected:#?}");
}
