//! Reads decimal and hexadecimal digits. Pure.

use std::str::FromStr;

/// Parses an unsigned number that consists of decimal digits. `str::parse` would accept a leading `+`.
pub(super) fn parse_decimal<T: FromStr>(digits: &str) -> Option<T> {
    is_decimal(digits).then(|| digits.parse().ok())?
}

/// Whether `text` has only decimal digits. True for an empty text.
pub(super) fn is_decimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Decodes two hexadecimal digits, in either case.
pub(super) fn decode_hex_byte([high, low]: [u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_number_has_no_sign_and_fits() {
        for (text, expected) in [
            ("0", Some(0)),
            ("255", Some(255)),
            ("007", Some(7)),
            ("256", None),
            ("+1", None),
            ("-1", None),
            ("1a", None),
            (" 1", None),
            ("", None),
        ] {
            assert_eq!(parse_decimal::<u8>(text), expected, "{text}");
        }
    }
}
