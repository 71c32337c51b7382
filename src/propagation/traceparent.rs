//! `traceparent`, by W3C Trace Context (level 2, section 3.2). Pure.

use std::fmt::Write as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

use crate::propagation::sampling::Rate;

/// Length of a `traceparent` of version 00.
pub(super) const LENGTH: usize = 55;

/// Formats the ids in version 00, with the sampled flag and no other.
pub(crate) fn format_traceparent(span_context: &SpanContext) -> String {
    let (trace_id, span_id) = (span_context.trace_id(), span_context.span_id());
    let flags = span_context.trace_flags() & TraceFlags::SAMPLED;
    let mut traceparent = String::with_capacity(LENGTH);
    // Writing to a string does not fail.
    let _ = write!(traceparent, "00-{trace_id}-{span_id}-{:02x}", flags.to_u8());
    traceparent
}

/// A well-formed `traceparent` without its sampled flag, if it has it and the rate does not keep its
/// trace.
pub(super) fn unsampled(traceparent: &[u8], rate: Rate) -> Option<[u8; LENGTH]> {
    let Traceparent {
        trace_id,
        is_sampled,
        ..
    } = Traceparent::parse(traceparent)?;
    if !is_sampled || rate.keeps(trace_id) {
        return None;
    }
    let mut unsampled = *traceparent.first_chunk::<LENGTH>()?;
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
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_first_chunk::<LENGTH>()?;
        if [head[2], head[35], head[52]] != *b"---" {
            return None;
        }
        let mut digits = Digits::default();
        let trace_id =
            u128::from(digits.sixteen(head, 3)) << 64 | u128::from(digits.sixteen(head, 19));
        let span_id = digits.sixteen(head, 36);
        let ends = [head[0], head[1], head[53], head[54], b'0', b'0', b'0', b'0'];
        let [version, flags, ..] = digits.eight(ends).to_be_bytes();
        if digits.wrong != 0 {
            return None;
        }
        let is_well = version != 0xff
            && trace_id != 0
            && span_id != 0
            // Version 00 ends here; a later one may go on after a dash.
            && (rest.is_empty() || (version != 0 && rest[0] == b'-' && rest.is_ascii()));
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

/// Reads hexadecimal digits in lower case, eight at once, a byte of a word each: every request with a
/// caller has fifty-two of them. Whether one was wrong is asked at the end.
#[derive(Default)]
struct Digits {
    /// Not zero if one was.
    wrong: u64,
}

impl Digits {
    /// The number that the sixteen digits from `at` on stand for.
    fn sixteen(&mut self, head: &[u8; LENGTH], at: usize) -> u64 {
        let (mut high, mut low) = ([0; 8], [0; 8]);
        high.copy_from_slice(&head[at..at + 8]);
        low.copy_from_slice(&head[at + 8..at + 16]);
        u64::from(self.eight(high)) << 32 | u64::from(self.eight(low))
    }

    /// The number that eight digits stand for.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "eight digits are a number of 32 bits"
    )]
    fn eight(&mut self, digits: [u8; 8]) -> u32 {
        /// This byte, eight times.
        const fn each(byte: u8) -> u64 {
            u64::from_ne_bytes([byte; 8])
        }
        let digits = u64::from_be_bytes(digits);
        // A digit's value is in its lower half, a letter's is nine less there, and only letters have
        // this bit. From what is neither, no byte of the sum runs over into the next: it is 24 at most.
        let is_letter = digits >> 6 & each(1);
        let values = (digits & each(0x0f)) + is_letter * 9;
        // They are hexadecimal digits in lower case if the values are written so.
        let is_ten_or_more = (values + each(6)) >> 4 & each(1);
        let written = values + each(b'0') + is_ten_or_more * u64::from(b'a' - b'0' - 10);
        self.wrong |= values & each(0xf0) | written ^ digits;
        // Neighbours are joined, then pairs of them, then pairs of those.
        let bytes = (values >> 4 | values) & 0x00ff_00ff_00ff_00ff;
        let pairs = (bytes >> 8 | bytes) & 0x0000_ffff_0000_ffff;
        (pairs >> 16 | pairs) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_are_read_as_the_standard_library_reads_them() {
        for place in 0..8 {
            for byte in 0..=u8::MAX {
                let mut digits = *b"0189aeff";
                digits[place] = byte;
                let is_lower_hex = byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
                let expected = std::str::from_utf8(&digits)
                    .ok()
                    .filter(|_| is_lower_hex)
                    .and_then(|digits| u32::from_str_radix(digits, 16).ok());
                assert_eq!(expected.is_some(), is_lower_hex);
                let mut read = Digits::default();
                let number = read.eight(digits);
                let number = (read.wrong == 0).then_some(number);
                assert_eq!(number, expected, "{byte:#x} at {place}");
            }
        }
    }
}
