//! How much of a message has been handed on, and how much it still owes. Pure.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::protocol::digits::parse_decimal;

/// Bytes of one response body: what was declared and what was handed on.
#[derive(Debug)]
pub(crate) struct Progress {
    declared: Option<u64>,
    delivered: u64,
    polled: bool,
}

impl Progress {
    /// A body of which nothing has been handed on.
    pub(crate) fn new(declared: Option<u64>) -> Self {
        Self {
            declared,
            delivered: 0,
            polled: false,
        }
    }

    /// Takes note that the body was polled.
    pub(crate) fn mark_polled(&mut self) {
        self.polled = true;
    }

    /// Whether the body was ever polled.
    pub(crate) fn was_polled(&self) -> bool {
        self.polled
    }

    /// Takes note of a data frame; true if it is the first one that is not empty.
    pub(crate) fn record_data(&mut self, bytes: u64) -> bool {
        let first = self.delivered == 0 && bytes > 0;
        self.delivered = self.delivered.saturating_add(bytes);
        first
    }

    /// Whether all that was declared has been handed on. A body of unknown length owes until it is
    /// over.
    pub(crate) fn has_delivered_all(&self) -> bool {
        self.declared
            .is_some_and(|declared| self.delivered >= declared)
    }

    /// Bytes handed on.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Once the body is over: the bytes declared and delivered, if they differ.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        self.declared
            .filter(|declared| *declared != self.delivered)
            .map(|declared| (declared, self.delivered))
    }
}

/// Whether a message with this head can have no body, whatever its body says.
///
/// On HTTP/1 the server does not poll such a body, on HTTP/2 it may, even to an error; the message
/// is complete with its head all the same (RFC 9110, section 6.4.1).
pub(crate) fn has_no_body(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || (method == Method::CONNECT && status.is_success())
}

/// Whether the bytes of a message's body are those that its content type tells of.
pub(crate) fn is_unencoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_none_or(|encoding| encoding == "identity")
}

/// The length a message declares: its Content-Length, else the body's exact size hint, which
/// servers turn into one.
///
/// A Content-Length beside a Transfer-Encoding does not count (RFC 9112, section 6.3); that is of
/// HTTP/1.1 alone, and a server that speaks another version leaves it out. A Content-Length that is no
/// number, or is there twice with two values, declares nothing.
pub(crate) fn declared_length(
    headers: &HeaderMap,
    version: Version,
    exact_size_hint: Option<u64>,
) -> Option<u64> {
    let is_coded = version == Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING);
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else {
        return exact_size_hint.filter(|_| !is_coded);
    };
    if is_coded || values.any(|other| other != first) {
        return None;
    }
    parse_decimal(first.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_message_can_have_no_body_by_its_method_or_status() {
        for (method, status, expected) in [
            (Method::HEAD, 200, true),
            (Method::HEAD, 404, true),
            (Method::GET, 204, true),
            (Method::GET, 304, true),
            (Method::GET, 101, true),
            (Method::CONNECT, 200, true),
            (Method::CONNECT, 299, true),
            (Method::CONNECT, 407, false),
            (Method::GET, 200, false),
            (Method::GET, 205, false),
            (Method::GET, 302, false),
        ] {
            let status = StatusCode::from_u16(status).expect("a status");
            assert_eq!(has_no_body(&method, status), expected, "{method} {status}");
        }
    }

    #[test]
    fn the_declared_length() {
        struct TestCase {
            rule: &'static str,
            headers: &'static [(&'static str, &'static str)],
            hint: Option<u64>,
            expected: Option<u64>,
        }
        let coded = |version, length: Option<&'static str>, hint| {
            let mut headers = HeaderMap::new();
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            headers.extend(length.map(|length| (CONTENT_LENGTH, HeaderValue::from_static(length))));
            declared_length(&headers, version, hint)
        };
        for version in [Version::HTTP_10, Version::HTTP_2, Version::HTTP_3] {
            assert_eq!(coded(version, Some("15"), None), Some(15), "{version:?}");
            assert_eq!(coded(version, None, Some(15)), Some(15), "{version:?}");
        }
        assert_eq!(coded(Version::HTTP_11, None, Some(15)), None);
        for case in [
            TestCase {
                rule: "Content-Length",
                headers: &[("content-length", "15")],
                hint: None,
                expected: Some(15),
            },
            TestCase {
                rule: "Content-Length before the hint",
                headers: &[("content-length", "15")],
                hint: Some(20),
                expected: Some(15),
            },
            TestCase {
                rule: "the hint without Content-Length",
                headers: &[],
                hint: Some(20),
                expected: Some(20),
            },
            TestCase {
                rule: "neither",
                headers: &[],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "the same value twice is one value",
                headers: &[("content-length", "15"), ("content-length", "15")],
                hint: None,
                expected: Some(15),
            },
            TestCase {
                rule: "two values are none",
                headers: &[("content-length", "15"), ("content-length", "16")],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "no number",
                headers: &[("content-length", "fifteen")],
                hint: Some(15),
                expected: None,
            },
            TestCase {
                rule: "a sign is no digit",
                headers: &[("content-length", "+15")],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "an empty value is no number",
                headers: &[("content-length", "")],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "a number too large",
                headers: &[("content-length", "99999999999999999999")],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "Transfer-Encoding overrides",
                headers: &[("content-length", "15"), ("transfer-encoding", "chunked")],
                hint: Some(15),
                expected: None,
            },
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in case.headers {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(
                declared_length(&headers, Version::HTTP_11, case.hint),
                case.expected,
                "{}",
                case.rule
            );
        }
    }

    #[test]
    fn a_body_owes_until_what_it_declared_is_delivered() {
        let mut delivery = Progress::new(Some(4));
        assert!(!delivery.has_delivered_all());
        assert!(
            !delivery.record_data(0),
            "an empty frame is not the first byte"
        );
        assert!(delivery.record_data(3));
        assert_eq!(delivery.mismatch(), Some((4, 3)));
        assert!(!delivery.record_data(1));
        assert!(delivery.has_delivered_all());
        assert_eq!(delivery.mismatch(), None);
        delivery.record_data(1);
        assert!(delivery.has_delivered_all());
        assert_eq!(delivery.mismatch(), Some((4, 5)));
    }

    #[test]
    fn a_body_of_unknown_length_always_owes_and_never_mismatches() {
        let mut delivery = Progress::new(None);
        delivery.record_data(u64::MAX);
        delivery.record_data(1);
        assert!(!delivery.has_delivered_all());
        assert_eq!(delivery.mismatch(), None);
    }
}
