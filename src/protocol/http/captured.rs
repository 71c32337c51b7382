//! Headers that the operator has asked for, as attributes. Pure.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::text::truncate_lossy;

/// In place of what must not be told.
pub(crate) const REDACTED: &str = "REDACTED";

/// How many values of one header are told.
const MAX_VALUES: usize = 32;

/// Headers whose values are secrets, asked for or not.
const SENSITIVE: [&str; 8] = [
    "api-key",
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
];

/// The headers whose values are not told.
#[derive(Clone, Debug)]
pub(crate) struct SensitiveHeaders(Arc<[HeaderName]>);

impl SensitiveHeaders {
    pub(crate) fn from_names(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether this value is not to be told: by its name, or because somebody has marked it.
    fn has(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        value.is_sensitive() || self.0.contains(name)
    }
}

impl Default for SensitiveHeaders {
    fn default() -> Self {
        Self::from_names(SENSITIVE.map(HeaderName::from_static))
    }
}

/// Headers to be told, each with its key, which is made once.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapturedHeaders(Arc<[(HeaderName, Key)]>);

impl CapturedHeaders {
    /// These headers, under keys that begin with `prefix`. One that is named twice is told once.
    pub(crate) fn new<'a>(prefix: &str, names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mut captured: Vec<(HeaderName, Key)> = Vec::new();
        for name in names {
            if captured.iter().all(|(known, _)| known != name) {
                let key: Arc<str> = format!("{prefix}.{name}").into();
                captured.push((name.clone(), Key::from(key)));
            }
        }
        Self(captured.into())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The attributes of those headers that are there: their values in the order they came in, none
    /// of them empty.
    pub(crate) fn read<'a>(
        &'a self,
        headers: &'a HeaderMap,
        sensitive: &'a SensitiveHeaders,
    ) -> impl Iterator<Item = KeyValue> + 'a {
        self.0.iter().filter_map(move |(name, key)| {
            let values: Vec<StringValue> = headers
                .get_all(name)
                .iter()
                .filter(|value| !value.is_empty())
                .take(MAX_VALUES)
                .map(|value| {
                    if sensitive.has(name, value) {
                        StringValue::from(REDACTED)
                    } else {
                        StringValue::from(truncate_lossy(value.as_bytes()))
                    }
                })
                .collect();
            (!values.is_empty())
                .then(|| KeyValue::new(key.clone(), Value::Array(Array::String(values))))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> HeaderName {
        HeaderName::try_from(name).expect("a name")
    }

    fn read(asked: &[&str], headers: &[(&str, &str)], sensitive: &SensitiveHeaders) -> Vec<String> {
        let asked: Vec<_> = asked.iter().map(|asked| name(asked)).collect();
        let captured = CapturedHeaders::new("http.request.header", &asked);
        let mut there = HeaderMap::new();
        for (key, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            there.append(name(key), value);
        }
        let read = captured.read(&there, sensitive);
        read.map(|kv| format!("{}={}", kv.key, kv.value)).collect()
    }

    #[test]
    fn headers_are_told_as_lists_of_their_values() {
        let default = SensitiveHeaders::default();
        for (rule, asked, headers, expected) in [
            ("none asked for", &[][..], &[("a", "1")][..], &[][..]),
            ("not there", &["a"], &[("b", "1")], &[]),
            ("there", &["a"], &[("a", "1"), ("b", "2")], &["a=[\"1\"]"]),
            (
                "a name in capitals",
                &["X-A"],
                &[("x-a", "1")],
                &["x-a=[\"1\"]"],
            ),
            (
                "several lines",
                &["a"],
                &[("a", "1"), ("a", "2, 3")],
                &["a=[\"1\",\"2, 3\"]"],
            ),
            (
                "empty values",
                &["a"],
                &[("a", ""), ("a", "2")],
                &["a=[\"2\"]"],
            ),
            ("only empty values", &["a"], &[("a", "")], &[]),
            (
                "asked for twice",
                &["a", "A"],
                &[("a", "1")],
                &["a=[\"1\"]"],
            ),
            (
                "a secret",
                &["authorization", "cookie"],
                &[
                    ("authorization", "Bearer x"),
                    ("cookie", "a=b"),
                    ("cookie", "c=d"),
                ],
                &[
                    "authorization=[\"REDACTED\"]",
                    "cookie=[\"REDACTED\",\"REDACTED\"]",
                ],
            ),
        ] {
            let expected: Vec<_> = expected
                .iter()
                .map(|expected| format!("http.request.header.{expected}"))
                .collect();
            assert_eq!(read(asked, headers, &default), expected, "{rule}");
        }
    }

    #[test]
    fn who_says_what_is_sensitive_says_it_all() {
        let given = SensitiveHeaders::from_names([name("x-tenant")]);
        assert_eq!(
            read(
                &["x-tenant", "cookie"],
                &[("x-tenant", "blue"), ("cookie", "a=b")],
                &given
            ),
            [
                "http.request.header.x-tenant=[\"REDACTED\"]",
                "http.request.header.cookie=[\"a=b\"]"
            ]
        );
    }

    #[test]
    fn a_value_that_is_marked_as_sensitive_is_not_told() {
        let mut value = HeaderValue::from_static("secret");
        value.set_sensitive(true);
        let headers = HeaderMap::from_iter([(name("x-mine"), value)]);
        let captured = CapturedHeaders::new("h", &[name("x-mine")]);
        let read: Vec<_> = captured
            .read(&headers, &SensitiveHeaders::from_names([]))
            .collect();
        assert_eq!(read[0].value.to_string(), "[\"REDACTED\"]");
    }

    #[test]
    fn values_are_cut_and_counted() {
        let mut headers = HeaderMap::new();
        for _ in 0..100 {
            let value = HeaderValue::try_from("v".repeat(5_000)).expect("a value");
            headers.append("a", value);
        }
        let captured = CapturedHeaders::new("h", &[name("a")]);
        let sensitive = SensitiveHeaders::default();
        let read: Vec<_> = captured.read(&headers, &sensitive).collect();
        let Value::Array(Array::String(values)) = &read[0].value else {
            panic!("a list of strings");
        };
        assert_eq!(values.len(), MAX_VALUES);
        assert!(values.iter().all(|value| value.as_str().len() == 1_024));
    }
}
