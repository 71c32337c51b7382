//! The methods that are known: whatever else a client sends is `_OTHER`. Pure.

use std::borrow::Cow;
use std::sync::Arc;

use http::Method;

/// In place of a method that is not known.
pub(crate) const OTHER: &str = "_OTHER";

/// The methods of RFC 9110, RFC 5789 and RFC 10008. They are case-sensitive.
const STANDARD: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];

/// The HTTP methods that are known.
#[derive(Clone, Debug, Default)]
pub(crate) enum HttpMethods {
    #[default]
    Standard,
    /// These and no others.
    Listed(Arc<[String]>),
}

impl HttpMethods {
    /// These and no others; what is no method is left out.
    pub(crate) fn from_names(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let methods = methods.into_iter().map(Into::into);
        Self::Listed(methods.filter(|method| is_token(method)).collect())
    }

    /// The methods in a list separated by commas, as the environment has it; the standard ones
    /// where there is none in it.
    pub(crate) fn from_comma_separated(list: Option<&str>) -> Self {
        let methods: Vec<_> = list
            .into_iter()
            .flat_map(|list| list.split(',').map(str::trim))
            .filter(|method| is_token(method))
            .collect();
        if methods.is_empty() {
            Self::Standard
        } else {
            Self::from_names(methods)
        }
    }

    /// The method as it is told, if it is known. Borrowed, unless it is none of the standard ones.
    pub(crate) fn find(&self, method: &Method) -> Option<Cow<'static, str>> {
        let method = method.as_str();
        let standard = STANDARD.iter().find(|standard| **standard == method);
        match self {
            Self::Standard => standard.map(|method| Cow::Borrowed(*method)),
            Self::Listed(known) => known.iter().find(|known| *known == method).map(|known| {
                standard.map_or_else(
                    || Cow::Owned(known.clone()),
                    |method| Cow::Borrowed(*method),
                )
            }),
        }
    }
}

/// The gRPC methods that are known.
#[derive(Clone, Debug, Default)]
pub(crate) enum RpcMethods {
    /// Every path of the form `/service/method` is one: only the server knows.
    #[default]
    All,
    /// These and no others, sorted.
    Listed(Arc<[String]>),
}

impl RpcMethods {
    /// These and no others, with or without the slash that the path begins with.
    pub(crate) fn from_names(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let mut methods: Vec<String> = methods
            .into_iter()
            .map(|method| {
                let method = method.into();
                method
                    .strip_prefix('/')
                    .map(str::to_owned)
                    .unwrap_or(method)
            })
            .collect();
        methods.sort_unstable();
        Self::Listed(methods.into())
    }

    /// `service/method` in the path of a call, if it is known.
    pub(crate) fn find<'a>(&self, path: &'a str) -> Option<&'a str> {
        let method = method(path)?;
        match self {
            Self::All => Some(method),
            Self::Listed(known) => known
                .binary_search_by(|known| known.as_str().cmp(method))
                .is_ok()
                .then_some(method),
        }
    }

    /// Whether there are any.
    pub(crate) fn has_any(&self) -> bool {
        match self {
            Self::All => true,
            Self::Listed(methods) => !methods.is_empty(),
        }
    }

    /// Whether somebody has said which methods there are.
    pub(crate) fn has_list(&self) -> bool {
        matches!(self, Self::Listed(_))
    }
}

/// `service/method` in a path of that form.
fn method(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let (service, method) = path.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some(path)
}

/// Whether this can be a method at all.
fn is_token(method: &str) -> bool {
    Method::from_bytes(method.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(methods: &HttpMethods, method: &str) -> bool {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        methods
            .find(&method)
            .is_some_and(|known| known == method.as_str())
    }

    #[test]
    fn the_standard_methods_are_known_by_their_exact_names() {
        let methods = HttpMethods::default();
        for method in STANDARD {
            assert!(known(&methods, method), "{method}");
        }
        for method in ["get", "Get", "FOO", "PROPFIND", "_OTHER"] {
            assert!(!known(&methods, method), "{method}");
        }
    }

    #[test]
    fn a_list_of_methods_takes_the_place_of_the_standard_ones() {
        for (rule, list, are_known, are_not) in [
            ("one", Some("PURGE"), &["PURGE"][..], &["GET"][..]),
            ("several", Some("GET,PURGE"), &["GET", "PURGE"], &["POST"]),
            (
                "spaces",
                Some(" GET ,\tPURGE "),
                &["GET", "PURGE"],
                &["POST"],
            ),
            ("case", Some("get"), &["get"], &["GET"]),
            ("no list", None, &["GET", "QUERY"], &["PURGE"]),
            ("an empty list is none", Some(""), &["GET"], &["PURGE"]),
            ("nothing but commas", Some(" , ,"), &["GET"], &["PURGE"]),
            (
                "no method at all is left out",
                Some("a b,GET"),
                &["GET"],
                &["POST"],
            ),
        ] {
            let methods = HttpMethods::from_comma_separated(list);
            for method in are_known {
                assert!(known(&methods, method), "{rule}: {method}");
            }
            for method in are_not {
                assert!(!known(&methods, method), "{rule}: {method}");
            }
        }
        assert!(
            !known(&HttpMethods::from_names([""; 0]), "GET"),
            "none at all"
        );
    }

    #[test]
    fn a_standard_method_is_borrowed_wherever_it_was_listed() {
        for methods in [HttpMethods::default(), HttpMethods::from_names(["GET"])] {
            let known = methods.find(&Method::GET);
            assert!(matches!(known, Some(Cow::Borrowed("GET"))), "{known:?}");
        }
    }

    #[test]
    fn a_call_is_known_by_the_list_if_there_is_one() {
        let all = RpcMethods::default();
        let given = RpcMethods::from_names(["b.B/Two", "/a.A/One"]);
        let none = RpcMethods::from_names([""; 0]);
        for (path, by_all, by_given) in [
            ("/a.A/One", true, true),
            ("/b.B/Two", true, true),
            ("/b.B/One", true, false),
            ("/a.A/one", true, false),
            ("a.A/One", false, false),
            ("/a.A/One/", false, false),
            ("/a.A", false, false),
            ("//One", false, false),
            ("/a.A/", false, false),
            ("/", false, false),
            ("", false, false),
        ] {
            assert_eq!(all.find(path).is_some(), by_all, "{path}");
            assert_eq!(given.find(path).is_some(), by_given, "{path}");
            assert_eq!(none.find(path), None, "{path}");
        }
    }
}
