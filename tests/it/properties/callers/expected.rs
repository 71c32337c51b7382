//! The expected result of an input, by the documented rules alone.

use super::inputs::{Input, Layer, OTHER_HALF};
use super::{Ids, Observed};

/// Returns the expected result. Random ids are taken from `random`, the observed ones.
pub(super) fn expected(input: &Input, random: &Ids) -> Observed {
    let around = input.around.map(|(trace, span, is_sampled)| Ids {
        trace,
        span,
        is_sampled,
        state: String::new(),
    });
    let around = around.unwrap_or_default();
    let caller = caller(input);
    let is_new = around.trace != caller.trace;
    // The current span is nearer than a caller in the same trace.
    let is_trusted = caller.is_valid() && is_new && !input.is_public;
    let parent = if is_trusted { &caller } else { &around };
    let is_link = caller.is_valid() && is_new && input.is_public;

    let own_baggage = || input.has_own_baggage.then(|| "own=1".to_owned());
    let has_baggage = input.reads_baggage && !input.is_public && !input.baggage.is_empty();
    let baggage: Vec<_> = if has_baggage {
        let mut all = input.baggage.clone();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(str::to_owned).collect()
    } else {
        own_baggage().into_iter().collect()
    };

    let has_span = match input.layer {
        Layer::Traces | Layer::Unsampled => true,
        // The sampler decides about unsampled parents.
        Layer::SampledOut => parent.is_valid() && !parent.is_sampled,
        // A new trace is sampled by its random id. If it is dropped, the id shows why.
        Layer::HalfSampled if !parent.is_valid() => {
            let is_kept = random.is_sampled || !random.is_valid();
            assert!(is_kept || random.trace >> 63 & 1 == 1, "{random:?}");
            random.is_sampled
        }
        Layer::HalfSampled => !parent.is_sampled || parent.trace != OTHER_HALF,
        Layer::Filtered | Layer::NoTracer => false,
    };
    let is_sampled = match input.layer {
        Layer::Traces => !parent.is_valid() || parent.is_sampled,
        Layer::HalfSampled => has_span && (!parent.is_valid() || parent.is_sampled),
        _ => false,
    };
    let has_rate = [Layer::SampledOut, Layer::HalfSampled].contains(&input.layer);
    let is_sampled_out = has_rate && !has_span;
    let trace = if parent.is_valid() {
        parent.trace
    } else {
        random.trace
    };
    let current = if has_span {
        Ids {
            trace,
            span: random.span,
            is_sampled,
            state: parent.state.clone(),
        }
    } else if is_sampled_out {
        Ids {
            trace,
            span: if parent.is_valid() {
                parent.span
            } else {
                random.span
            },
            is_sampled: false,
            state: parent.state.clone(),
        }
    } else {
        parent.clone()
    };

    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
    let traceparent: Vec<_> = input.traceparent.iter().map(|(line, _)| *line).collect();
    let mut headers: [Vec<String>; 3] = [
        lines(&traceparent),
        lines(&input.tracestate),
        lines(&input.baggage),
    ];
    if input.rewrites_headers && input.is_public {
        headers = Default::default();
    }
    if input.rewrites_headers && (has_span || is_sampled_out) {
        let state = Some(current.state.clone()).filter(|state| !state.is_empty());
        headers[0] = vec![current.traceparent()];
        headers[1] = state.into_iter().collect();
        // The caller's baggage is unchanged.
        if headers[2].is_empty() && input.reads_baggage {
            headers[2] = own_baggage().into_iter().collect();
        }
    }
    let link = is_link.then_some((caller.trace, caller.span));
    Observed {
        exported: is_sampled.then(|| (trace, parent.span, link.into_iter().collect())),
        current,
        baggage,
        headers,
    }
}

/// Returns the caller, if there is exactly one `traceparent` and it is valid.
fn caller(input: &Input) -> Ids {
    let [(traceparent, true)] = input.traceparent[..] else {
        return Ids::default();
    };
    let parts: Vec<_> = traceparent.split('-').collect();
    let number = |digits| u128::from_str_radix(digits, 16).expect("digits");
    let is_bad = input.tracestate.contains(&"no pair");
    Ids {
        trace: number(parts[1]),
        span: u64::try_from(number(parts[2])).expect("sixteen digits"),
        is_sampled: number(parts[3]) & 1 == 1,
        state: if is_bad {
            String::new()
        } else {
            input.tracestate.join(",")
        },
    }
}
