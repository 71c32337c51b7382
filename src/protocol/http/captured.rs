//! Configured headers as attributes, with secrets redacted. Pure.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::text::truncate_lossy;

/// The value that replaces a secret.
pub(crate) const REDACTED: &str = "REDACTED";

/// The number of values that are recorded of one header.
const MAX_VALUES: usize = 32;

/// The headers that are redacted by default.
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

/// The headers whose values are redacted.
#[derive(Clone, Debug)]
pub(crate) struct SensitiveHeaders(Arc<[HeaderName]>);

impl SensitiveHeaders {
    /// Redacts the values of these headers alone.
    pub(crate) fn from_names(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Whether a value is redacted: by its name, or because it is marked as sensitive.
    fn is_sensitive(&self, name: &HeaderName, value: &HeaderValue) -> bool {
        value.is_sensitive() || self.0.contains(name)
    }
}

impl Default for SensitiveHeaders {
    fn default() -> Self {
        Self::from_names(SENSITIVE.map(HeaderName::from_static))
    }
}

/// The headers to record, each with its attribute key, which is built once.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapturedHeaders(Arc<[(HeaderName, Key)]>);

impl CapturedHeaders {
    /// Records these headers under keys that begin with `prefix`, each once.
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

    /// Returns the attributes of the headers that are present. Values keep their order; empty ones are
    /// left out.
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
                    if sensitive.is_sensitive(name, value) {
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

    fn read(names: &[&str], headers: &[(&str, &str)], sensitive: &SensitiveHeaders) -> Vec<String> {
        let names: Vec<_> = names.iter().map(|one| name(one)).collect();
        let captured = CapturedHeaders::new("http.request.header", &names);
        let mut map = HeaderMap::new();
        for (key, value) in headers {
            let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
            map.append(name(key), value);
        }
        let read = captured.read(&map, sensitive);
        read.map(|kv| format!("{}={}", kv.key, kv.value)).collect()
    }

    #[test]
    fn captured_header_is_a_list_of_its_values() {
        let default = SensitiveHeaders::default();
        for (rule, names, headers, expected) in [
            ("no names", &[][..], &[("a", "1")][..], &[][..]),
            ("absent", &["a"], &[("b", "1")], &[]),
            ("present", &["a"], &[("a", "1"), ("b", "2")], &["a=[\"1\"]"]),
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
            ("named twice", &["a", "A"], &[("a", "1")], &["a=[\"1\"]"]),
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
            assert_eq!(read(names, headers, &default), expected, "{rule}");
        }
    }

    #[test]
    fn listed_sensitive_headers_replace_the_default_ones() {
        let sensitive = SensitiveHeaders::from_names([name("x-tenant")]);
        assert_eq!(
            read(
                &["x-tenant", "cookie"],
                &[("x-tenant", "blue"), ("cookie", "a=b")],
                &sensitive
            ),
            [
                "http.request.header.x-tenant=[\"REDACTED\"]",
                "http.request.header.cookie=[\"a=b\"]"
            ]
        );
    }

    #[test]
    fn value_marked_as_sensitive_is_redacted() {
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
    fn values_are_truncated_and_their_number_limited() {
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
