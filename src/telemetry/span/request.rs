//! Reads the data of a request that span and metrics describe.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Uri, request};

use crate::protocol::grpc::Protocol;
use crate::protocol::http::forwarded::Hop;
use crate::protocol::http::methods::{FoundMethod, truncated_method};
use crate::recording::learnt_methods::LearntMethods;
use crate::recording::request_info::{CalledMethod, Conventions, HttpTarget, RequestInfo};
use crate::settings::Settings;
use crate::telemetry::span::http::route;
use crate::telemetry::span::target::Target;
use crate::text::truncate;

/// Reads a request. `claimed` is the protocol that its content type claims, `learnt` the methods that the server has
/// confirmed.
pub(crate) fn read_request(
    parts: &request::Parts,
    target: Target<'_>,
    claimed: Protocol,
    settings: &Settings,
    learnt: &LearntMethods,
    hop: &Hop<'_>,
) -> RequestInfo {
    let conventions = match claimed {
        Protocol::Http => Conventions::Http,
        Protocol::Grpc | Protocol::GrpcWeb => Conventions::Rpc,
    };
    let scheme = hop.proto.map(Cow::Borrowed);
    let scheme = scheme.or_else(|| settings.scheme.clone());
    RequestInfo {
        method: truncated_method(&parts.method),
        version: parts.version,
        conventions,
        known_method: settings.http_methods.find(&parts.method),
        route: route(parts, target, settings),
        is_scheme_trusted: scheme.is_some(),
        scheme: scheme.unwrap_or_else(|| scheme_of(target.uri)),
        rpc_method: match conventions {
            Conventions::Http => CalledMethod::Unknown,
            Conventions::Rpc => called_method(parts, settings, learnt),
        },
    }
}

/// Returns the method of a call.
fn called_method(
    parts: &request::Parts,
    settings: &Settings,
    learnt: &LearntMethods,
) -> CalledMethod {
    // Shared by the span, the metrics and the learnt methods.
    let shared = |method: &str| Arc::from(truncate(method));
    let (method, is_of_known_service) = match settings.rpc_methods.find(parts.uri.path()) {
        None => return CalledMethod::Unknown,
        Some(FoundMethod::Listed(method)) => return CalledMethod::Known(shared(method)),
        Some(FoundMethod::OfService(method)) => (method, true),
        Some(FoundMethod::OfForm(method)) => (method, false),
    };
    match learnt.find(method, is_of_known_service) {
        Some(method) => CalledMethod::Known(method),
        None => CalledMethod::Unconfirmed {
            name: shared(method),
            is_of_known_service,
        },
    }
}

/// Reads the target of a call whose span records, unless the target is the path of a known method.
pub(crate) fn read_target(
    target: Target<'_>,
    request: &RequestInfo,
    settings: &Settings,
) -> Option<HttpTarget> {
    if request.conventions == Conventions::Http {
        return None;
    }
    let uri = target.uri;
    if let CalledMethod::Known(method) = &request.rpc_method
        && uri.query().is_none()
        && target.path().strip_prefix('/') == Some(&**method)
    {
        return None;
    }
    let query = uri.query().filter(|query| !query.is_empty());
    let query = query.map(|query| settings.sensitive_parameters.redact(query));
    Some(HttpTarget {
        path: truncate(target.path()).to_owned(),
        query: query.map(Cow::into_owned),
    })
}

/// Returns the scheme of a target. HTTP/1 sends no scheme. It is then `http`, because a Tower service does not see
/// TLS.
fn scheme_of(uri: &Uri) -> Cow<'static, str> {
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
            assert_eq!(scheme_of(&uri), expected, "{uri}");
        }
    }
}
