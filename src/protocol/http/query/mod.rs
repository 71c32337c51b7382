//! Redacts secrets in the query of a request. Pure.

use std::borrow::Cow;
use std::sync::Arc;

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
#[derive(Clone, Debug, Default)]
pub(crate) enum SensitiveParameters {
    #[default]
    Standard,
    /// Only the listed ones.
    Listed(Arc<[String]>),
}

impl SensitiveParameters {
    /// Creates a list of parameters.
    pub(crate) fn from_names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Listed(names.into_iter().map(Into::into).collect())
    }

    /// Adds parameters whose values are redacted, too.
    pub(crate) fn add(&mut self, names: impl IntoIterator<Item = impl Into<String>>) {
        let known: Vec<String> = match self {
            Self::Standard => SENSITIVE.map(str::to_owned).into(),
            Self::Listed(names) => names.to_vec(),
        };
        let added = names.into_iter().map(Into::into);
        *self = Self::Listed(known.into_iter().chain(added).collect());
    }

    /// Replaces the values of sensitive parameters and truncates the query. Borrowed if unchanged or
    /// only truncated.
    pub(crate) fn redact<'a>(&self, query: &'a str) -> Cow<'a, str> {
        let query = truncate(query);
        if !query
            .split('&')
            .any(|parameter| self.is_sensitive(parameter))
        {
            return Cow::Borrowed(query);
        }
        let mut redacted = String::with_capacity(query.len());
        for (index, parameter) in query.split('&').enumerate() {
            if index > 0 {
                redacted.push('&');
            }
            match parameter.split_once('=') {
                Some((name, _)) if self.is_sensitive(parameter) => {
                    redacted.push_str(name);
                    redacted.push('=');
                    redacted.push_str(REDACTED);
                }
                _ => redacted.push_str(parameter),
            }
        }
        // The replacement may be longer than the value.
        redacted.truncate(truncate(&redacted).len());
        Cow::Owned(redacted)
    }

    /// Whether this parameter has a value, and a sensitive name.
    fn is_sensitive(&self, parameter: &str) -> bool {
        let Some((name, _)) = parameter.split_once('=') else {
            return false;
        };
        match self {
            Self::Standard => SENSITIVE.iter().any(|known| decodes_to(name, known)),
            Self::Listed(names) => names.iter().any(|known| decodes_to(name, known)),
        }
    }
}

/// Whether an encoded name decodes to `name`. As on a server, percent-encoding is decoded and `+` is a space.
fn decodes_to(encoded: &str, name: &str) -> bool {
    if encoded == name {
        return true;
    }
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
