//! What gRPC puts into HTTP: its content type, deadline and status. Pure.

pub(crate) mod web;

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};

use crate::protocol::digits::{decode_hex_byte, parse_decimal};
use crate::protocol::http::content_type::ContentType;
use crate::text::truncate_lossy;

/// What is spoken on top of HTTP, by the request's content type.
///
/// ```
/// use http::Method;
/// use tower_api_span::{Head, Protocol};
///
/// assert_eq!(Head::new(Method::GET, None).protocol, Protocol::Http);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Anything but gRPC.
    Http,
    /// `application/grpc` and `application/grpc+…`: the status is in the trailers, or in the head
    /// of an answer that is nothing but a head.
    Grpc,
    /// `application/grpc-web…`: as gRPC, but outside a translating layer the trailers are the last
    /// bytes of the body. They are read as they pass, unless the body has a content encoding or the
    /// span does not record; a `grpc-status` that is not found proves nothing.
    GrpcWeb,
}

/// A gRPC status: its code and, where there is one, its message.
///
/// ```
/// use tower_api_span::{GrpcCode, GrpcStatus};
///
/// let status = GrpcStatus::new(GrpcCode::NOT_FOUND, Some("no such model".to_owned()));
/// assert_eq!(status.code.name(), "NOT_FOUND");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcStatus {
    /// The code.
    pub code: GrpcCode,
    /// `grpc-message`, percent-decoded and cut at 1,024 bytes; `None` if empty.
    pub message: Option<String>,
}

impl GrpcStatus {
    /// A status with this code and message.
    #[must_use]
    pub fn new(code: GrpcCode, message: Option<String>) -> Self {
        Self { code, message }
    }

    /// The status in these headers or trailers.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let value = |name| headers.get(name).map(HeaderValue::as_bytes);
        let status = value("grpc-status")?;
        Some(Self::from_values(status, value("grpc-message")))
    }

    /// The status that these values of `grpc-status` and `grpc-message` tell. A code that is no
    /// number is `UNKNOWN`, as the gRPC specification has it.
    pub(crate) fn from_values(status: &[u8], message: Option<&[u8]>) -> Self {
        let code = match status {
            // Clients reject leading zeros.
            [b'0', _, ..] => None,
            _ => std::str::from_utf8(status)
                .ok()
                .and_then(parse_decimal::<u8>),
        };
        let message = message
            .map(percent_decoded)
            .filter(|message| !message.is_empty());
        Self::new(code.map_or(GrpcCode::UNKNOWN, GrpcCode::from), message)
    }
}

/// A gRPC status code: one of the seventeen that exist.
///
/// ```
/// use tower_api_span::GrpcCode;
///
/// assert_eq!(GrpcCode::from(14), GrpcCode::UNAVAILABLE);
/// assert_eq!(GrpcCode::from(99), GrpcCode::UNKNOWN);
/// assert_eq!(GrpcCode::UNAVAILABLE.to_string(), "UNAVAILABLE");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrpcCode(u8);

/// Declares every code once: its constant, number and name.
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
    /// The code's name, as in attribute `rpc.status_code`.
    ///
    /// ```
    /// assert_eq!(tower_api_span::GrpcCode::OK.name(), "OK");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[usize::from(self.0)]
    }

    /// Whether the code is an error of the server: `UNKNOWN`, `DEADLINE_EXCEEDED`,
    /// `UNIMPLEMENTED`, `INTERNAL`, `UNAVAILABLE` or `DATA_LOSS` (semantic conventions 1.45.0).
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

impl From<u8> for GrpcCode {
    /// The code of this number; `UNKNOWN` for a number that is none.
    fn from(number: u8) -> Self {
        if usize::from(number) < Self::NAMES.len() {
            Self(number)
        } else {
            Self::UNKNOWN
        }
    }
}

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The protocol of a request. gRPC is spoken in POST alone: with any other method a content type is
/// only a claim, which must not decide how an HTTP request is seen.
pub(crate) fn detect_protocol(method: &Method, headers: &HeaderMap) -> Protocol {
    if method == Method::POST {
        by_content_type(headers)
    } else {
        Protocol::Http
    }
}

/// Whether the head of a response is one of gRPC's.
pub(crate) fn is_grpc_response(headers: &HeaderMap) -> bool {
    by_content_type(headers) != Protocol::Http
}

fn by_content_type(headers: &HeaderMap) -> Protocol {
    let content_type = ContentType::from_headers(headers);
    match content_type.and_then(|it| it.strip_prefix("application/grpc")) {
        Some([] | [b'+', ..]) => Protocol::Grpc,
        Some([b'-', ..]) => Protocol::GrpcWeb,
        _ => Protocol::Http,
    }
}

/// How long the caller waits, by `grpc-timeout`: up to eight digits and a unit.
pub(crate) fn parse_timeout(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 {
        return None;
    }
    let count = parse_decimal::<u64>(digits)?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

/// `grpc-message` is percent-encoded UTF-8; what is not decodes to itself.
fn percent_decoded(encoded: &[u8]) -> String {
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

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let value = HeaderValue::from_str(value).expect("a value");
        HeaderMap::from_iter([(http::HeaderName::from_static(name), value)])
    }

    #[test]
    fn a_code_is_displayed_by_its_name() {
        assert_eq!(GrpcCode::from(5).to_string(), "NOT_FOUND");
        assert_eq!(GrpcCode::from(17).to_string(), "UNKNOWN");
    }

    #[test]
    fn the_content_type_tells_the_protocol() {
        for (content_type, expected) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc;charset=utf-8", Protocol::Grpc),
            ("Application/GRPC", Protocol::Grpc),
            ("application/grpc-web", Protocol::GrpcWeb),
            ("application/grpc-web-text+proto", Protocol::GrpcWeb),
            ("application/grpcish", Protocol::Http),
            ("application/json", Protocol::Http),
            ("", Protocol::Http),
        ] {
            assert_eq!(
                by_content_type(&headers("content-type", content_type)),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(by_content_type(&HeaderMap::new()), Protocol::Http);
        let headers = headers("content-type", "application/grpc");
        for (method, expected) in [
            (Method::POST, Protocol::Grpc),
            (Method::GET, Protocol::Http),
            (Method::HEAD, Protocol::Http),
        ] {
            assert_eq!(detect_protocol(&method, &headers), expected, "{method}");
        }
    }

    #[test]
    fn a_timeout_is_up_to_eight_digits_and_a_unit() {
        for (value, expected) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("3S", Some(Duration::from_secs(3))),
            ("4m", Some(Duration::from_millis(4))),
            ("5u", Some(Duration::from_micros(5))),
            ("6n", Some(Duration::from_nanos(6))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3_600))),
            ("100000000S", None),
            ("S", None),
            ("5", None),
            ("+5S", None),
            ("5s", None),
            ("5é", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-timeout"),
                HeaderValue::from_bytes(value.as_bytes()).expect("a value"),
            )]);
            assert_eq!(parse_timeout(&headers), expected, "{value}");
        }
    }

    #[test]
    fn a_status_that_is_no_code_is_unknown() {
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
            let status = GrpcStatus::from_headers(&headers("grpc-status", value));
            assert_eq!(status.map(|status| status.code), Some(expected), "{value}");
        }
        assert_eq!(GrpcStatus::from_headers(&HeaderMap::new()), None);
    }

    #[test]
    fn a_message_is_percent_decoded_and_cut() {
        for (encoded, expected) in [
            ("no such model", "no such model"),
            ("100%25", "100%"),
            ("%C3%A4%20b", "ä b"),
            ("50% of %zz", "50% of %zz"),
            ("%", "%"),
            ("%4", "%4"),
        ] {
            assert_eq!(percent_decoded(encoded.as_bytes()), expected);
        }
        assert_eq!(percent_decoded(&[b'a'; 5_000]).len(), 1_024);
    }
}
