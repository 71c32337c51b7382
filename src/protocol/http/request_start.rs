//! `X-Request-Start`: when a proxy received the request. Pure.

use std::time::{Duration, SystemTime};

use http::HeaderValue;

/// Reads a time since 1970. `t=` may precede it, and a comma ends it. Proxies write it in seconds (with a fraction),
/// milliseconds, microseconds or nanoseconds; its size says which.
pub(crate) fn parse_request_start(value: &HeaderValue) -> Option<SystemTime> {
    let text = value.to_str().ok()?;
    let text = text.split(',').next().unwrap_or_default().trim();
    let text = text.strip_prefix("t=").unwrap_or(text);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let since_epoch = match whole.parse().ok()? {
        // Seconds up to the year 5138, and from 1973 on in the other units.
        seconds @ ..100_000_000_000 => Duration::new(seconds, nanoseconds(fraction)),
        milliseconds @ ..100_000_000_000_000 => Duration::from_millis(milliseconds),
        microseconds @ ..100_000_000_000_000_000 => Duration::from_micros(microseconds),
        nanoseconds => Duration::from_nanos(nanoseconds),
    };
    SystemTime::UNIX_EPOCH.checked_add(since_epoch)
}

/// Reads the digits behind a decimal point.
fn nanoseconds(fraction: &str) -> u32 {
    let digits = fraction.bytes().map(|digit| u32::from(digit - b'0'));
    let padded = digits.chain(std::iter::repeat(0)).take(9);
    padded.fold(0, |number, digit| 10 * number + digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the milliseconds since 1970.
    fn parsed(value: &[u8]) -> Option<u128> {
        let value = HeaderValue::from_bytes(value).expect("a value");
        let time = parse_request_start(&value)?;
        let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
        Some(since_epoch.expect("after 1970").as_millis())
    }

    #[test]
    fn each_unit_is_recognized() {
        for (form, value) in [
            ("nginx", "t=1764410400.123"),
            ("seconds", "1764410400.123"),
            ("Heroku", "1764410400123"),
            ("milliseconds after t=", "t=1764410400123"),
            ("Apache, microseconds", "t=1764410400123456"),
            ("nanoseconds", "1764410400123456789"),
            (
                "of two proxies, the first",
                "t=1764410400.123, t=1764410499.5",
            ),
            ("with spaces", " t=1764410400.123 "),
        ] {
            assert_eq!(parsed(value.as_bytes()), Some(1_764_410_400_123), "{form}");
        }
        for (value, expected) in [("0", 0), ("1.", 1_000), ("1.5", 1_500), ("1.0004", 1_000)] {
            assert_eq!(parsed(value.as_bytes()), Some(expected), "{value}");
        }
        let nines = format!("1.{}", "9".repeat(100));
        assert_eq!(parsed(nines.as_bytes()), Some(1_999));
        let longest = u64::MAX.to_string();
        assert_eq!(
            parsed(longest.as_bytes()),
            Some(u128::from(u64::MAX) / 1_000_000)
        );
    }

    #[test]
    fn anything_else_is_no_time() {
        for value in [
            "",
            "t=",
            "t=t=1",
            ".",
            "1.2.3",
            "-1",
            "+1",
            "1e9",
            "inf",
            "nan",
            "NaN",
            "0x10",
            "now",
            "t=1764410400 123",
            "2026-11-29T10:00:00Z",
            ",",
            "T=1764410400",
        ] {
            assert_eq!(parsed(value.as_bytes()), None, "{value}");
        }
        assert_eq!(parsed(b"\xff1"), None);
        assert_eq!(parsed("9".repeat(400).as_bytes()), None, "beyond the range");
    }
}
