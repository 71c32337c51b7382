//! The data of a request that is known at its start.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Method, Version};
use opentelemetry::StringValue;

use crate::protocol::http::methods::{KnownMethod, OTHER};

/// The value of `rpc.system.name`, and the name of a call to an unknown method.
pub(crate) const RPC_SYSTEM_GRPC: &str = "grpc";

/// The data of a request that span and metrics describe. Built by
/// [`read_request`](crate::telemetry::span::request::read_request).
#[derive(Debug)]
pub(crate) struct RequestInfo {
    /// The method as the client sent it, truncated to 1,024 bytes.
    pub(crate) method: Method,
    pub(crate) version: Version,
    pub(crate) conventions: Conventions,
    pub(crate) known_method: KnownMethod,
    /// The HTTP route. Also read for a gRPC call, because its response may be plain HTTP.
    pub(crate) route: Option<StringValue>,
    pub(crate) scheme: Cow<'static, str>,
    /// Whether the scheme comes from the operator or a trusted proxy, and not from the client.
    pub(crate) is_scheme_trusted: bool,
    /// The method of a gRPC call.
    pub(crate) rpc_method: CalledMethod,
}

/// The method of a gRPC call, as far as it is known at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CalledMethod {
    /// `service/method`, which the operator has listed or the server has confirmed.
    Known(Arc<str>),
    /// `service/method`, named by the client alone so far. The response decides whether it is known.
    Unconfirmed {
        name: Arc<str>,
        /// Whether the operator has listed its service.
        is_of_known_service: bool,
    },
    /// The path has another form, or the operator's list lacks the method. Also if the request is no call.
    Unknown,
}

/// The target of a request, as a span records it.
#[derive(Debug)]
pub(crate) struct HttpTarget {
    pub(crate) path: String,
    pub(crate) query: Option<String>,
}

/// The semantic conventions that describe a request. The response does not change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conventions {
    Http,
    Rpc,
}

impl RequestInfo {
    /// Returns the value of `http.request.method`: the method, or `_OTHER` if it is unknown.
    pub(crate) fn method_or_other(&self) -> Cow<'static, str> {
        self.method_or(OTHER)
    }

    /// Returns the value of `network.protocol.version`.
    pub(crate) fn http_version(&self) -> Option<&'static str> {
        match self.version {
            Version::HTTP_09 => Some("0.9"),
            Version::HTTP_10 => Some("1.0"),
            Version::HTTP_11 => Some("1.1"),
            Version::HTTP_2 => Some("2"),
            Version::HTTP_3 => Some("3"),
            _ => None,
        }
    }

    /// Returns the HTTP span name: `{method} {route}`, or `{method}` without a route. `HTTP` replaces an
    /// unknown method.
    pub(crate) fn http_name(&self, route: Option<&str>) -> Cow<'static, str> {
        let method = self.method_or("HTTP");
        match route {
            Some(route) => {
                let mut name = String::with_capacity(method.len() + 1 + route.len());
                name.push_str(&method);
                name.push(' ');
                name.push_str(route);
                Cow::Owned(name)
            }
            None => method,
        }
    }

    fn method_or(&self, unknown: &'static str) -> Cow<'static, str> {
        match self.known_method {
            KnownMethod::Standard(method) => Cow::Borrowed(method.name()),
            KnownMethod::Listed => Cow::Owned(self.method.as_str().to_owned()),
            KnownMethod::Unknown => Cow::Borrowed(unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_written_as_in_the_conventions() {
        for (version, expected) in [
            (Version::HTTP_09, "0.9"),
            (Version::HTTP_10, "1.0"),
            (Version::HTTP_11, "1.1"),
            (Version::HTTP_2, "2"),
            (Version::HTTP_3, "3"),
        ] {
            let info = RequestInfo {
                method: Method::GET,
                version,
                conventions: Conventions::Http,
                known_method: KnownMethod::Unknown,
                route: None,
                scheme: Cow::Borrowed("http"),
                is_scheme_trusted: false,
                rpc_method: CalledMethod::Unknown,
            };
            assert_eq!(info.http_version(), Some(expected));
        }
    }
}
