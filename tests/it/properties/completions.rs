//! What `on_completion` must get of a request by the oracle.

use opentelemetry::Value;
use opentelemetry::trace::SpanContext;
use tower_api_span::{Completion, Outcome, Protocol};

use super::measured::Times;
use super::oracle::{Ended, Oracle, summary_values};
use crate::completion::shown;
use crate::support::recorder::Seen;

/// Checks a completion, without its times. `ids` are those of the context inside.
///
/// # Panics
///
/// Panics if it is not that of the oracle.
pub fn check_completion(
    completion: &Completion,
    oracle: &Oracle,
    ids: &SpanContext,
    has_sizes: bool,
) {
    let ended = oracle.ended().expect("an end");
    assert_eq!(completion.method(), oracle.method());
    assert_eq!(completion.path(), Some(oracle.path()));
    assert_eq!(completion.version(), oracle.version());
    assert_eq!(completion.protocol() != Protocol::Http, ended.is_grpc);
    let status = completion.status().map(|status| status.as_u16());
    assert_eq!(status, ended.head_status, "the status");
    let route = ended.route.filter(|_| !ended.is_grpc);
    assert_eq!(completion.route(), route);
    if ended.is_grpc && ended.is_complete {
        let status = completion.grpc_status().map(|status| status.code.as_str());
        assert_eq!(status, ended.grpc_code, "the status of gRPC");
    }
    check_outcome(completion, ended);
    let sizes = [ended.request_bytes, ended.response_bytes];
    let sizes = sizes.map(|bytes| bytes.filter(|_| has_sizes));
    let found = [completion.request_bytes(), completion.response_bytes()];
    assert_eq!(found, sizes, "the sizes");
    assert_eq!(completion.is_stream(), ended.is_stream, "a stream");
    assert_eq!(completion.trace_id(), ids.trace_id());
    assert_eq!(completion.span_id(), ids.span_id());
    check_attributes(completion, ended);
    let times = Times::of_completion(completion);
    assert_eq!(times.to_head.is_some(), ended.has_head);
    assert_eq!(times.to_first_byte.is_some(), ended.has_first_byte);
    assert!(times.to_first_token.is_some() || !ended.has_first_chunk);
}

fn check_outcome(completion: &Completion, ended: &Ended) {
    assert_eq!(shown(completion), ended.outcome());
    if let Some(Outcome::Aborted(aborted)) = completion.outcome() {
        assert_eq!(aborted.error_type.as_deref(), ended.error_type.as_deref());
        assert_eq!(aborted.message, ended.error, "the message");
        assert_eq!(aborted.code, ended.error_code, "the code");
    }
}

/// Checks what the handler has set and what was read of the answer.
fn check_attributes(completion: &Completion, ended: &Ended) {
    for key in ["test.mine", "test.mine.too"] {
        let mut set = ended.attributes.iter().rev();
        let set = set.find(|(name, _)| *name == key);
        let set = set.map(|(_, value)| Value::from(*value));
        assert_eq!(completion.attribute(key), set.as_ref(), "{key}");
    }
    if ended.is_summary_open {
        return;
    }
    for (key, value) in summary_values(&ended.summary) {
        assert_eq!(completion.attribute(key), value.as_ref(), "{key}");
    }
}

impl Times {
    pub fn of_completion(completion: &Completion) -> Self {
        let seconds = |time: std::time::Duration| time.as_secs_f64();
        Self {
            duration: completion.duration().as_secs_f64(),
            to_head: completion.time_to_head().map(seconds),
            to_first_byte: completion.time_to_first_byte().map(seconds),
            to_first_token: completion.time_to_first_token().map(seconds),
        }
    }

    /// Asserts that a span has these times.
    pub fn check(&self, span: &Seen) {
        let duration = span.duration().as_secs_f64();
        assert_eq!(Some(self.duration), Some(duration), "the duration");
        let first_chunk = "gen_ai.response.time_to_first_chunk";
        for (key, seconds) in [
            ("api.time_to_head", self.to_head),
            ("api.time_to_first_byte", self.to_first_byte),
            (first_chunk, self.to_first_token),
        ] {
            let shown = match span.value(key) {
                None => None,
                Some(Value::F64(seconds)) => Some(seconds),
                Some(other) => panic!("{key}: {other:?}"),
            };
            // Without `journey_events`, or with an error status, a span has no first chunk.
            if key != first_chunk || shown.is_some() {
                assert_eq!(shown, seconds, "{key}");
            }
        }
    }
}
