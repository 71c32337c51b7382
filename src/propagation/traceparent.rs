//! `traceparent`, by W3C Trace Context (level 2, section 3.2). Pure.

use opentelemetry::trace::{SpanContext, SpanId, TraceId};

use crate::sampling::Rate;

/// Length of a `traceparent` of version 00.
pub(super) const LENGTH: usize = 55;

/// A well-formed `traceparent` without its sampled flag, if it has it and the rate does not keep its
/// trace.
pub(super) fn unsampled(traceparent: &str, rate: Rate) -> Option<[u8; LENGTH]> {
    let Traceparent {
        trace_id,
        is_sampled,
        ..
    } = Traceparent::parse(traceparent)?;
    if !is_sampled || rate.keeps(trace_id) {
        return None;
    }
    let mut unsampled = *traceparent.as_bytes().first_chunk::<LENGTH>()?;
    unsampled[..2].copy_from_slice(b"00");
    unsampled[53..].copy_from_slice(b"00");
    Some(unsampled)
}

/// What a well-formed `traceparent` says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traceparent {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) is_sampled: bool,
}

impl Traceparent {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let bytes = value.as_bytes();
        let (head, rest) = bytes.split_at_checked(LENGTH)?;
        if [head[2], head[35], head[52]] != *b"---" {
            return None;
        }
        let version = hex(&head[..2])?;
        let (high, low) = (hex(&head[3..19])?, hex(&head[19..35])?);
        let (span_id, flags) = (hex(&head[36..52])?, hex(&head[53..])?);
        let trace_id = u128::from(high) << 64 | u128::from(low);
        let is_well = version != 0xff
            && trace_id != 0
            && span_id != 0
            // Version 00 ends here; a later one may go on after a dash.
            && (rest.is_empty() || (version != 0 && rest[0] == b'-'));
        is_well.then(|| Self {
            trace_id: TraceId::from(trace_id),
            span_id: SpanId::from(span_id),
            is_sampled: flags & 1 == 1,
        })
    }

    /// Whether a span is in this trace.
    pub(super) fn is_of(&self, span_context: &SpanContext) -> bool {
        span_context.is_valid() && span_context.trace_id() == self.trace_id
    }
}

/// The number that up to sixteen hexadecimal digits stand for, in lower case.
fn hex(digits: &[u8]) -> Option<u64> {
    const NONE: u8 = 0xff;
    const VALUES: [u8; 256] = {
        let mut values = [NONE; 256];
        let mut value = 0_u8;
        while value < 16 {
            values[b"0123456789abcdef"[value as usize] as usize] = value;
            value += 1;
        }
        values
    };
    let (mut number, mut all) = (0, 0);
    for digit in digits {
        let value = VALUES[usize::from(*digit)];
        all |= value;
        number = number << 4 | u64::from(value & 0x0f);
    }
    (all < 16).then_some(number)
}
