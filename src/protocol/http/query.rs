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
    /// These alone.
    Listed(Arc<[String]>),
}

impl SensitiveParameters {
    /// Redacts the values of these parameters alone.
    pub(crate) fn from_names(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::Listed(names.into_iter().map(Into::into).collect())
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

/// Whether an encoded name is `name` as a server decodes it: percent-decoded, and `+` as a space.
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
mod tests {
    use super::*;

    #[test]
    fn values_of_sensitive_parameters_are_redacted() {
        for (rule, query, expected) in [
            ("the only one", "sig=abc", "sig=REDACTED"),
            ("among others", "a=1&sig=abc&b=2", "a=1&sig=REDACTED&b=2"),
            ("twice", "sig=a&sig=b", "sig=REDACTED&sig=REDACTED"),
            ("a value with an equals sign", "sig=a=b", "sig=REDACTED"),
            ("an empty value", "sig=", "sig=REDACTED"),
            ("no value", "sig", "sig"),
            ("a name that contains one is kept", "design=x", "design=x"),
            ("a name that begins with one is kept", "sigs=x", "sigs=x"),
            ("the beginning of one is kept", "si=x", "si=x"),
            ("names are case-sensitive", "SIG=x", "SIG=x"),
            ("stray separators stay", "&&sig=a&&", "&&sig=REDACTED&&"),
            ("a percent-encoded byte", "%73ig=x", "%73ig=REDACTED"),
            (
                "a percent-encoded name",
                "%73%69%67=x",
                "%73%69%67=REDACTED",
            ),
            (
                "hexadecimal digits in either case",
                "X%2DAmz%2dSignature=x",
                "X%2DAmz%2dSignature=REDACTED",
            ),
            (
                "a percent sign without two digits",
                "%zzsig=x&%7=y",
                "%zzsig=x&%7=y",
            ),
            ("an empty query", "", ""),
        ] {
            let redacted = SensitiveParameters::default().redact(query);
            assert_eq!(redacted, expected, "{rule}");
        }
        for name in SENSITIVE {
            let redacted = SensitiveParameters::default();
            let redacted = redacted.redact(&format!("{name}=x")).into_owned();
            assert_eq!(redacted, format!("{name}=REDACTED"));
        }
    }

    #[test]
    fn listed_parameters_replace_the_standard_ones() {
        for (rule, names, query, expected) in [
            (
                "one",
                &["token"][..],
                "token=a&sig=b",
                "token=REDACTED&sig=b",
            ),
            ("no name", &[], "sig=b", "sig=b"),
            (
                "a name with a space",
                &["my key"],
                "my+key=a&my%20key=b",
                "my+key=REDACTED&my%20key=REDACTED",
            ),
            (
                "a name beyond ASCII",
                &["ключ"],
                "%D0%BA%D0%BB%D1%8E%D1%87=a",
                "%D0%BA%D0%BB%D1%8E%D1%87=REDACTED",
            ),
        ] {
            let parameters = SensitiveParameters::from_names(names.iter().copied());
            assert_eq!(parameters.redact(query), expected, "{rule}");
        }
    }

    #[test]
    fn query_without_secrets_is_borrowed() {
        let parameters = SensitiveParameters::default();
        assert!(matches!(parameters.redact("a=1&b=2"), Cow::Borrowed(_)));
    }

    #[test]
    fn query_is_truncated_before_and_after_redaction() {
        let parameters = SensitiveParameters::default();
        let long = "a".repeat(5_000);
        assert_eq!(parameters.redact(&long).len(), 1_024);
        let many = "sig=&".repeat(1_000);
        let redacted = parameters.redact(&many);
        assert_eq!(redacted.len(), 1_024);
        assert!(redacted.starts_with("sig=REDACTED&sig=REDACTED&"));
        // A truncated secret is redacted, too.
        let secret = format!("{}&sig={}", "a".repeat(1_000), "s".repeat(100));
        assert!(!parameters.redact(&secret).contains("=s"));
    }
}
