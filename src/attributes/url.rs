//! `url.*`: scheme and query.

use std::borrow::Cow;

use http::Uri;

/// The scheme of the request. HTTP/1 does not send one; without TLS of our own it is `http`.
pub(super) fn scheme(uri: &Uri) -> Cow<'static, str> {
    match uri.scheme_str() {
        Some("https") => Cow::Borrowed("https"),
        None | Some("" | "http") => Cow::Borrowed("http"),
        Some(other) => Cow::Owned(crate::text::cut(other).to_owned()),
    }
}

/// Query parameters whose values are secrets; names are case-sensitive.
const SENSITIVE: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "sig",
];

/// The query with the values of sensitive parameters replaced; borrowed if there are none.
pub(super) fn redacted(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(is_sensitive) {
        return Cow::Borrowed(query);
    }
    let mut redacted = String::with_capacity(query.len());
    for (index, parameter) in query.split('&').enumerate() {
        if index > 0 {
            redacted.push('&');
        }
        match parameter.split_once('=') {
            Some((name, _)) if is_sensitive(parameter) => {
                redacted.push_str(name);
                redacted.push_str("=REDACTED");
            }
            _ => redacted.push_str(parameter),
        }
    }
    Cow::Owned(redacted)
}

fn is_sensitive(parameter: &str) -> bool {
    parameter
        .split_once('=')
        .is_some_and(|(name, _)| SENSITIVE.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_never_empty() {
        for (uri, expected) in [
            ("/path", "http"),
            ("http://h/", "http"),
            ("https://h/", "https"),
            ("HTTPS://h/", "https"),
            ("wss://h/", "wss"),
            ("*", "http"),
        ] {
            let uri: Uri = uri.parse().expect("a uri");
            assert_eq!(scheme(&uri), expected, "{uri}");
        }
    }

    #[test]
    fn values_of_sensitive_parameters_are_redacted() {
        for (rule, query, expected) in [
            ("the only one", "sig=abc", "sig=REDACTED"),
            ("among others", "a=1&sig=abc&b=2", "a=1&sig=REDACTED&b=2"),
            ("twice", "sig=a&sig=b", "sig=REDACTED&sig=REDACTED"),
            ("a value with an equals sign", "sig=a=b", "sig=REDACTED"),
            ("an empty value", "sig=", "sig=REDACTED"),
            ("no value", "sig", "sig"),
            (
                "a name that only contains one is kept",
                "design=x",
                "design=x",
            ),
            ("names are case-sensitive", "SIG=x", "SIG=x"),
            ("stray separators stay", "&&sig=a&&", "&&sig=REDACTED&&"),
            ("nothing", "", ""),
        ] {
            assert_eq!(redacted(query), expected, "{rule}");
        }
        for name in SENSITIVE {
            assert_eq!(redacted(&format!("{name}=x")), format!("{name}=REDACTED"));
        }
    }

    #[test]
    fn a_query_without_secrets_is_borrowed() {
        assert!(matches!(redacted("a=1&b=2"), Cow::Borrowed(_)));
    }
}
