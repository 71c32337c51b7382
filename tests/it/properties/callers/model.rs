//! What must come of an arrival, by the documented rules alone.

use super::arrivals::{Arrival, Layer, OTHER_HALF};
use super::{Came, Ids};

/// What must come of an arrival. Ids that are made up are taken from what came.
pub(super) fn expected(arrival: &Arrival, made_up: &Ids) -> Came {
    let around = arrival.around.map(|(trace, span, is_sampled)| Ids {
        trace,
        span,
        is_sampled,
        state: String::new(),
    });
    let around = around.unwrap_or_default();
    let caller = caller(arrival);
    let is_new = around.trace != caller.trace;
    // Whoever is nearer in the same trace counts.
    let is_believed = caller.is_there() && is_new && !arrival.is_public;
    let parent = if is_believed { &caller } else { &around };
    let is_link = caller.is_there() && is_new && arrival.is_public;

    let own_baggage = || arrival.has_own_baggage.then(|| "own=1".to_owned());
    let reads_baggage = arrival.knows_baggage && !arrival.is_public && !arrival.baggage.is_empty();
    let baggage: Vec<_> = if reads_baggage {
        let mut all = arrival.baggage.clone();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(str::to_owned).collect()
    } else {
        own_baggage().into_iter().collect()
    };

    let has_span = match arrival.layer {
        Layer::Traces | Layer::Unsampled => true,
        // Who is not sampled is the sampler's business.
        Layer::SampledOut => parent.is_there() && !parent.is_sampled,
        // By chance, where a trace begins; who is left out is so by an id, as all of its trace will be.
        Layer::HalfSampled if !parent.is_there() => {
            let is_kept = made_up.is_sampled || !made_up.is_there();
            assert!(is_kept || made_up.trace >> 63 & 1 == 1, "{made_up:?}");
            made_up.is_sampled
        }
        Layer::HalfSampled => !parent.is_sampled || parent.trace != OTHER_HALF,
        Layer::Filtered | Layer::NoTracer => false,
    };
    let is_sampled = match arrival.layer {
        Layer::Traces => !parent.is_there() || parent.is_sampled,
        Layer::HalfSampled => has_span && (!parent.is_there() || parent.is_sampled),
        _ => false,
    };
    let has_rate = [Layer::SampledOut, Layer::HalfSampled].contains(&arrival.layer);
    let is_sampled_out = has_rate && !has_span;
    let trace = if parent.is_there() {
        parent.trace
    } else {
        made_up.trace
    };
    let current = if has_span {
        Ids {
            trace,
            span: made_up.span,
            is_sampled,
            state: parent.state.clone(),
        }
    } else if is_sampled_out {
        Ids {
            trace,
            span: if parent.is_there() {
                parent.span
            } else {
                made_up.span
            },
            is_sampled: false,
            state: parent.state.clone(),
        }
    } else {
        parent.clone()
    };

    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let traceparent: Vec<_> = arrival.traceparent.iter().map(|(line, _)| *line).collect();
    let mut headers: [Vec<String>; 3] = [
        lines(&traceparent),
        lines(&arrival.tracestate),
        lines(&arrival.baggage),
    ];
    if arrival.is_rewritten && arrival.is_public {
        headers = Default::default();
    }
    if arrival.is_rewritten && (has_span || is_sampled_out) {
        let state = Some(current.state.clone()).filter(|state| !state.is_empty());
        headers[0] = vec![current.traceparent()];
        headers[1] = state.into_iter().collect();
        // The caller's own stays as it came.
        if headers[2].is_empty() && arrival.knows_baggage {
            headers[2] = own_baggage().into_iter().collect();
        }
    }
    let link = is_link.then_some((caller.trace, caller.span));
    Came {
        exported: is_sampled.then(|| (trace, parent.span, link.into_iter().collect())),
        current,
        baggage,
        headers,
    }
}

/// The caller, by the only `traceparent` if it is one.
fn caller(arrival: &Arrival) -> Ids {
    let [(traceparent, true)] = arrival.traceparent[..] else {
        return Ids::default();
    };
    let parts: Vec<_> = traceparent.split('-').collect();
    let number = |digits| u128::from_str_radix(digits, 16).expect("digits");
    let is_bad = arrival.tracestate.contains(&"no pair");
    Ids {
        trace: number(parts[1]),
        span: u64::try_from(number(parts[2])).expect("sixteen digits"),
        is_sampled: number(parts[3]) & 1 == 1,
        state: if is_bad {
            String::new()
        } else {
            arrival.tracestate.join(",")
        },
    }
}
