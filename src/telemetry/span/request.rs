//! Reads the data of a request that span and metrics describe.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Uri, request};
use opentelemetry::StringValue;

use crate::protocol::grpc::Protocol;
use crate::protocol::http::forwarded::Hop;
use crate::recording::request_info::{Conventions, RequestInfo};
use crate::settings::Settings;
use crate::telemetry::span::http::route;
use crate::telemetry::span::target::Target;
use crate::text::truncate;

/// Reads a request. `claimed` is the protocol that its content type claims.
pub(crate) fn read_request(
    parts: &request::Parts,
    target: Target<'_>,
    claimed: Protocol,
    settings: &Settings,
    hop: &Hop<'_>,
) -> RequestInfo {
    let conventions = match claimed {
        Protocol::Http => Conventions::Http,
        Protocol::Grpc | Protocol::GrpcWeb => Conventions::Rpc,
    };
    let scheme = hop.proto.map(Cow::Borrowed);
    let scheme = scheme.or_else(|| settings.scheme.clone());
    RequestInfo {
        method: parts.method.clone(),
        version: parts.version,
        conventions,
        known_method: settings.http_methods.find(&parts.method),
        route: route(parts, target, settings),
        is_scheme_trusted: scheme.is_some(),
        scheme: scheme.unwrap_or_else(|| scheme_of(target.uri)),
        rpc_method: match conventions {
            Conventions::Http => None,
            Conventions::Rpc => rpc_method(parts, settings),
        },
        has_rpc_method_list: settings.rpc_methods.has_list(),
    }
}

/// Returns `service/method` of a call, if it is known.
fn rpc_method(parts: &request::Parts, settings: &Settings) -> Option<StringValue> {
    let method = settings.rpc_methods.find(parts.uri.path())?;
    // Shared by the span and the metrics.
    Some(StringValue::from(Arc::<str>::from(truncate(method))))
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
