//! The caller's deadline, `grpc-timeout`.

use http::{HeaderMap, HeaderValue};

/// Whether the deadline passes while an input is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deadline {
    Passed,
    /// It may pass or not.
    Soon,
    Never,
}

impl Deadline {
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let value = headers.get("grpc-timeout").map(HeaderValue::as_bytes);
        let Some((unit, digits @ [_, ..])) = value.and_then(<[u8]>::split_last) else {
            return Self::Never;
        };
        let nanoseconds: u128 = match unit {
            b'n' => 1,
            b'u' => 1_000,
            b'm' => 1_000_000,
            b'S' => 1_000_000_000,
            b'M' => 60_000_000_000,
            b'H' => 3_600_000_000_000,
            _ => return Self::Never,
        };
        if digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
            return Self::Never;
        }
        let count = digits
            .iter()
            .fold(0, |count, digit| 10 * count + u128::from(digit - b'0'));
        match count * nanoseconds {
            0 => Self::Passed,
            1..=60_000_000_000 => Self::Soon,
            _ => Self::Never,
        }
    }
}
