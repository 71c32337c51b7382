//! How much of a message was delivered, and how much it still owes. Pure.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::protocol::digits::parse_decimal;

/// The declared and the delivered bytes of one response body.
#[derive(Debug)]
pub(crate) struct Progress {
    declared: Option<u64>,
    delivered: u64,
    polled: bool,
}

impl Progress {
    /// Creates the progress of a body with this declared length. No byte is delivered yet.
    pub(crate) fn new(declared: Option<u64>) -> Self {
        Self {
            declared,
            delivered: 0,
            polled: false,
        }
    }

    /// Records that the body was polled.
    pub(crate) fn mark_polled(&mut self) {
        self.polled = true;
    }

    /// Whether the body was ever polled.
    pub(crate) fn was_polled(&self) -> bool {
        self.polled
    }

    /// Records a data frame. Returns whether it is the first that is not empty.
    pub(crate) fn record_data(&mut self, bytes: u64) -> bool {
        let first = self.delivered == 0 && bytes > 0;
        self.delivered = self.delivered.saturating_add(bytes);
        first
    }

    /// Whether all declared bytes were delivered. Never true for a body of unknown length.
    pub(crate) fn has_delivered_all(&self) -> bool {
        self.declared
            .is_some_and(|declared| self.delivered >= declared)
    }

    /// Returns the delivered bytes.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Returns the declared and the delivered bytes, if they differ. To be called when the body is over.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        self.declared
            .filter(|declared| *declared != self.delivered)
            .map(|declared| (declared, self.delivered))
    }
}

/// Whether a message with this head can have no body (RFC 9110, section 6.4.1).
///
/// An HTTP/1 server does not poll the body of such a message. An HTTP/2 server may, even to an error.
/// In either case the message is complete with its head.
pub(crate) fn has_no_body(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || matches!(
            status,
            StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || (method == Method::CONNECT && status.is_success())
}

/// Whether a body has no content encoding.
pub(crate) fn is_unencoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_none_or(|encoding| encoding == "identity")
}

/// Returns the declared length: the Content-Length, else the body's exact size hint, which servers
/// turn into a Content-Length.
///
/// In HTTP/1.1 a Transfer-Encoding overrides both (RFC 9112, section 6.3). Servers omit it in other
/// versions. An invalid Content-Length, or two different ones, declare no length.
pub(crate) fn declared_length(
    headers: &HeaderMap,
    version: Version,
    exact_size_hint: Option<u64>,
) -> Option<u64> {
    let is_transfer_encoded =
        version == Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING);
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else {
        return exact_size_hint.filter(|_| !is_transfer_encoded);
    };
    if is_transfer_encoded || values.any(|other| other != first) {
        return None;
    }
    parse_decimal(first.to_str().ok()?)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn method_and_status_decide_whether_a_body_can_follow() {
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
    fn declared_length_is_the_content_length_or_the_exact_size_hint() {
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
                rule: "Content-Length and another size hint",
                headers: &[("content-length", "15")],
                hint: Some(20),
                expected: Some(15),
            },
            TestCase {
                rule: "the size hint without Content-Length",
                headers: &[],
                hint: Some(20),
                expected: Some(20),
            },
            TestCase {
                rule: "neither Content-Length nor size hint",
                headers: &[],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "the same value twice",
                headers: &[("content-length", "15"), ("content-length", "15")],
                hint: None,
                expected: Some(15),
            },
            TestCase {
                rule: "two different values",
                headers: &[("content-length", "15"), ("content-length", "16")],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "letters",
                headers: &[("content-length", "fifteen")],
                hint: Some(15),
                expected: None,
            },
            TestCase {
                rule: "a sign",
                headers: &[("content-length", "+15")],
                hint: None,
                expected: None,
            },
            TestCase {
                rule: "an empty value",
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
                rule: "Transfer-Encoding beside Content-Length",
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
    fn body_owes_bytes_until_all_declared_ones_are_delivered() {
        let mut progress = Progress::new(Some(4));
        assert!(!progress.has_delivered_all());
        assert!(
            !progress.record_data(0),
            "an empty frame is not the first byte"
        );
        assert!(progress.record_data(3));
        assert_eq!(progress.mismatch(), Some((4, 3)));
        assert!(!progress.record_data(1));
        assert!(progress.has_delivered_all());
        assert_eq!(progress.mismatch(), None);
        progress.record_data(1);
        assert!(progress.has_delivered_all());
        assert_eq!(progress.mismatch(), Some((4, 5)));
    }

    #[test]
    fn body_of_unknown_length_never_delivers_all_and_never_mismatches() {
        let mut progress = Progress::new(None);
        progress.record_data(u64::MAX);
        progress.record_data(1);
        assert!(!progress.has_delivered_all());
        assert_eq!(progress.mismatch(), None);
    }
}
