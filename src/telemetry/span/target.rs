//! The target of a request as the client sent it, and the template of its route.
//!
//! A nested router of axum removes its prefix from the request's target, and middleware may rewrite it. axum keeps
//! the client's target and the template in the request's extensions: `OriginalUri`, inserted by the outermost
//! router, and `MatchedPath`, inserted at each match. A handler that makes another request with these extensions
//! passes on values that do not describe it. So they are used only if they fit the request's present target.

use http::{Uri, request};

/// The target and the route of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The target whose path is the client's.
    pub(crate) original: &'a Uri,
    /// The present target, for all but the path. Another request with these extensions may have the same path.
    pub(crate) uri: &'a Uri,
    /// The template that a framework has matched.
    pub(super) route: Option<&'a str>,
}

/// Whether the framework's values in the extensions describe this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HasOwnExtensions(bool);

impl<'a> Target<'a> {
    /// Returns the target and the route. `has_own` is the result of [`has_own_extensions`].
    #[cfg(feature = "axum")]
    // Each request calls it once; else it is inlined nowhere.
    #[inline(always)]
    pub(crate) fn read(
        parts: &'a request::Parts,
        HasOwnExtensions(has_own): HasOwnExtensions,
    ) -> Self {
        use axum::extract::{MatchedPath, OriginalUri};

        if !has_own {
            return Self::without_extensions(parts);
        }
        let original = parts.extensions.get::<OriginalUri>();
        Self {
            original: original.map_or(&parts.uri, |original| &original.0),
            uri: &parts.uri,
            route: parts.extensions.get().map(MatchedPath::as_str),
        }
    }

    #[cfg(not(feature = "axum"))]
    pub(crate) fn read(parts: &'a request::Parts, _: HasOwnExtensions) -> Self {
        Self::without_extensions(parts)
    }

    fn without_extensions(parts: &'a request::Parts) -> Self {
        Self {
            original: &parts.uri,
            uri: &parts.uri,
            route: None,
        }
    }

    /// Returns the path. The target of a CONNECT has none (RFC 9112, section 3.2.3), and an empty path is
    /// equivalent to `/` (RFC 9110, section 4.2.3).
    pub(crate) fn path(&self) -> &'a str {
        match self.original.path() {
            "" => "/",
            path => path,
        }
    }
}

#[cfg(not(feature = "axum"))]
pub(crate) fn has_own_extensions(_: &mut request::Parts) -> HasOwnExtensions {
    HasOwnExtensions(false)
}

/// Finds out whether the extensions describe this request. That is certain in three cases:
///
/// - The target is the original one.
/// - It is the original one without the prefix of nested routers, apart from what [`normalized`] removes.
/// - The innermost router has matched it, after a middleware has rewritten it.
///
/// `parts` are not changed. axum's extractors take them mutably.
#[cfg(feature = "axum")]
// Each request calls it once; else it is inlined nowhere.
#[inline(always)]
pub(crate) fn has_own_extensions(parts: &mut request::Parts) -> HasOwnExtensions {
    use axum::extract::{NestedPath, OriginalUri};

    let path = parts.uri.path();
    let original = parts.extensions.get::<OriginalUri>();
    let Some(original) = original.map(|original| original.0.path()) else {
        return HasOwnExtensions(true);
    };
    if path == original {
        return HasOwnExtensions(true);
    }
    let prefix = parts.extensions.get().map_or("", NestedPath::as_str);
    let prefix = prefix.trim_end_matches('/');
    let is_without_prefix = original.strip_prefix(prefix) == Some(path)
        || without_prefix(&normalized(original), prefix) == Some(normalized(path).as_slice());
    HasOwnExtensions(is_without_prefix || is_matched(parts))
}

/// Returns a path as it is after the usual rewriting: percent-decoded, in lower case, without empty segments and
/// without a slash at its end.
#[cfg(feature = "axum")]
fn normalized(path: &str) -> Vec<u8> {
    let mut normalized = Vec::with_capacity(path.len());
    for byte in decoded(path) {
        if byte != b'/' || normalized.last() != Some(&b'/') {
            normalized.push(byte.to_ascii_lowercase());
        }
    }
    if normalized.last() == Some(&b'/') {
        normalized.pop();
    }
    normalized
}

/// Removes the prefix of nested routers from a normalized path. Each parameter in the prefix stands for a segment.
#[cfg(feature = "axum")]
fn without_prefix<'a>(path: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    let mut rest = path;
    for segment in prefix.split('/').filter(|segment| !segment.is_empty()) {
        let (_, after) = rest.split_at_checked(1)?;
        let end = after.iter().position(|byte| *byte == b'/');
        let (first, after) = after.split_at(end.unwrap_or(after.len()));
        let is_parameter = segment.starts_with('{') && segment.ends_with('}');
        if !is_parameter && normalized(segment) != first {
            return None;
        }
        rest = after;
    }
    Some(rest)
}

/// Whether `MatchedPath` is the match of the present target: its template, without the prefix of nested routers and
/// with the captured values, is the target. A match of another target has captured other values.
#[cfg(feature = "axum")]
fn is_matched(parts: &mut request::Parts) -> bool {
    use axum::extract::{MatchedPath, NestedPath};

    let values = captured_values(parts);
    let Some(template) = parts.extensions.get().map(MatchedPath::as_str) else {
        return false;
    };
    let prefix = parts.extensions.get().map_or("", NestedPath::as_str);
    let Some(template) = template.strip_prefix(prefix.trim_end_matches('/')) else {
        return false;
    };
    let names = template.matches('{').count();
    // Each match appends its values.
    let innermost = values.len().saturating_sub(names);
    let filled = fill(template, &values[innermost..]);
    filled.is_some_and(|filled| decoded(parts.uri.path()).eq(filled))
}

/// Returns the values that axum has captured, percent-decoded, with their names.
#[cfg(feature = "axum")]
fn captured_values(parts: &mut request::Parts) -> Vec<(String, String)> {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use axum::extract::{FromRequestParts, RawPathParams};

    // The extractor is the only public access to them. It never waits.
    let extracted = pin!(RawPathParams::from_request_parts(parts, &()));
    match extracted.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(values)) => {
            let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
            values.iter().map(owned).collect()
        }
        Poll::Ready(Err(_)) | Poll::Pending => Vec::new(),
    }
}

/// Returns a template with values in place of its parameters, percent-decoded. `None` if it has others.
#[cfg(feature = "axum")]
fn fill(template: &str, values: &[(String, String)]) -> Option<Vec<u8>> {
    let mut filled = Vec::new();
    let mut rest = template;
    let mut values = values.iter();
    while let Some((literal, after)) = rest.split_once('{') {
        let (parameter, after) = after.split_once('}')?;
        let (name, value) = values.next()?;
        if parameter.trim_start_matches('*') != name {
            return None;
        }
        filled.extend(decoded(literal));
        filled.extend(value.bytes());
        rest = after;
    }
    filled.extend(decoded(rest));
    if filled.is_empty() {
        // The route `/` of a nested router has its prefix as the template.
        filled.push(b'/');
    }
    Some(filled)
}

/// Returns the bytes of a path, percent-decoded. A malformed escape is kept.
#[cfg(feature = "axum")]
fn decoded(path: &str) -> impl Iterator<Item = u8> {
    let mut rest = path.as_bytes();
    std::iter::from_fn(move || {
        if let [b'%', high, low, after @ ..] = rest {
            let digit = |byte: &u8| char::from(*byte).to_digit(16);
            if let (Some(high), Some(low)) = (digit(high), digit(low)) {
                rest = after;
                return u8::try_from(high * 16 + low).ok();
            }
        }
        let (byte, after) = rest.split_first()?;
        rest = after;
        Some(*byte)
    })
}

#[cfg(all(test, feature = "axum"))]
mod tests {
    use super::*;

    #[test]
    fn normalized_paths_differ_only_in_what_is_more_than_spelling() {
        for (path, expected) in [
            ("/", ""),
            ("//", ""),
            ("/users/7", "/users/7"),
            ("/users/7/", "/users/7"),
            ("//users///7//", "/users/7"),
            ("/Users/ANN", "/users/ann"),
            ("/%75sers/%37", "/users/7"),
            ("/a%2Fb", "/a/b"),
            ("/100%/%zz", "/100%/%zz"),
            ("", ""),
        ] {
            assert_eq!(normalized(path), expected.as_bytes(), "{path}");
        }
    }

    #[test]
    fn a_prefix_is_removed_by_segments() {
        for (path, prefix, expected) in [
            ("/api/users", "/api", Some("/users")),
            ("/api/users", "/api/", Some("/users")),
            ("/api", "/api", Some("")),
            ("/apis/users", "/api", None),
            ("/v2/users", "/{version}", Some("/users")),
            ("/api/v2/users", "/api/{version}", Some("/users")),
            ("/api", "/api/{version}", None),
            ("/v2/users", "/{version", None),
            ("/v2/users", "/version}", None),
            ("/users", "", Some("/users")),
            ("/api/users", "/API", Some("/users")),
            ("", "/api", None),
        ] {
            let rest = without_prefix(path.as_bytes(), prefix);
            assert_eq!(rest, expected.map(str::as_bytes), "{path} without {prefix}");
        }
    }

    #[test]
    fn a_template_is_filled_with_its_own_parameters_only() {
        let values = |values: &[(&str, &str)]| -> Vec<_> {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            values.iter().map(owned).collect()
        };
        for (template, given, expected) in [
            ("/users/{id}", &[("id", "7")][..], Some("/users/7")),
            ("/users/{id}", &[("name", "7")], None),
            ("/users/{id}", &[], None),
            ("/files/{*path}", &[("path", "a/b")], Some("/files/a/b")),
            (
                "/{a}/x/{b}.png",
                &[("a", "1"), ("b", "2")],
                Some("/1/x/2.png"),
            ),
            ("/a%20b", &[], Some("/a b")),
            ("", &[], Some("/")),
            ("/{broken", &[("broken", "1")], None),
        ] {
            let filled = fill(template, &values(given));
            assert_eq!(filled.as_deref(), expected.map(str::as_bytes), "{template}");
        }
    }
}
