//! Parses and formats `traceparent` (W3C Trace Context, level 2, section 3.2). Pure.

use std::fmt::Write as _;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId};

/// The length of a `traceparent` of version 00.
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

/// The fields of a well-formed `traceparent`.
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
        let trace_id = u128::from(digits.parse_sixteen(head, 3)) << 64
            | u128::from(digits.parse_sixteen(head, 19));
        let span_id = digits.parse_sixteen(head, 36);
        let [version, flags] = match [head[0], head[1], head[53], head[54]] {
            // The usual ones.
            [b'0', b'0', b'0', flags @ (b'0' | b'1')] => [0, flags - b'0'],
            [a, b, c, d] => {
                let ends = [a, b, c, d, b'0', b'0', b'0', b'0'];
                let [version, flags, ..] = digits.parse_eight(ends).to_be_bytes();
                [version, flags]
            }
        };
        if digits.errors != 0 {
            return None;
        }
        let is_valid = version != 0xff
            && trace_id != 0
            && span_id != 0
            // Version 00 ends here. A later one may continue after a dash.
            && (rest.is_empty() || (version != 0 && rest[0] == b'-' && rest.is_ascii()));
        is_valid.then(|| Self {
            trace_id: TraceId::from(trace_id),
            span_id: SpanId::from(span_id),
            is_sampled: flags & 1 == 1,
        })
    }

    /// Whether `span_context` is valid and in the same trace.
    pub(super) fn is_in_trace_of(&self, span_context: &SpanContext) -> bool {
        span_context.is_valid() && span_context.trace_id() == self.trace_id
    }
}

/// A parser of lower-case hexadecimal digits, which parses eight digits at once in a 64-bit word. A `traceparent`
/// has 52 digits. Errors are collected and checked once at the end.
#[derive(Default)]
struct Digits {
    /// Not zero if a byte was not a digit.
    errors: u64,
}

impl Digits {
    /// Parses sixteen digits from `at` on.
    fn parse_sixteen(&mut self, head: &[u8; LENGTH], at: usize) -> u64 {
        let (mut high, mut low) = ([0; 8], [0; 8]);
        high.copy_from_slice(&head[at..at + 8]);
        low.copy_from_slice(&head[at + 8..at + 16]);
        u64::from(self.parse_eight(high)) << 32 | u64::from(self.parse_eight(low))
    }

    /// Parses eight digits.
    #[expect(clippy::cast_possible_truncation, reason = "eight digits are 32 bits")]
    fn parse_eight(&mut self, digits: [u8; 8]) -> u32 {
        /// Repeats a byte eight times.
        const fn each(byte: u8) -> u64 {
            u64::from_ne_bytes([byte; 8])
        }
        let digits = u64::from_be_bytes(digits);
        // The lower half of a digit is its value; that of a letter is nine less. Only letters have
        // bit 6. For any other byte the sum is at most 24, and does not carry into the next byte.
        let is_letter = digits >> 6 & each(1);
        let values = (digits & each(0x0f)) + is_letter * 9;
        // All are lower-case digits if the values format back to the input.
        let is_ten_or_more = (values + each(6)) >> 4 & each(1);
        let formatted = values + each(b'0') + is_ten_or_more * u64::from(b'a' - b'0' - 10);
        self.errors |= values & each(0xf0) | formatted ^ digits;
        // Joins neighbouring halves into bytes, bytes into pairs, and pairs into the number.
        let bytes = (values >> 4 | values) & 0x00ff_00ff_00ff_00ff;
        let pairs = (bytes >> 8 | bytes) & 0x0000_ffff_0000_ffff;
        (pairs >> 16 | pairs) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eight_digits_parse_as_in_the_standard_library() {
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
                let number = read.parse_eight(digits);
                let number = (read.errors == 0).then_some(number);
                assert_eq!(number, expected, "{byte:#x} at {place}");
            }
        }
    }
}
