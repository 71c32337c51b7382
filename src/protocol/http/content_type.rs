//! Matches the `Content-Type` of a message. Pure.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// A borrowed `Content-Type` value. Only its media type is compared, never its parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContentType<'a>(&'a [u8]);

impl<'a> ContentType<'a> {
    /// Reads the header. If there are several lines, the first counts.
    pub(crate) fn from_headers(headers: &'a HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?;
        Some(Self(value.as_bytes()))
    }

    /// Whether the media type is `expected`, in any case.
    pub(crate) fn is(self, expected: &str) -> bool {
        self.split_prefix(expected)
            .is_some_and(|rest| rest.first().is_none_or(|byte| is_delimiter(*byte)))
    }

    /// Returns the rest of the media type, without parameters, if it begins with `prefix` in any
    /// case.
    pub(crate) fn strip_prefix(self, prefix: &str) -> Option<&'a [u8]> {
        let rest = self.split_prefix(prefix)?;
        rest.split(|byte| is_delimiter(*byte)).next()
    }

    fn split_prefix(self, prefix: &str) -> Option<&'a [u8]> {
        let (start, rest) = self.0.split_at_checked(prefix.len())?;
        start
            .eq_ignore_ascii_case(prefix.as_bytes())
            .then_some(rest)
    }
}

/// Whether a byte ends the media type: `;`, or the white space that may precede it (RFC 9110,
/// section 5.6.6).
fn is_delimiter(byte: u8) -> bool {
    matches!(byte, b';' | b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn media_type_matches_in_any_case_with_any_parameters() {
        for (value, is_text, rest) in [
            ("text/plain", true, Some("")),
            ("Text/Plain", true, Some("")),
            ("text/plain;charset=utf-8", true, Some("")),
            ("text/plain ; charset=utf-8", true, Some("")),
            ("text/plain\t;charset=utf-8", true, Some("")),
            ("text/plain+more;a=b", false, Some("+more")),
            ("text/plain+More", false, Some("+More")),
            ("text/plainer", false, Some("er")),
            ("text/plai", false, None),
            ("text/html", false, None),
            (";text/plain", false, None),
            ("", false, None),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            let content_type = ContentType::from_headers(&headers).expect("a content type");
            assert_eq!(content_type.is("text/plain"), is_text, "{value}");
            let stripped = content_type.strip_prefix("text/plain");
            assert_eq!(stripped, rest.map(str::as_bytes), "{value}");
        }
        assert!(ContentType::from_headers(&HeaderMap::new()).is_none());
    }
}
