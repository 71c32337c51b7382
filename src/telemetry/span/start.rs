//! The name and the attributes of a span at its start, which samplers see.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use ::http::request;
use opentelemetry::KeyValue;

use crate::protocol::http::forwarded::Hop;
use crate::recording::request_info::{Conventions, RequestInfo};
use crate::recording::written_keys::{OwnKey, WrittenKeys};
use crate::settings::Settings;
use crate::telemetry::span::network::Connection;
use crate::telemetry::span::start_attributes::StartAttributes;
use crate::telemetry::span::target::Target;
use crate::telemetry::span::{http, rpc};
use crate::text::header_text;

/// A span at its start.
#[derive(Debug)]
pub(crate) struct SpanStart {
    pub(crate) name: Cow<'static, str>,
    /// Whether the name is from the settings. A later route or response then does not change it.
    pub(crate) is_named: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) keys: WrittenKeys,
    /// How many of the operator's attributes were refused.
    pub(crate) refused: u32,
    /// How long the request waited before it arrived, if that is known.
    pub(crate) waited: Option<Duration>,
}

/// Returns the name and the attributes of a request's span.
///
/// An attribute from the operator's callback replaces the layer's attribute with the same key.
pub(crate) fn describe_start(
    parts: &request::Parts,
    target: Target<'_>,
    settings: &Settings,
    request: &RequestInfo,
    hop: &Hop<'_>,
    arrived: SystemTime,
) -> SpanStart {
    let mut attributes = StartAttributes::default();
    let from_operator = call_request_attributes(parts, settings);
    let from_operator = from_operator.map(|list| attributes.claim_for_operator(list));
    let connection = Connection::read(parts, settings);
    let request_id = settings.request_id_header.as_ref();
    let request_id = request_id.and_then(|name| parts.headers.get(name));
    let room = room_for_own(parts, settings, request, hop, &connection);
    let room =
        room + from_operator.as_ref().map_or(0, Vec::len) + usize::from(request_id.is_some());
    attributes.allocate(room);
    let name = match request.conventions {
        Conventions::Http => http::describe_start(
            parts,
            target,
            settings,
            request,
            hop,
            &connection,
            &mut attributes,
        ),
        Conventions::Rpc => rpc::describe_start(parts, request, &connection, &mut attributes),
    };
    capture_headers(parts, settings, request.conventions, &mut attributes);
    if let Some(id) = request_id {
        attributes.set(OwnKey::RequestId, header_text(id));
    }
    let waited = if settings.queue.is_set() {
        set_queue_time(parts, settings, arrived, &mut attributes)
    } else {
        None
    };
    let (attributes, keys, refused) = attributes.finish(from_operator);
    let name_from_settings = settings.name(parts);
    SpanStart {
        is_named: name_from_settings.is_some(),
        name: name_from_settings.unwrap_or(name),
        attributes,
        keys,
        refused,
        waited,
    }
}

/// Sets how long the request waited before it arrived, and returns it.
#[inline(never)]
fn set_queue_time(
    parts: &request::Parts,
    settings: &Settings,
    arrived: SystemTime,
    attributes: &mut StartAttributes,
) -> Option<Duration> {
    let waited = settings.queue.waited(parts, arrived)?;
    attributes.set(OwnKey::QueueTime, waited.as_secs_f64());
    Some(waited)
}

fn call_request_attributes(parts: &request::Parts, settings: &Settings) -> Option<Vec<KeyValue>> {
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
    attributes.add_captured(captured.read(&parts.headers));
}

/// The number of attributes that nearly every request has. At the start they are method, path, scheme, version,
/// host, port and user agent. At the end they are status, two times and outcome, if the request departs.
const USUAL: usize = 7 + 4;

/// Returns the expected number of the layer's own attributes, at start and end. It is the capacity of the vector
/// that the tracer gets. The vector should not grow, and a long stream should hold no spare capacity.
///
/// If a request is aborted, or an event stream has a first chunk, the vector may grow once.
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
        + usize::from(settings.queue.is_set())
        + captured
}
