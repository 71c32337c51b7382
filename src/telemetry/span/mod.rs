//! What a span says of its request and response: which convention, and which attributes. Pure.

mod end;
mod http;
mod network;
mod rpc;
mod start;
mod url;

use std::borrow::Cow;

use ::http::{Version, request};
use opentelemetry::{KeyValue, StringValue};

use crate::catch_panic::catch_panic;
use crate::protocol::grpc::Protocol;
use crate::protocol::http::forwarded::Hop;
use crate::protocol::http::methods::OTHER;
use crate::recording::attribute_map::is_empty;
use crate::settings::Settings;
use crate::text::truncate_lossy;

pub(crate) use end::{
    EndAttributes, body_size, late_route, of_no_call, of_outcome, of_response, of_response_headers,
    of_trailers, of_unknown_call, terminal_event,
};
use network::Connection;
#[cfg(feature = "metrics")]
pub(crate) use rpc::{SYSTEM as GRPC, status_code as grpc_code};
pub(crate) use start::StartKeys;
use start::{Attributes, StartKey};

/// What nearly every request has: method, path, scheme, version, host, port and user agent; and at its
/// end, if it departs, status, two times and outcome.
const USUAL: usize = 7 + 4;

/// Room for the attributes of the start and of the end, so that the vector the tracer gets does not
/// grow, and a stream that is open for hours holds no more than it needs. Where a request is aborted,
/// or an event stream has a first chunk, it may grow once, at the end.
fn capacity(
    parts: &request::Parts,
    config: &Settings,
    facts: &RequestInfo,
    hop: &Hop<'_>,
    connection: &Connection,
) -> usize {
    let asked_for = config.request_headers.http.len() + config.response_headers.http.len();
    let Connection { peer, local } = connection;
    USUAL
        + usize::from(parts.uri.query().is_some())
        + usize::from(facts.route.is_some())
        + 2 * usize::from(peer.is_some())
        + usize::from(peer.is_some() || hop.client.is_some())
        + usize::from(config.client_port)
        + 2 * usize::from(local.is_some())
        + 2 * usize::from(config.body_sizes)
        + asked_for
}

/// What is known of a request from the start, whoever tells it: span, metrics or logs.
#[derive(Debug)]
pub(crate) struct RequestInfo {
    /// What the request was taken for and is described as, whatever it is answered with.
    pub(crate) protocol: Protocol,
    /// The HTTP method, if it is known.
    pub(crate) method: Option<Cow<'static, str>>,
    /// The HTTP route.
    pub(crate) route: Option<StringValue>,
    pub(crate) scheme: Cow<'static, str>,
    /// It is the operator's word or a trusted proxy's, and not the client's.
    #[cfg_attr(not(feature = "metrics"), allow(dead_code, reason = "metrics ask it"))]
    pub(crate) is_scheme_known: bool,
    pub(crate) version: Version,
    /// `service/method` of a gRPC call, if it is known.
    pub(crate) rpc_method: Option<StringValue>,
}

impl RequestInfo {
    pub(crate) fn of(
        parts: &request::Parts,
        protocol: Protocol,
        config: &Settings,
        hop: &Hop<'_>,
    ) -> Self {
        let is_call = protocol != Protocol::Http;
        let scheme = hop.proto.map(Cow::Borrowed);
        let scheme = scheme.or_else(|| config.scheme.clone());
        Self {
            protocol,
            method: config.http_methods.find(&parts.method),
            // Of a gRPC call, too: it may be answered in plain HTTP.
            route: http::route(parts, config),
            is_scheme_known: scheme.is_some(),
            scheme: scheme.unwrap_or_else(|| url::scheme(http::uri(parts))),
            version: parts.version,
            rpc_method: is_call.then(|| rpc::method(parts, config)).flatten(),
        }
    }

    /// The version of HTTP, as attributes have it.
    pub(crate) fn version(&self) -> Option<&'static str> {
        http::version(self.version)
    }

    /// The method, as attributes have it.
    pub(crate) fn method_or_other(&self) -> Cow<'static, str> {
        self.method.clone().unwrap_or(Cow::Borrowed(OTHER))
    }
}

/// Name and attributes of a span at its start.
#[derive(Debug)]
pub(crate) struct StartAttributes {
    pub(crate) name: Cow<'static, str>,
    /// The settings have named it: a route that is learnt later does not.
    pub(crate) is_named: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) written: StartKeys,
}

/// Name and attributes that are known before the inner service is called, when samplers see them.
///
/// What the operator's function gives comes first and stands in place of what the layer would say.
pub(crate) fn at_start(
    parts: &request::Parts,
    config: &Settings,
    facts: &RequestInfo,
    hop: &Hop<'_>,
) -> StartAttributes {
    let mut attributes = Attributes::default();
    let mut given = Vec::new();
    if let Some(asked) = config.request_attributes.get() {
        for attribute in catch_panic(|| asked(parts)).unwrap_or_default() {
            if attributes.give(&attribute.key) && !is_empty(&attribute.value) {
                given.push(attribute);
            }
        }
    }
    let connection = Connection::of(parts, config);
    let id_header = config.request_id_header.as_ref();
    let id = id_header.and_then(|name| parts.headers.get(name));
    let room = capacity(parts, config, facts, hop, &connection);
    let room = room + given.len() + usize::from(id.is_some());
    attributes.list.reserve_exact(room);
    let captured = &config.request_headers;
    let (name, captured) = match facts.protocol {
        Protocol::Http => (
            http::at_start(parts, config, facts, hop, &connection, &mut attributes),
            &captured.http,
        ),
        Protocol::Grpc | Protocol::GrpcWeb => (
            rpc::at_start(parts, facts, &connection, &mut attributes),
            &captured.rpc,
        ),
    };
    if !captured.is_empty() {
        for attribute in captured.read(&parts.headers, &config.sensitive_headers) {
            if attributes.give(&attribute.key) {
                attributes.list.push(attribute);
            }
        }
    }
    if let Some(id) = id {
        attributes.set(StartKey::RequestId, truncate_lossy(id.as_bytes()));
    }
    // After the layer's own: of too many, tracers drop the last.
    attributes.list.extend(given);
    let by_settings = config.name(parts);
    StartAttributes {
        is_named: by_settings.is_some(),
        name: by_settings.unwrap_or(name),
        attributes: attributes.list,
        written: attributes.written,
    }
}

#[cfg(test)]
pub(crate) mod tests;
