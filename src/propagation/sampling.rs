//! Sampling by the layer itself, before any span work.

use std::hash::{BuildHasher, RandomState};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};

/// The share of traces that is kept.
///
/// The trace id decides. The SDK's `TraceIdRatioBased` keeps the same traces at the same rate. For a request without
/// a parent a random id decides, because the tracer generates the trace id only when it starts the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(u64);

/// The bound that keeps all traces: one more than the largest 63-bit number.
const ALL: u64 = 1 << 63;

impl Rate {
    pub(crate) const ALL: Self = Self(ALL);

    /// Creates a rate from 0 (none) to 1 (all), clamped to this range. NaN keeps all.
    pub(crate) fn new(rate: f64) -> Self {
        if rate.is_nan() {
            return Self::ALL;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of 2^63, which need not be exact"
        )]
        let bound = (rate.clamp(0.0, 1.0) * ALL as f64) as u64;
        Self(bound)
    }

    pub(crate) fn keeps_all(self) -> bool {
        self == Self::ALL
    }

    /// Whether the trace with this id is kept.
    pub(crate) fn keeps(self, trace_id: TraceId) -> bool {
        let mut low = [0; 8];
        low.copy_from_slice(&trace_id.to_bytes()[8..]);
        u64::from_be_bytes(low) >> 1 < self.0
    }

    /// Returns the context to propagate if the request is sampled out. Its sampled flag is cleared, so that child
    /// spans are not recorded. Returns `None` if the request is kept, or if its parent is not sampled: then the
    /// tracer's sampler decides.
    pub(crate) fn sample_out(self, parent: &Context) -> Option<Context> {
        let span = parent.span();
        let caller = span.span_context();
        let propagated = if !caller.is_valid() {
            let trace_id = random_trace_id();
            if self.keeps(trace_id) {
                return None;
            }
            SpanContext::new(
                trace_id,
                SpanId::from(random() | 1),
                TraceFlags::NOT_SAMPLED,
                false,
                opentelemetry::trace::TraceState::NONE,
            )
        } else if !caller.is_sampled() || self.keeps(caller.trace_id()) {
            return None;
        } else {
            SpanContext::new(
                caller.trace_id(),
                caller.span_id(),
                TraceFlags::NOT_SAMPLED,
                caller.is_remote(),
                caller.trace_state().clone(),
            )
        };
        Some(parent.with_remote_span_context(propagated))
    }
}

/// Generates a trace id that is not zero.
fn random_trace_id() -> TraceId {
    TraceId::from((u128::from(random()) << 64) | u128::from(random()) | 1 << 64)
}

/// Generates a random number. The standard library seeds each `RandomState` anew, from a seed of the
/// system.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_keeps_its_share_of_traces() {
        for (rate, least, most) in [
            (0.0, 0, 0),
            (-1.0, 0, 0),
            (0.1, 700, 1_300),
            (0.5, 4_600, 5_400),
            (1.0, 10_000, 10_000),
            (7.0, 10_000, 10_000),
            (f64::NAN, 10_000, 10_000),
        ] {
            let rate = Rate::new(rate);
            let kept = (0..10_000)
                .filter(|_| rate.keeps(random_trace_id()))
                .count();
            assert!((least..=most).contains(&kept), "{rate:?}: {kept}");
        }
    }

    #[test]
    fn rate_of_zero_keeps_no_id_and_rate_of_one_keeps_every_id() {
        assert!(!Rate::new(0.0).keeps(TraceId::from(1 << 64)));
        assert!(Rate::ALL.keeps(TraceId::from(u128::MAX)));
    }

    #[test]
    fn both_halves_of_a_generated_id_are_random() {
        let [one, other] = [(); 2].map(|()| random_trace_id().to_bytes());
        assert!(one[..8] != other[..8] && one[8..] != other[8..]);
    }

    #[test]
    fn rate_keeps_the_traces_that_the_sdk_samples() {
        use opentelemetry::trace::SpanKind;
        use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
        for rate in [0.01, 0.3, 0.99] {
            for _ in 0..1_000 {
                let trace_id = random_trace_id();
                let sdk = Sampler::TraceIdRatioBased(rate).should_sample(
                    None,
                    trace_id,
                    "",
                    &SpanKind::Server,
                    &[],
                    &[],
                );
                let kept = sdk.decision == SamplingDecision::RecordAndSample;
                assert_eq!(Rate::new(rate).keeps(trace_id), kept, "{rate} {trace_id}");
            }
        }
    }
}
