//! The numbers of JSON (RFC 8259, section 6).

/// The largest integer that every JSON parser reads exactly: 2⁵³.
const MAX_INTEGER: u64 = 1 << 53;

/// Whether a byte can be in a number.
pub(super) fn is_part(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
}

/// Whether a text is a number.
pub(super) fn is_valid(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let integer = count_digits(text);
    let has_leading_zero = integer > 1 && text[0] == b'0';
    if integer == 0 || has_leading_zero {
        return false;
    }
    let text = match text[integer..].strip_prefix(b".") {
        None => &text[integer..],
        Some(fraction) => match count_digits(fraction) {
            0 => return false,
            digits => &fraction[digits..],
        },
    };
    match text {
        [] => true,
        [b'e' | b'E', b'+' | b'-', exponent @ ..] | [b'e' | b'E', exponent @ ..] => {
            !exponent.is_empty() && count_digits(exponent) == exponent.len()
        }
        _ => false,
    }
}

fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Returns the value of a number that is an integer from 0 to 2⁵³, also if it is written like `12.0`.
pub(crate) fn integer(number: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(number).ok()?;
    let value = text.parse().ok().or_else(|| whole(float(number)?));
    value.filter(|value| *value <= MAX_INTEGER)
}

/// Returns the value of a number without a fraction, up to 2⁵³.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "the value is an integer in this range"
)]
fn whole(number: f64) -> Option<u64> {
    let is_whole = number.fract() == 0.0 && (0.0..=MAX_INTEGER as f64).contains(&number);
    is_whole.then_some(number as u64)
}

/// Returns the value of a number.
pub(crate) fn float(number: &[u8]) -> Option<f64> {
    let number = std::str::from_utf8(number).ok()?;
    number.parse().ok().filter(|value: &f64| value.is_finite())
}
