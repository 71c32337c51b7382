//! Configured headers as attributes, with secrets redacted. Pure.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};

use crate::text::header_text;

/// The value that replaces a secret.
pub(crate) const REDACTED: &str = "REDACTED";

/// The number of values of one header that are recorded.
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
    /// Creates a list of headers.
    pub(crate) fn from_names(names: impl IntoIterator<Item = HeaderName>) -> Self {
        Self(names.into_iter().collect())
    }

    /// Adds headers whose values are redacted, too.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = HeaderName>) {
        self.0 = self.0.iter().cloned().chain(names).collect();
    }

    /// Whether the values of a header are redacted.
    fn contain(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

impl Default for SensitiveHeaders {
    fn default() -> Self {
        Self::from_names(SENSITIVE.map(HeaderName::from_static))
    }
}

/// The headers to record.
#[derive(Clone, Debug, Default)]
pub(crate) struct CapturedHeaders(Arc<[Header]>);

/// A header to record. What it needs is built or looked up once.
#[derive(Clone, Debug)]
struct Header {
    name: HeaderName,
    /// The attribute's key.
    key: Key,
    is_sensitive: bool,
}

impl CapturedHeaders {
    /// Creates a list of headers with keys that begin with `prefix`. Duplicates are removed. None is sensitive.
    pub(crate) fn new<'a>(prefix: &str, names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mut captured: Vec<Header> = Vec::new();
        for name in names {
            if captured.iter().all(|known| known.name != name) {
                let key: Arc<str> = format!("{prefix}.{name}").into();
                captured.push(Header {
                    name: name.clone(),
                    key: Key::from(key),
                    is_sensitive: false,
                });
            }
        }
        Self(captured.into())
    }

    /// Marks the headers whose values are redacted.
    pub(crate) fn mark_sensitive(&mut self, sensitive: &SensitiveHeaders) {
        let marked = self.0.iter().map(|header| Header {
            is_sensitive: sensitive.contain(&header.name),
            ..header.clone()
        });
        self.0 = marked.collect();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the attributes of the headers that are present. Values keep their order. Empty values are skipped.
    pub(crate) fn read<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> impl Iterator<Item = KeyValue> + 'a {
        // Most headers have one value, and `get` is faster than `get_all`.
        let has_repeated = headers.len() > headers.keys_len();
        self.0.iter().filter_map(move |header| {
            let first = headers.get(&header.name)?;
            let is_sensitive = header.is_sensitive;
            let texts = if has_repeated {
                let values = headers.get_all(&header.name).iter();
                let mut values = values.filter(|value| !value.is_empty()).take(MAX_VALUES);
                // Collecting would leave room for more values.
                let mut texts = vec![text(values.next()?, is_sensitive)];
                texts.extend(values.map(|value| text(value, is_sensitive)));
                texts
            } else if first.is_empty() {
                return None;
            } else {
                vec![text(first, is_sensitive)]
            };
            Some(KeyValue::new(
                header.key.clone(),
                Value::Array(Array::String(texts)),
            ))
        })
    }
}

/// Returns a value as text, unless its header is sensitive, or the value is marked as sensitive.
fn text(value: &HeaderValue, is_sensitive: bool) -> StringValue {
    if is_sensitive || value.is_sensitive() {
        return StringValue::from(REDACTED);
    }
    StringValue::from(header_text(value))
}

#[cfg(test)]
mod tests;
