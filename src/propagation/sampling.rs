//! Sampling out by the layer itself, before any span work.

use std::hash::{BuildHasher, RandomState};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId};

/// Which share of traces is kept.
///
/// Decided by the trace id, in the way of the SDK's `TraceIdRatioBased`: whoever decides with the
/// same rate keeps the same traces. Where a trace begins here it is decided by an id made up for
/// that: the tracer chooses the trace's own only as it starts the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate(u64);

/// One more than the largest number that a trace id is compared by.
const ALL: u64 = 1 << 63;

impl Rate {
    pub(crate) const ALL: Self = Self(ALL);

    /// A rate from 0 (none) to 1 (all); beyond, the nearer of the two. What is no number keeps all.
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

    /// Whether the trace of this id is kept.
    pub(crate) fn keeps(self, trace_id: TraceId) -> bool {
        let mut low = [0; 8];
        low.copy_from_slice(&trace_id.to_bytes()[8..]);
        u64::from_be_bytes(low) >> 1 < self.0
    }

    /// The context to hand on if a request whose parent is in `parent` is sampled out: its sampled
    /// flag is cleared, so that nobody inside records either. `None` if it is kept, or if its parent
    /// is not sampled, which is for the sampler to honour.
    pub(crate) fn sample_out(self, parent: &Context) -> Option<Context> {
        let span = parent.span();
        let caller = span.span_context();
        let handed_on = if !caller.is_valid() {
            let trace_id = fresh_trace_id();
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
        Some(parent.with_remote_span_context(handed_on))
    }
}

/// A trace id that is not zero.
fn fresh_trace_id() -> TraceId {
    TraceId::from((u128::from(random()) << 64) | u128::from(random()) | 1 << 64)
}

/// A random number. The standard library's hasher is seeded by the system, and by another number
/// each time it is asked.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_keeps_its_share_of_traces() {
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
            let kept = (0..10_000).filter(|_| rate.keeps(fresh_trace_id())).count();
            assert!((least..=most).contains(&kept), "{rate:?}: {kept}");
        }
    }

    #[test]
    fn a_rate_of_nothing_keeps_not_even_the_smallest_id() {
        assert!(!Rate::new(0.0).keeps(TraceId::from(1 << 64)));
        assert!(Rate::ALL.keeps(TraceId::from(u128::MAX)));
    }

    #[test]
    fn both_halves_of_a_fresh_id_are_random() {
        let [one, other] = [(); 2].map(|()| fresh_trace_id().to_bytes());
        assert!(one[..8] != other[..8] && one[8..] != other[8..]);
    }

    #[test]
    fn the_sdk_decides_alike() {
        use opentelemetry::trace::SpanKind;
        use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
        for rate in [0.01, 0.3, 0.99] {
            for _ in 0..1_000 {
                let trace_id = fresh_trace_id();
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
