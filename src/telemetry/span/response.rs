//! The captured headers and trailers of a response.

use http::HeaderMap;
use opentelemetry::KeyValue;

use crate::recording::request_info::Conventions;
use crate::settings::Settings;

/// Returns the captured headers. The conventions that describe the request define their keys.
pub(crate) fn capture_headers(
    headers: &HeaderMap,
    conventions: Conventions,
    settings: &Settings,
) -> Vec<KeyValue> {
    let captured = match conventions {
        Conventions::Http => &settings.response_headers.http,
        Conventions::Rpc => &settings.response_headers.rpc,
    };
    if captured.is_empty() {
        return Vec::new();
    }
    captured.read(headers).collect()
}

/// Returns the captured trailers. Only the conventions for gRPC define keys for them.
pub(crate) fn capture_trailers(
    trailers: &HeaderMap,
    conventions: Conventions,
    settings: &Settings,
) -> Vec<KeyValue> {
    match conventions {
        Conventions::Http => Vec::new(),
        Conventions::Rpc => {
            let captured = &settings.response_headers.rpc_trailers;
            captured.read(trailers).collect()
        }
    }
}
