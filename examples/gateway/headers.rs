//! The headers that are not passed on.

use axum::http::header::{
    ACCEPT_ENCODING, CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// The headers of one connection, RFC 9110, section 7.6.1. Those that `Connection` names are others.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// The headers of W3C Trace Context. The gateway sends its own.
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// Removes the headers that the gateway's request to the upstream replaces.
pub(crate) fn prepare_request(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
    headers.remove(HOST);
    for name in TRACE {
        headers.remove(name);
    }
    // The layer does not read compressed responses.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
}

/// Removes the headers of the connection to the upstream.
pub(crate) fn prepare_response(headers: &mut HeaderMap) {
    remove_hop_by_hop(headers);
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let values = headers.get_all(CONNECTION).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let options = values.flat_map(|value| value.split(','));
    let named: Vec<HeaderName> = options
        .filter_map(|option| option.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}
