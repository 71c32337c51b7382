//! The status of a gRPC call: its code and message.

use std::fmt;

use http::{HeaderMap, HeaderValue};

use crate::protocol::digits::{decode_hex_byte, parse_decimal};
use crate::text::truncate_lossy;

/// A gRPC status: its code and, if there is one, its message.
///
/// ```
/// use tower_api_span::{GrpcCode, GrpcStatus};
///
/// let status = GrpcStatus::new(GrpcCode::NOT_FOUND, Some("no such model".to_owned()));
/// assert_eq!(status.code.as_str(), "NOT_FOUND");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcStatus {
    /// The code.
    pub code: GrpcCode,
    /// `grpc-message`, percent-decoded. `None` if empty. Truncated to 1,024 bytes.
    pub message: Option<String>,
}

impl GrpcStatus {
    /// Creates a status with this code and message.
    #[must_use]
    pub fn new(code: GrpcCode, message: Option<String>) -> Self {
        Self { code, message }
    }

    /// Reads the status in headers or trailers. Returns `None` without `grpc-status`.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let status = value("grpc-status")?;
        Some(Self::from_values(status, value("grpc-message")))
    }

    /// Reads the values of `grpc-status` and `grpc-message`. A code that is no number, or not one of
    /// the seventeen, is `UNKNOWN` (gRPC over HTTP2, "Responses").
    pub(crate) fn from_values(status: &[u8], message: Option<&[u8]>) -> Self {
        let code = match status {
            // Clients reject leading zeros.
            [b'0', _, ..] => None,
            _ => std::str::from_utf8(status)
                .ok()
                .and_then(parse_decimal::<u8>),
        };
        let message = message
            .map(percent_decode)
            .filter(|message| !message.is_empty());
        let code = code.and_then(GrpcCode::from_u8);
        Self::new(code.unwrap_or(GrpcCode::UNKNOWN), message)
    }
}

/// A gRPC status code: one of the seventeen that exist.
///
/// ```
/// use tower_api_span::GrpcCode;
///
/// let code = GrpcCode::from_u8(14);
/// assert_eq!(code, Some(GrpcCode::UNAVAILABLE));
/// assert_eq!(GrpcCode::UNAVAILABLE.as_u8(), 14);
/// assert_eq!(GrpcCode::UNAVAILABLE.to_string(), "UNAVAILABLE");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrpcCode(u8);

/// Declares the constant, number and name of each code.
macro_rules! codes {
    ($($number:literal $name:ident,)*) => {
        impl GrpcCode {
            $(
                #[doc = concat!("`", stringify!($name), "`, ", $number, ".")]
                pub const $name: Self = Self($number);
            )*
            const NAMES: &[&str] = &[$(stringify!($name)),*];
        }
    };
}

codes! {
    0 OK,
    1 CANCELLED,
    2 UNKNOWN,
    3 INVALID_ARGUMENT,
    4 DEADLINE_EXCEEDED,
    5 NOT_FOUND,
    6 ALREADY_EXISTS,
    7 PERMISSION_DENIED,
    8 RESOURCE_EXHAUSTED,
    9 FAILED_PRECONDITION,
    10 ABORTED,
    11 OUT_OF_RANGE,
    12 UNIMPLEMENTED,
    13 INTERNAL,
    14 UNAVAILABLE,
    15 DATA_LOSS,
    16 UNAUTHENTICATED,
}

impl GrpcCode {
    /// Returns the code with this number, or `None` if no code has it.
    ///
    /// A client of gRPC treats such a number as `UNKNOWN`.
    ///
    /// ```
    /// use tower_api_span::GrpcCode;
    ///
    /// assert_eq!(GrpcCode::from_u8(5), Some(GrpcCode::NOT_FOUND));
    /// assert_eq!(GrpcCode::from_u8(17), None);
    /// ```
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        (usize::from(number) < Self::NAMES.len()).then_some(Self(number))
    }

    /// Returns the code's number, as in `grpc-status`.
    ///
    /// ```
    /// assert_eq!(tower_api_span::GrpcCode::NOT_FOUND.as_u8(), 5);
    /// ```
    #[must_use]
    pub const fn as_u8(self) -> u8 {
        self.0
    }

    /// Returns the code's name, as in attribute `rpc.status_code`.
    ///
    /// ```
    /// assert_eq!(tower_api_span::GrpcCode::OK.as_str(), "OK");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES[usize::from(self.0)]
    }

    /// Whether the code is a server error: `UNKNOWN`, `DEADLINE_EXCEEDED`, `UNIMPLEMENTED`,
    /// `INTERNAL`, `UNAVAILABLE` or `DATA_LOSS` (semantic conventions 1.45.0).
    ///
    /// ```
    /// use tower_api_span::GrpcCode;
    ///
    /// assert!(GrpcCode::INTERNAL.is_server_error() && !GrpcCode::NOT_FOUND.is_server_error());
    /// ```
    #[must_use]
    pub fn is_server_error(self) -> bool {
        matches!(
            self,
            Self::UNKNOWN
                | Self::DEADLINE_EXCEEDED
                | Self::UNIMPLEMENTED
                | Self::INTERNAL
                | Self::UNAVAILABLE
                | Self::DATA_LOSS
        )
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Decodes `grpc-message`, which is percent-encoded UTF-8. A `%` without two digits stays as it is.
fn percent_decode(encoded: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let [byte, tail @ ..] = rest {
        let escaped = tail
            .first_chunk()
            .filter(|_| *byte == b'%')
            .and_then(|digits| decode_hex_byte(*digits));
        decoded.push(escaped.unwrap_or(*byte));
        rest = if escaped.is_some() { &tail[2..] } else { tail };
    }
    truncate_lossy(&decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(value: &'static str) -> HeaderMap {
        let name = http::HeaderName::from_static("grpc-status");
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn number_and_name_of_a_code_agree() {
        for number in 0..=16 {
            let code = GrpcCode::from_u8(number).expect("a code");
            assert_eq!(code.as_u8(), number);
            assert_eq!(code.to_string(), code.as_str());
        }
        assert_eq!(GrpcCode::from_u8(5), Some(GrpcCode::NOT_FOUND));
        assert_eq!(GrpcCode::NOT_FOUND.as_str(), "NOT_FOUND");
        assert_eq!(GrpcCode::UNAUTHENTICATED.as_u8(), 16);
    }

    #[test]
    fn other_numbers_are_no_codes() {
        for number in 17..=u8::MAX {
            assert_eq!(GrpcCode::from_u8(number), None);
        }
    }

    #[test]
    fn status_without_a_valid_code_is_unknown() {
        for (value, expected) in [
            ("0", GrpcCode::OK),
            ("16", GrpcCode::UNAUTHENTICATED),
            ("17", GrpcCode::UNKNOWN),
            ("256", GrpcCode::UNKNOWN),
            ("-1", GrpcCode::UNKNOWN),
            ("", GrpcCode::UNKNOWN),
            ("ok", GrpcCode::UNKNOWN),
            ("+0", GrpcCode::UNKNOWN),
            ("00", GrpcCode::UNKNOWN),
        ] {
            let status = GrpcStatus::from_headers(&status(value));
            assert_eq!(status.map(|status| status.code), Some(expected), "{value}");
        }
        assert_eq!(GrpcStatus::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn message_is_percent_decoded_and_truncated() {
        for (encoded, expected) in [
            ("no such model", "no such model"),
            ("100%25", "100%"),
            ("%C3%A4%20b", "ä b"),
            ("50% of %zz", "50% of %zz"),
            ("%", "%"),
            ("%4", "%4"),
        ] {
            assert_eq!(percent_decode(encoded.as_bytes()), expected);
        }
        assert_eq!(percent_decode(&[b'a'; 5_000]).len(), 1_024);
    }
}
