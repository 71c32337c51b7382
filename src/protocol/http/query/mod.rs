//! Redacts secrets in the query of a request. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::{memchr_iter, memchr2};

use crate::protocol::digits::decode_hex_byte;
use crate::protocol::http::captured::REDACTED;
use crate::text::truncate;

/// The parameters that the conventions redact. Names are case-sensitive.
const SENSITIVE: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "sig",
];

/// The parameters whose values are redacted.
#[derive(Clone, Debug)]
pub(crate) struct SensitiveParameters {
    /// `None` stands for [`SENSITIVE`].
    listed: Option<Arc<[String]>>,
    first: FirstBytes,
}

impl Default for SensitiveParameters {
    fn default() -> Self {
        Self {
            listed: None,
            first: FirstBytes::of(SENSITIVE.iter().copied()),
        }
    }
}

impl SensitiveParameters {
    /// Creates a list of parameters.
    pub(crate) fn from_names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Arc<[String]> = names.into_iter().map(Into::into).collect();
        Self {
            first: FirstBytes::of(names.iter().map(String::as_str)),
            listed: Some(names),
        }
    }

    /// Adds parameters whose values are redacted, too.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = impl Into<String>>) {
        let known: Vec<String> = match &self.listed {
            None => SENSITIVE.map(str::to_owned).into(),
            Some(names) => names.to_vec(),
        };
        let added = names.into_iter().map(Into::into);
        *self = Self::from_names(known.into_iter().chain(added));
    }

    /// Replaces the values of sensitive parameters and truncates the query. Borrowed if unchanged or
    /// only truncated.
    pub(crate) fn redact<'a>(&self, query: &'a str) -> Cow<'a, str> {
        let query = truncate(query);
        let mut redacted = String::new();
        // Up to where the query is copied.
        let mut copied = 0;
        let mut start = 0;
        let bytes = query.as_bytes();
        for end in memchr_iter(b'&', bytes).chain([query.len()]) {
            // Most names are ruled out by their first byte.
            let can_be_sensitive = start < end && self.first.contain(bytes[start]);
            if can_be_sensitive && let Some(name) = self.sensitive_name(&query[start..end]) {
                redacted.push_str(&query[copied..=start + name.len()]);
                redacted.push_str(REDACTED);
                copied = end;
            }
            start = end + 1;
        }
        if copied == 0 {
            return Cow::Borrowed(query);
        }
        redacted.push_str(&query[copied..]);
        // The replacement may be longer than the value.
        redacted.truncate(truncate(&redacted).len());
        Cow::Owned(redacted)
    }

    /// Returns the name of a parameter, if it is sensitive and has a value.
    #[inline(never)]
    fn sensitive_name<'a>(&self, parameter: &'a str) -> Option<&'a str> {
        let (name, _) = parameter.split_once('=')?;
        let is_encoded = memchr2(b'%', b'+', name.as_bytes()).is_some();
        let is_known = |known: &str| known == name || is_encoded && decodes_to(name, known);
        let is_sensitive = match &self.listed {
            None => SENSITIVE.into_iter().any(is_known),
            Some(names) => names.iter().any(|known| is_known(known)),
        };
        is_sensitive.then_some(name)
    }
}

/// The bytes that an encoded name of one of the parameters can begin with.
#[derive(Clone, Copy, Debug)]
struct FirstBytes([u64; 4]);

impl FirstBytes {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        // `%` and `+` begin any name that is encoded, and `=` an empty one.
        let firsts = names.map(|name| *name.as_bytes().first().unwrap_or(&b'='));
        let mut bits = [0; 4];
        for byte in firsts.chain([b'%', b'+']) {
            bits[usize::from(byte >> 6)] |= 1 << (byte & 63);
        }
        Self(bits)
    }

    #[inline]
    fn contain(self, byte: u8) -> bool {
        self.0[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1
    }
}

/// Whether an encoded name decodes to `name`. As on a server, percent-encoding is decoded and `+` is a space.
fn decodes_to(encoded: &str, name: &str) -> bool {
    let mut encoded = encoded.as_bytes();
    let mut name = name.as_bytes();
    loop {
        let byte = match encoded {
            [] => return name.is_empty(),
            [b'%', high, low, ..] => match decode_hex_byte([*high, *low]) {
                Some(byte) => {
                    encoded = &encoded[2..];
                    byte
                }
                None => b'%',
            },
            [b'+', ..] => b' ',
            [byte, ..] => *byte,
        };
        encoded = &encoded[1..];
        match name {
            [expected, rest @ ..] if *expected == byte => name = rest,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests;
