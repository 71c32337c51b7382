//! `url.scheme`.

use std::borrow::Cow;

use http::Uri;

use crate::text::truncate;

/// The scheme of a request where nobody knows better. HTTP/1 does not send one; without TLS of our
/// own it is `http`.
pub(super) fn scheme(uri: &Uri) -> Cow<'static, str> {
    match uri.scheme_str() {
        Some("https") => Cow::Borrowed("https"),
        None | Some("" | "http") => Cow::Borrowed("http"),
        Some(other) => Cow::Owned(truncate(other).to_owned()),
    }
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
}
