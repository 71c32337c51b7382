//! Name and attributes of a span at its start, where samplers see them.

use std::borrow::Cow;

use ::http::request;
use opentelemetry::{Key, KeyValue, Value};

use crate::protocol::http::forwarded::Hop;
use crate::recording::attribute_map::is_empty;
use crate::recording::request_info::{Conventions, RequestInfo};
use crate::recording::written_keys::{OwnKey, WrittenKeys};
use crate::settings::Settings;
use crate::telemetry::span::network::Connection;
use crate::telemetry::span::{http, rpc};
use crate::text::truncate_lossy;

/// How many attributes the settings may add: half of what the SDK keeps by default, so that the layer's
/// own always fit.
pub(super) const MAX_FROM_OPERATOR: usize = 64;

/// A span at its start.
#[derive(Debug)]
pub(crate) struct SpanStart {
    pub(crate) name: Cow<'static, str>,
    /// Whether the settings have named it. Then no route or method that is learnt later does.
    pub(crate) is_named: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) keys: WrittenKeys,
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
    let from_operator = attributes.claim_for_operator(call_operator(parts, settings));
    let connection = Connection::read(parts, settings);
    let request_id = settings.request_id_header.as_ref();
    let request_id = request_id.and_then(|name| parts.headers.get(name));
    let room = room_for_own(parts, settings, request, hop, &connection);
    let room = room + from_operator.len() + usize::from(request_id.is_some());
    attributes.list.reserve_exact(room);
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
    // Last, since a tracer with a limit drops the last.
    attributes.list.extend(from_operator);
    let name_by_settings = settings.name(parts);
    SpanStart {
        is_named: name_by_settings.is_some(),
        name: name_by_settings.unwrap_or(name),
        attributes: attributes.list,
        keys: attributes.keys,
    }
}

fn call_operator(parts: &request::Parts, settings: &Settings) -> Vec<KeyValue> {
    let callback = &settings.request_attributes;
    let answer = callback.call(|attributes| attributes(parts));
    answer.and_then(Result::ok).unwrap_or_default()
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
        if attributes.claim(&attribute.key) {
            attributes.list.push(attribute);
        }
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

/// Attributes collected for the start of a span.
#[derive(Debug, Default)]
pub(super) struct StartAttributes {
    list: Vec<KeyValue>,
    keys: WrittenKeys,
    /// How many keys were claimed for the operator.
    claimed: usize,
}

impl StartAttributes {
    /// Adds an attribute of the layer's, unless its value is an empty string or its key is taken.
    pub(super) fn set(&mut self, key: OwnKey, value: impl Into<Value>) {
        let value = value.into();
        if !is_empty(&value) && self.keys.claim_own(key) {
            self.list.push(KeyValue::new(key.name(), value));
        }
    }

    /// Claims a key for the operator, up to [`MAX_FROM_OPERATOR`].
    fn claim(&mut self, key: &Key) -> bool {
        let is_claimed = self.claimed < MAX_FROM_OPERATOR && self.keys.claim(key);
        self.claimed += usize::from(is_claimed);
        is_claimed
    }

    /// Claims the keys of these attributes and returns those to be added. An empty string claims its key
    /// and is not added: so the operator can leave an attribute of the layer's out.
    fn claim_for_operator(&mut self, mut attributes: Vec<KeyValue>) -> Vec<KeyValue> {
        attributes.retain(|attribute| self.claim(&attribute.key) && !is_empty(&attribute.value));
        attributes
    }
}
