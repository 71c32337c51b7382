//! Name and attributes of a span at its start, where samplers see them.

use std::borrow::Cow;

use ::http::request;
use opentelemetry::KeyValue;

use crate::protocol::http::forwarded::Hop;
use crate::recording::request_info::{Conventions, RequestInfo};
use crate::recording::written_keys::{OwnKey, WrittenKeys};
use crate::settings::Settings;
use crate::telemetry::span::network::Connection;
use crate::telemetry::span::start_attributes::StartAttributes;
use crate::telemetry::span::{http, rpc};
use crate::text::truncate_lossy;

/// A span at its start.
#[derive(Debug)]
pub(crate) struct SpanStart {
    pub(crate) name: Cow<'static, str>,
    /// Whether the settings have named it. Then no route or method that is learnt later does.
    pub(crate) is_named: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) keys: WrittenKeys,
    /// How many of the operator's attributes were refused.
    pub(crate) refused: u32,
}

/// Returns name and attributes of a request's span.
///
/// What the operator's callback returns takes the place of what the layer would set under the same key.
pub(crate) fn describe_start(
    parts: &request::Parts,
    settings: &Settings,
    request: &RequestInfo,
    hop: &Hop<'_>,
) -> SpanStart {
    let mut attributes = StartAttributes::default();
    let from_operator = call_operator(parts, settings);
    let from_operator = from_operator.map(|list| attributes.claim_for_operator(list));
    let connection = Connection::read(parts, settings);
    let request_id = settings.request_id_header.as_ref();
    let request_id = request_id.and_then(|name| parts.headers.get(name));
    let room = room_for_own(parts, settings, request, hop, &connection);
    let room =
        room + from_operator.as_ref().map_or(0, Vec::len) + usize::from(request_id.is_some());
    attributes.reserve(room);
    let name = match request.conventions {
        Conventions::Http => {
            http::describe_start(parts, settings, request, hop, &connection, &mut attributes)
        }
        Conventions::Rpc => rpc::describe_start(parts, request, &connection, &mut attributes),
    };
    capture_headers(parts, settings, request.conventions, &mut attributes);
    if let Some(id) = request_id {
        attributes.set(OwnKey::RequestId, truncate_lossy(id.as_bytes()));
    }
    let (attributes, keys, refused) = attributes.finish(from_operator);
    let name_by_settings = settings.name(parts);
    SpanStart {
        is_named: name_by_settings.is_some(),
        name: name_by_settings.unwrap_or(name),
        attributes,
        keys,
        refused,
    }
}

fn call_operator(parts: &request::Parts, settings: &Settings) -> Option<Vec<KeyValue>> {
    let callback = &settings.request_attributes;
    callback.call(|attributes| attributes(parts))?.ok()
}

fn capture_headers(
    parts: &request::Parts,
    settings: &Settings,
    conventions: Conventions,
    attributes: &mut StartAttributes,
) {
    let captured = match conventions {
        Conventions::Http => &settings.request_headers.http,
        Conventions::Rpc => &settings.request_headers.rpc,
    };
    if captured.is_empty() {
        return;
    }
    for attribute in captured.read(&parts.headers, &settings.sensitive_headers) {
        attributes.add_captured(attribute);
    }
}

/// What nearly every request has: method, path, scheme, version, host, port and user agent; at its end,
/// if it departs, status, two times and outcome.
const USUAL: usize = 7 + 4;

/// Returns how many attributes of the layer's own are expected, at start and end. The vector that the
/// tracer gets should not grow, and a long stream should hold no spare room.
///
/// Where a request is aborted, or an event stream has a first chunk, the vector may grow once.
fn room_for_own(
    parts: &request::Parts,
    settings: &Settings,
    request: &RequestInfo,
    hop: &Hop<'_>,
    connection: &Connection,
) -> usize {
    let captured = settings.request_headers.http.len() + settings.response_headers.http.len();
    let Connection { peer, local } = connection;
    USUAL
        + usize::from(parts.uri.query().is_some())
        + usize::from(request.route.is_some())
        + 2 * usize::from(peer.is_some())
        + usize::from(peer.is_some() || hop.client.is_some())
        + usize::from(settings.client_port)
        + 2 * usize::from(local.is_some())
        + 2 * usize::from(settings.body_sizes)
        + captured
}
