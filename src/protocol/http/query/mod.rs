//! Redacts secrets in the query of a request. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::memchr;

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
        let bytes = query.as_bytes();
        let mut redaction = Redaction::default();
        // Most names are ruled out by their first bytes.
        if self.first.match_name(bytes, 0) {
            redaction.redact(self, query, 0);
        }
        let (words, rest) = bytes.as_chunks();
        let mut base = 0;
        for word in words {
            self.redact_behind(find_separators(*word), query, base, &mut redaction);
            base += 8;
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.redact_behind(find_separators(last), query, base, &mut redaction);
        redaction.finish(query)
    }

    /// Redacts the parameters behind the separators that were found from `base` on.
    #[expect(
        clippy::inline_always,
        reason = "most parameters cost no more than a few comparisons"
    )]
    #[inline(always)]
    fn redact_behind(&self, found: u64, query: &str, base: usize, redaction: &mut Redaction) {
        let mut found = found;
        while found != 0 {
            let start = base + found.trailing_zeros() as usize / 8 + 1;
            found &= found - 1;
            if self.first.match_name(query.as_bytes(), start) {
                redaction.redact(self, query, start);
            }
        }
    }

    /// Returns the name of a parameter, if it is sensitive and has a value.
    fn sensitive_name<'a>(&self, parameter: &'a str) -> Option<&'a str> {
        let mut is_encoded = false;
        let end = parameter.bytes().position(|byte| {
            is_encoded |= byte == b'%' || byte == b'+';
            byte == b'='
        });
        let name = &parameter[..end?];
        let is_known = |known: &str| known == name || is_encoded && decodes_to(name, known);
        let is_sensitive = match &self.listed {
            None => SENSITIVE.iter().any(|known| is_known(known)),
            Some(names) => names.iter().any(|known| is_known(known)),
        };
        is_sensitive.then_some(name)
    }
}

/// The first two bytes that a name of one of the parameters can have in a query.
#[derive(Clone, Copy, Debug)]
struct FirstBytes {
    first: Bytes,
    second: Bytes,
}

impl FirstBytes {
    fn of<'a>(names: impl Iterator<Item = &'a str> + Clone) -> Self {
        // An `=` is behind the name. Any byte can be encoded.
        let at = |at| move |name: &str| *name.as_bytes().get(at).unwrap_or(&b'=');
        let (first, second) = (names.clone().map(at(0)), names.map(at(1)));
        Self {
            first: Bytes::from_iter(first.chain(ENCODED)),
            second: Bytes::from_iter(second.chain(ENCODED)),
        }
    }

    /// Whether the parameter that starts here can be sensitive and have a value.
    #[inline]
    fn match_name(&self, query: &[u8], start: usize) -> bool {
        let Some(first) = query.get(start).filter(|first| self.first.contain(**first)) else {
            return false;
        };
        // What an encoded byte is, is not known, and behind an empty name is its value.
        let is_any = *first == b'=' || ENCODED.contains(first);
        let second = query.get(start + 1);
        is_any || second.is_some_and(|second| self.second.contain(*second))
    }
}

/// The first byte of an encoded one.
const ENCODED: [u8; 2] = [b'%', b'+'];

/// A set of bytes.
#[derive(Clone, Copy, Debug)]
struct Bytes([u64; 4]);

impl Bytes {
    fn from_iter(bytes: impl Iterator<Item = u8>) -> Self {
        let mut bits = [0; 4];
        for byte in bytes {
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

/// Finds `&` among eight bytes of a query: the highest bit of each is set.
///
/// Parameters are short, and a search that starts anew at each costs more than it saves.
#[inline]
fn find_separators(bytes: [u8; 8]) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x7f; 8]);
    // A `&` becomes 0, and only 0 stays without its highest bit in the sum and in itself.
    let differences = u64::from_le_bytes(bytes) ^ u64::from_ne_bytes([b'&'; 8]);
    !(((differences & LOW) + LOW) | differences | LOW)
}

/// A query, as far as it was redacted.
#[derive(Default)]
struct Redaction {
    redacted: String,
    /// Up to where the query was copied.
    copied: usize,
}

impl Redaction {
    /// Redacts the parameter that starts here, if it is sensitive.
    #[inline(never)]
    fn redact(&mut self, parameters: &SensitiveParameters, query: &str, start: usize) {
        let rest = &query[start..];
        let length = memchr(b'&', rest.as_bytes()).unwrap_or(rest.len());
        if let Some(name) = parameters.sensitive_name(&rest[..length]) {
            let value = start + name.len() + 1;
            self.redacted.push_str(&query[self.copied..value]);
            self.redacted.push_str(REDACTED);
            self.copied = start + length;
        }
    }

    fn finish(self, query: &str) -> Cow<'_, str> {
        let Self {
            mut redacted,
            copied,
        } = self;
        if copied == 0 {
            return Cow::Borrowed(query);
        }
        redacted.push_str(&query[copied..]);
        // The replacement may be longer than the value.
        redacted.truncate(truncate(&redacted).len());
        Cow::Owned(redacted)
    }
}

#[cfg(test)]
mod tests;
