//! The comparison of a span with how its exchange ended.

use std::collections::BTreeMap;

use opentelemetry::{StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::llm::request::Request;
use super::{Ended, Oracle, Summary};

impl Oracle {
    /// Checks that the span of this exchange shows how it ended.
    ///
    /// # Panics
    ///
    /// Panics if it does not, or if the exchange has not ended.
    pub fn check(&self, span: &SpanData) {
        let ended = self.ended().expect("the exchange has ended");
        if ended.is_unknown {
            return;
        }
        check_outcome(span, ended);
        check_events(span, ended);
        check_handler_attributes(span, ended);
        if !ended.is_summary_open {
            check_values(span, summary_values(&ended.summary));
        }
        if self.settings.is_llm {
            assert_eq!(span.name, "llm_request");
        }
        if !self.is_grpc_request() {
            self.check_http(span, ended);
        }
    }

    /// Checks path, route and name of an HTTP request.
    fn check_http(&self, span: &SpanData, ended: &Ended) {
        assert_eq!(attribute(span, "url.path"), Some(self.path.clone()));
        // The handler can also set the route as an attribute, which does not change the name.
        let mut by_key = ended.attributes.iter().rev();
        let by_key = by_key.find(|(key, _)| *key == "http.route");
        let route = ended.route.or(by_key.map(|(_, value)| *value));
        assert_eq!(
            attribute(span, "http.route").as_deref(),
            route,
            "http.route"
        );
        if !self.settings.is_llm {
            let route = ended.route.map(|route| format!(" {route}"));
            let route = route.unwrap_or_default();
            assert_eq!(span.name, format!("{}{route}", self.method));
        }
    }
}

fn check_outcome(span: &SpanData, ended: &Ended) {
    let outcome = match ended.reason {
        None => "DEPARTED",
        Some(_) => "ABORTED",
    };
    let status = ended.status.map(|status| status.to_string());
    for (key, expected) in [
        ("api.outcome", Some(outcome)),
        ("api.abort.reason", ended.reason),
        ("error.type", ended.error_type.as_deref()),
        ("api.error.code", ended.error_code.as_deref()),
        ("rpc.status_code", ended.grpc_code),
        ("http.response.status_code", status.as_deref()),
    ] {
        assert_eq!(attribute(span, key).as_deref(), expected, "{key}");
    }
    for (key, is_present) in [
        ("api.time_to_head", ended.has_head),
        ("api.time_to_first_byte", ended.has_first_byte),
        ("gen_ai.response.time_to_first_chunk", ended.has_first_chunk),
    ] {
        assert_eq!(attribute(span, key).is_some(), is_present, "{key}");
    }
}

fn check_events(span: &SpanData, ended: &Ended) {
    let events: Vec<_> = span.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ended.events, "the events");
    let dropped = (ended.dropped_events > 0).then(|| ended.dropped_events.to_string());
    assert_eq!(attribute(span, "api.dropped_events"), dropped);
    let terminal = span.events.last().expect("a terminal event");
    for (key, expected) in [("error", &ended.error), ("code", &ended.error_code)] {
        let mut attributes = terminal.attributes.iter();
        let found = attributes.find(|attribute| attribute.key.as_str() == key);
        let found = found.map(|found| found.value.to_string());
        assert_eq!(found, *expected, "{key} of the terminal event");
    }
}

/// Checks that a span shows what was read of its request.
///
/// # Panics
///
/// Panics if it does not.
pub fn check_request(span: &SpanData, request: &Request) {
    let text = |text: &str| Value::from(text.to_owned());
    check_values(
        span,
        [
            ("gen_ai.request.model", request.model.as_deref().map(text)),
            ("gen_ai.request.max_tokens", request.max_tokens.map(count)),
            (
                "gen_ai.request.temperature",
                request.temperature.map(Value::from),
            ),
            (
                "gen_ai.request.stream",
                request.is_stream.then(|| Value::from(true)),
            ),
            ("gen_ai.output.type", request.output_type.map(text)),
        ],
    );
}

/// Returns the attributes that were read from the body.
pub fn summary_values(summary: &Summary) -> [(&'static str, Option<Value>); 10] {
    let text = |text: &str| Value::from(text.to_owned());
    let reasons = summary
        .finish_reasons
        .iter()
        .cloned()
        .map(StringValue::from);
    let reasons: Vec<_> = reasons.collect();
    let usage = summary.usage();
    [
        ("gen_ai.response.id", summary.id.as_deref().map(text)),
        ("gen_ai.response.model", summary.model.as_deref().map(text)),
        (
            "gen_ai.response.finish_reasons",
            (!reasons.is_empty()).then(|| Value::Array(reasons.into())),
        ),
        ("gen_ai.operation.name", summary.operation.map(text)),
        ("gen_ai.provider.name", summary.provider.map(text)),
        ("gen_ai.usage.input_tokens", usage.input.map(count)),
        ("gen_ai.usage.output_tokens", usage.output.map(count)),
        (
            "gen_ai.usage.cache_read.input_tokens",
            usage.cache_read.map(count),
        ),
        (
            "gen_ai.usage.cache_creation.input_tokens",
            usage.cache_creation.map(count),
        ),
        (
            "gen_ai.usage.reasoning.output_tokens",
            usage.reasoning.map(count),
        ),
    ]
}

fn count(count: u64) -> Value {
    Value::from(i64::try_from(count).expect("up to 2^53"))
}

fn check_values<const N: usize>(span: &SpanData, expected: [(&str, Option<Value>); N]) {
    for (key, expected) in expected {
        let mut attributes = span.attributes.iter();
        let found = attributes.find(|attribute| attribute.key.as_str() == key);
        assert_eq!(found.map(|found| found.value.clone()), expected, "{key}");
    }
}

/// Checks the attributes that the handler set under keys of the tests.
fn check_handler_attributes(span: &SpanData, ended: &Ended) {
    let is_test_key = |key: &&str| key.starts_with("test.") || *key == "api.version";
    let set = ended.attributes.iter();
    let set = set.map(|(key, value)| (*key, (*value).to_owned()));
    let set: BTreeMap<_, _> = set.filter(|(key, _)| is_test_key(key)).collect();
    let recorded = span.attributes.iter();
    let recorded = recorded.map(|one| (one.key.as_str(), one.value.to_string()));
    let recorded: BTreeMap<_, _> = recorded.filter(|(key, _)| is_test_key(key)).collect();
    assert_eq!(recorded, set, "the handler's attributes");
    let dropped = (ended.dropped_attributes > 0).then(|| ended.dropped_attributes.to_string());
    assert_eq!(attribute(span, "api.dropped_attributes"), dropped);
}

fn attribute(span: &SpanData, key: &str) -> Option<String> {
    let mut all = span.attributes.iter();
    let found = all.find(|attribute| attribute.key.as_str() == key);
    found.map(|attribute| attribute.value.to_string())
}
