//! The known methods of HTTP and gRPC. Any other method is `_OTHER`. Pure.

mod rpc;

use std::sync::Arc;

use http::Method;

use crate::text::truncate;

pub(crate) use rpc::{FoundMethod, RpcMethods};

/// The value that replaces an unknown method.
pub(crate) const OTHER: &str = "_OTHER";

/// The methods of RFC 9110, RFC 5789 and RFC 10008. They are case-sensitive.
const STANDARD: [&str; 10] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY",
];

/// The known HTTP methods.
#[derive(Clone, Debug, Default)]
pub(crate) enum HttpMethods {
    #[default]
    Standard,
    /// Only the listed ones.
    Listed(Arc<[String]>),
}

impl HttpMethods {
    /// Creates a list of known methods. Names that are not tokens are skipped.
    pub(crate) fn from_names(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let methods = methods.into_iter().map(Into::into);
        Self::Listed(methods.filter(|method| is_token(method)).collect())
    }

    /// Reads a comma-separated list, as in the environment variable. Without a valid name in it, the
    /// standard methods are known.
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

    /// Returns whether a method is known, and from which list.
    pub(crate) fn find(&self, method: &Method) -> KnownMethod {
        let method = method.as_str();
        let is_known = match self {
            Self::Standard => true,
            Self::Listed(known) => known.iter().any(|known| known == method),
        };
        match StandardMethod::find(method) {
            _ if !is_known => KnownMethod::Unknown,
            Some(method) => KnownMethod::Standard(method),
            None if matches!(self, Self::Listed(_)) => KnownMethod::Listed,
            None => KnownMethod::Unknown,
        }
    }
}

/// Whether an HTTP method is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KnownMethod {
    Standard(StandardMethod),
    /// Another method that the operator has listed.
    Listed,
    Unknown,
}

/// The index of a standard method. An index keeps open streams smaller than a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StandardMethod(u8);

impl StandardMethod {
    fn find(method: &str) -> Option<Self> {
        let index = STANDARD.iter().position(|standard| *standard == method)?;
        u8::try_from(index).ok().map(Self)
    }

    pub(crate) fn name(self) -> &'static str {
        STANDARD[usize::from(self.0)]
    }
}

/// Returns a copy of a method, truncated to 1,024 bytes. An open response holds it, and a server may accept one as long
/// as a whole head.
pub(crate) fn truncated_method(method: &Method) -> Method {
    let text = method.as_str();
    let kept = truncate(text);
    if kept.len() == text.len() {
        return method.clone();
    }
    // The beginning of a token is a token.
    Method::from_bytes(kept.as_bytes()).unwrap_or_else(|_| method.clone())
}

/// Whether this is a valid HTTP method.
fn is_token(method: &str) -> bool {
    Method::from_bytes(method.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests;
