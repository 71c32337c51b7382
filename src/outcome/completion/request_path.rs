//! The path and the query of a request, as an open response holds them.

use std::fmt;

use http::uri::PathAndQuery;

use crate::text::truncate;

/// The path and the query of a request. `Debug` prints no query, which may have secrets.
#[derive(Clone)]
pub(crate) struct RequestPath {
    text: Box<str>,
    path_length: usize,
}

impl RequestPath {
    /// Copies a path and a query, truncated to 1,024 bytes each. The original holds the server's buffer, and an open
    /// response would hold all headers of its request.
    pub(crate) fn copy_of(target: &PathAndQuery) -> Self {
        let (path, query) = (truncate(target.path()), target.query().map(truncate));
        let mut text = String::with_capacity(path.len() + query.map_or(0, |query| 1 + query.len()));
        text.push_str(path);
        if let Some(query) = query {
            text.push('?');
            text.push_str(query);
        }
        Self {
            text: text.into_boxed_str(),
            path_length: path.len(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.text[..self.path_length]
    }

    #[cfg(any(feature = "tracing", test))]
    pub(crate) fn query(&self) -> Option<&str> {
        self.text.get(self.path_length + 1..)
    }
}

impl fmt::Debug for RequestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use http::uri::PathAndQuery;

    use super::RequestPath;

    #[test]
    fn path_and_query_are_those_of_the_target_up_to_the_limit() {
        let long = "a".repeat(2_000);
        for (target, path, query) in [
            ("/users/7".to_owned(), "/users/7", None),
            ("/users/7?".to_owned(), "/users/7", Some("")),
            ("/users/7?all=1".to_owned(), "/users/7", Some("all=1")),
            ("?all".to_owned(), "/", Some("all")),
            ("*".to_owned(), "*", None),
            (
                format!("/{long}?{long}"),
                &format!("/{}", &long[..1_023]),
                Some(&long[..1_024]),
            ),
        ] {
            let parsed = PathAndQuery::try_from(&*target).expect("a target");
            let copy = RequestPath::copy_of(&parsed);
            assert_eq!((copy.path(), copy.query()), (path, query), "{target}");
            assert_eq!(format!("{copy:?}"), format!("{path:?}"), "no query");
        }
    }
}
