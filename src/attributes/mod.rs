//! What a span says of its request and response: which convention, and which attributes. Pure.

mod http;
mod net;
mod rpc;
mod url;

use std::borrow::Cow;

use ::http::{HeaderMap, StatusCode, request};
use opentelemetry::global::ObjectSafeSpan;
use opentelemetry::{Key, KeyValue, StringValue, Value};

use crate::config::Config;
use crate::contain::contain;
use crate::forwarded::Hop;
use crate::grpc::{GrpcCode, Protocol};
use crate::methods::OTHER;
use crate::outcome::{Aborted, End, Head, Outcome};
use crate::semconv as key;
use crate::slot::is_empty;
use crate::text::cut;

/// Room for the attributes of the start and of the end, so that the vector the tracer gets does not
/// grow.
const CAPACITY: usize = 20;

/// What is known of a request from the start, whoever tells it: span, metrics or logs.
#[derive(Debug)]
pub(crate) struct Facts {
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
    pub(crate) version: Option<&'static str>,
    /// `service/method` of a gRPC call, if it is known.
    pub(crate) rpc_method: Option<StringValue>,
}

impl Facts {
    pub(crate) fn of(
        parts: &request::Parts,
        protocol: Protocol,
        config: &Config,
        hop: &Hop<'_>,
    ) -> Self {
        let is_call = protocol != Protocol::Http;
        let scheme = hop.proto.map(Cow::Borrowed);
        let scheme = scheme.or_else(|| config.scheme.clone());
        Self {
            protocol,
            method: config.http_methods.known(&parts.method),
            // Of a gRPC call, too: it may be answered in plain HTTP.
            route: http::route(parts, config),
            is_scheme_known: scheme.is_some(),
            scheme: scheme.unwrap_or_else(|| url::scheme(http::uri(parts))),
            version: http::version(parts.version),
            rpc_method: is_call.then(|| rpc::method(parts, config)).flatten(),
        }
    }

    /// The method, as attributes have it.
    pub(crate) fn method_or_other(&self) -> Cow<'static, str> {
        self.method.clone().unwrap_or(Cow::Borrowed(OTHER))
    }
}

/// Name and attributes of a span at its start.
#[derive(Debug)]
pub(crate) struct AtStart {
    pub(crate) name: Cow<'static, str>,
    /// The settings have named it: a route that is learnt later does not.
    pub(crate) is_named: bool,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) written: Written,
}

/// Name and attributes that are known before the inner service is called, when samplers see them.
///
/// What the operator's function gives comes first and stands in place of what the layer would say.
pub(crate) fn at_start(
    parts: &request::Parts,
    config: &Config,
    facts: &Facts,
    hop: &Hop<'_>,
) -> AtStart {
    let asked_for = config.request_headers.http.len() + config.response_headers.http.len();
    let mut attributes = Attributes {
        list: Vec::with_capacity(CAPACITY + asked_for),
        written: Written::default(),
    };
    let mut given = Vec::new();
    if let Some(asked) = config.request_attributes.get() {
        for attribute in contain(|| asked(parts)).unwrap_or_default() {
            if attributes.give(&attribute.key) && !is_empty(&attribute.value) {
                given.push(attribute);
            }
        }
    }
    let captured = &config.request_headers;
    let (name, captured) = match facts.protocol {
        Protocol::Http => (
            http::at_start(parts, config, facts, hop, &mut attributes),
            &captured.http,
        ),
        Protocol::Grpc | Protocol::GrpcWeb => (
            rpc::at_start(parts, config, facts, &mut attributes),
            &captured.rpc,
        ),
    };
    for attribute in captured.read(&parts.headers, &config.sensitive_headers) {
        if attributes.give(&attribute.key) {
            attributes.list.push(attribute);
        }
    }
    let id_header = config.request_id_header.as_ref();
    if let Some(id) = id_header.and_then(|name| parts.headers.get(name)) {
        let id = String::from_utf8_lossy(id.as_bytes());
        attributes.set(StartKey::RequestId, cut(&id).to_owned());
    }
    // After the layer's own: of too many, tracers drop the last.
    attributes.list.extend(given);
    let by_settings = config.name(parts);
    AtStart {
        is_named: by_settings.is_some(),
        name: by_settings.unwrap_or(name),
        attributes: attributes.list,
        written: attributes.written,
    }
}

/// Headers of a response that the settings ask for.
pub(crate) fn of_response_headers(
    headers: &HeaderMap,
    protocol: Protocol,
    config: &Config,
) -> Vec<KeyValue> {
    let captured = &config.response_headers;
    let captured = match protocol {
        Protocol::Http => &captured.http,
        Protocol::Grpc | Protocol::GrpcWeb => &captured.rpc,
    };
    captured.read(headers, &config.sensitive_headers).collect()
}

/// Metadata after a gRPC response that the settings ask for.
pub(crate) fn of_trailers(trailers: &HeaderMap, config: &Config) -> Vec<KeyValue> {
    let captured = &config.response_headers.rpc_trailers;
    captured.read(trailers, &config.sensitive_headers).collect()
}

/// Bytes of a body that passed.
pub(crate) fn body_size(key: &'static str, bytes: u64) -> KeyValue {
    KeyValue::new(key, i64::try_from(bytes).unwrap_or(i64::MAX))
}

/// The name of a request that claimed to be gRPC's and was answered in plain HTTP: what it called
/// itself is not for it to choose. Adds what is known of it as a request of HTTP.
pub(crate) fn of_no_call(head: &Head, facts: &Facts, list: &mut AtEnd<'_>) -> Cow<'static, str> {
    for attribute in http::method(head, facts) {
        list.set(attribute);
    }
    list.set(KeyValue::new(key::URL_SCHEME, facts.scheme.clone()));
    if let Some(version) = facts.version {
        list.set(KeyValue::new(key::NETWORK_PROTOCOL_VERSION, version));
    }
    if let Some(route) = facts.route.clone() {
        list.set(KeyValue::new(key::HTTP_ROUTE, route));
    }
    http::name(facts, facts.route.as_ref().map(StringValue::as_str))
}

/// The name of a call of which the server says that it has no such method.
pub(crate) fn of_unknown_call() -> Cow<'static, str> {
    Cow::Borrowed(rpc::SYSTEM)
}

/// Attributes of the response, known with its head or its end.
pub(crate) fn of_response(head: &Head, end: &End, list: &mut AtEnd<'_>) {
    let grpc_code = match head.protocol {
        Protocol::Http => None,
        Protocol::Grpc | Protocol::GrpcWeb => rpc::status_code(end),
    };
    if let Some(code) = grpc_code {
        list.set(KeyValue::new(key::RPC_STATUS_CODE, GrpcCode::name(code)));
    }
    // A gRPC answer is a 200; one that is not was made by something that knows HTTP only.
    if let Some(status) = head.status
        && (head.protocol == Protocol::Http || status != StatusCode::OK)
    {
        list.set(http::status_code(status));
    }
}

/// The code that a gRPC call ended with, where it is known.
#[cfg(feature = "metrics")]
pub(crate) use rpc::status_code as grpc_code;

/// What `rpc.system.name` says.
#[cfg(feature = "metrics")]
pub(crate) use rpc::SYSTEM as GRPC;

/// Attributes of the outcome.
pub(crate) fn of_outcome(outcome: &Outcome, list: &mut AtEnd<'_>) {
    match outcome {
        Outcome::Departed => list.set(KeyValue::new(key::API_OUTCOME, "DEPARTED")),
        Outcome::Aborted(Aborted {
            reason, error_type, ..
        }) => {
            list.set(KeyValue::new(key::API_OUTCOME, "ABORTED"));
            list.set(KeyValue::new(key::API_ABORT_REASON, *reason));
            if let Some(error_type) = error_type {
                list.set(KeyValue::new(key::ERROR_TYPE, error_type.clone()));
            }
        }
    }
}

/// Name and attributes of the last event of a request.
pub(crate) fn terminal_event(outcome: Outcome) -> (&'static str, Vec<KeyValue>) {
    let Outcome::Aborted(Aborted {
        reason, message, ..
    }) = outcome
    else {
        return (key::EVENT_DEPARTED, Vec::new());
    };
    let mut attributes = vec![KeyValue::new(key::EVENT_REASON, reason)];
    attributes.extend(message.map(|message| KeyValue::new(key::EVENT_ERROR, message)));
    (key::EVENT_ABORTED, attributes)
}

/// Attributes being written at the end, each key once.
pub(crate) struct AtEnd<'a> {
    span: &'a mut dyn ObjectSafeSpan,
    at_start: &'a Written,
    /// Which keys were written, if somebody may say them again.
    keys: Option<Vec<Key>>,
}

impl<'a> AtEnd<'a> {
    pub(crate) fn new(
        span: &'a mut dyn ObjectSafeSpan,
        at_start: &'a Written,
        is_said_again: bool,
    ) -> Self {
        Self {
            span,
            at_start,
            keys: is_said_again.then(Vec::new),
        }
    }

    /// Writes an attribute of the layer's, unless the settings have said it at the start.
    pub(crate) fn set(&mut self, attribute: KeyValue) {
        if !self.at_start.given.is_empty() && self.at_start.is_given(attribute.key.as_str()) {
            return;
        }
        if let Some(keys) = &mut self.keys {
            keys.push(attribute.key.clone());
        }
        self.span.set_attribute(attribute);
    }

    /// Writes a handler's attribute, unless it is the layer's to say.
    pub(crate) fn set_told(&mut self, attribute: KeyValue) {
        let name = attribute.key.as_str();
        let is_there = |keys: &Vec<Key>| keys.contains(&attribute.key);
        let is_layers = self.at_start.has(name) || is_of_end(name);
        if !is_layers && !self.keys.as_ref().is_some_and(is_there) {
            self.span.set_attribute(attribute);
        }
    }
}

/// Whether a key is the layer's alone: what it says of response and outcome must not be contradicted
/// where it says nothing, as with an `error.type` on a span that is no error.
fn is_of_end(key: &str) -> bool {
    key.starts_with(key::OWN_PREFIX)
        || matches!(
            key,
            key::HTTP_RESPONSE_STATUS_CODE | key::RPC_STATUS_CODE | key::ERROR_TYPE
        )
}

/// The name and the attribute of a route that was learnt after the start.
pub(crate) fn late_route(facts: &Facts, route: String) -> (Cow<'static, str>, KeyValue) {
    (
        http::name(facts, Some(&route)),
        KeyValue::new(key::HTTP_ROUTE, route),
    )
}

/// Attributes being collected, each key once.
struct Attributes {
    list: Vec<KeyValue>,
    written: Written,
}

impl Attributes {
    /// Adds an attribute of the layer's, unless its value is an empty string or its key is there.
    fn set(&mut self, key: StartKey, value: impl Into<Value>) {
        let value = value.into();
        let is_given = || !self.written.given.is_empty() && self.written.is_given(key.name());
        if is_empty(&value) || is_given() {
            return;
        }
        self.written.keys |= key.bit();
        self.list.push(KeyValue::new(key.name(), value));
    }

    /// Whether the settings may add an attribute of this key: it is not there yet, and is not for the
    /// end. It is theirs then, also if they have nothing to say.
    fn give(&mut self, key: &Key) -> bool {
        let name = key.as_str();
        let is_refused = name.is_empty() || is_of_end(name) || self.written.has(name);
        if is_refused || self.written.given.len() == MAX_GIVEN {
            return false;
        }
        self.written.given.push(key.clone());
        true
    }
}

/// How many attributes the settings may add: half of what the SDK keeps by default, so that there is
/// room for all of the layer's.
const MAX_GIVEN: usize = 64;

/// Which keys were written at the start.
///
/// The tracer has the attributes by then, and writes a key that is set again a second time: what a
/// handler sets is held against this.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The layer's own, one bit each.
    keys: u32,
    /// Those that the settings have added.
    given: Vec<Key>,
}

impl Written {
    /// Whether this key was written.
    pub(crate) fn has(&self, name: &str) -> bool {
        let is_own = |key: &StartKey| self.keys & key.bit() != 0 && key.name() == name;
        self.is_given(name) || StartKey::ALL.iter().any(is_own)
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|key| key.as_str() == name)
    }
}

/// Declares the keys of the start, once each.
macro_rules! start_keys {
    ($($key:ident = $name:expr,)*) => {
        /// A key that may be written at the start.
        #[derive(Clone, Copy, Debug)]
        enum StartKey { $($key),* }

        impl StartKey {
            const ALL: &[Self] = &[$(Self::$key),*];

            const fn name(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }

            const fn bit(self) -> u32 {
                1 << self as u32
            }
        }
    };
}

start_keys! {
    Method = key::HTTP_REQUEST_METHOD,
    MethodOriginal = key::HTTP_REQUEST_METHOD_ORIGINAL,
    Path = key::URL_PATH,
    Query = key::URL_QUERY,
    Scheme = key::URL_SCHEME,
    Route = key::HTTP_ROUTE,
    ServerAddress = key::SERVER_ADDRESS,
    ServerPort = key::SERVER_PORT,
    ClientAddress = key::CLIENT_ADDRESS,
    ClientPort = key::CLIENT_PORT,
    PeerAddress = key::NETWORK_PEER_ADDRESS,
    PeerPort = key::NETWORK_PEER_PORT,
    LocalAddress = key::NETWORK_LOCAL_ADDRESS,
    LocalPort = key::NETWORK_LOCAL_PORT,
    ProtocolVersion = key::NETWORK_PROTOCOL_VERSION,
    UserAgent = key::USER_AGENT_ORIGINAL,
    RequestId = key::GEN_AI_REQUEST_ID,
    RpcSystem = key::RPC_SYSTEM_NAME,
    RpcMethod = key::RPC_METHOD,
    RpcMethodOriginal = key::RPC_METHOD_ORIGINAL,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use ::http::Request;

    use super::*;
    use crate::hook::Hook;

    /// The start of a request, its attributes as `key=value` in the order of their keys.
    pub(crate) fn started(request: Request<()>) -> (String, Vec<String>) {
        started_with(request, |_| {})
    }

    /// The same with settings.
    pub(crate) fn started_with(
        request: Request<()>,
        set: impl FnOnce(&mut Config),
    ) -> (String, Vec<String>) {
        let mut config = Config::default();
        set(&mut config);
        let (parts, ()) = request.into_parts();
        let protocol = crate::grpc::protocol_of_request(&parts.method, &parts.headers);
        let start = started_by(&parts, protocol, &config);
        let mut attributes: Vec<_> = start
            .attributes
            .iter()
            .map(|attribute| format!("{}={}", attribute.key, attribute.value))
            .collect();
        attributes.sort();
        (start.name.into_owned(), attributes)
    }

    fn started_by(parts: &request::Parts, protocol: Protocol, config: &Config) -> AtStart {
        let hop = Hop::default();
        let facts = Facts::of(parts, protocol, config, &hop);
        at_start(parts, config, &facts, &hop)
    }

    #[test]
    fn what_was_written_is_known_and_nothing_else() {
        let (parts, ()) = Request::get("/p").body(()).expect("a request").into_parts();
        let config = Config {
            request_attributes: Hook::new(Arc::new(|_| vec![KeyValue::new("given", 1)])),
            ..Config::default()
        };
        let start = started_by(&parts, Protocol::Http, &config);
        for attribute in &start.attributes {
            assert!(
                start.written.has(attribute.key.as_str()),
                "{}",
                attribute.key
            );
        }
        assert!(start.written.has("given"));
        for absent in [key::URL_QUERY, key::HTTP_ROUTE, key::RPC_METHOD, "mine", ""] {
            assert!(!start.written.has(absent), "{absent}");
        }
    }

    #[test]
    fn what_the_operator_gives_stands_in_place_of_the_layers() {
        let request = || Request::get("/users/ann").body(()).expect("a request");
        let (_, attributes) = started_with(request(), |config| {
            config.request_attributes = Hook::new(Arc::new(|_| {
                vec![
                    KeyValue::new("url.path", "/users/…"),
                    KeyValue::new("url.path", "/twice"),
                    KeyValue::new("network.protocol.version", ""),
                    KeyValue::new("", "no key"),
                    KeyValue::new("error.type", "of the end"),
                    KeyValue::new("api.outcome", "of the end"),
                    KeyValue::new("shard", 7),
                ]
            }));
        });
        assert_eq!(
            attributes,
            [
                "http.request.method=GET",
                "shard=7",
                "url.path=/users/…",
                "url.scheme=http",
            ]
        );
    }

    #[test]
    fn an_operator_who_gives_no_end_of_attributes_gives_64_and_after_the_layers() {
        let request = Request::get("/").body(()).expect("a request");
        let (_, attributes) = started_with(request, |config| {
            config.request_attributes = Hook::new(Arc::new(|_| {
                let many = 0..1_000;
                many.map(|n| KeyValue::new(format!("given.{n}"), n))
                    .collect()
            }));
        });
        let given = attributes.iter().filter(|text| text.starts_with("given."));
        assert_eq!(given.count(), MAX_GIVEN);
        assert!(attributes.contains(&"http.request.method=GET".to_owned()));
        let (parts, ()) = Request::get("/").body(()).expect("a request").into_parts();
        let config = Config {
            request_attributes: Hook::new(Arc::new(|_| vec![KeyValue::new("given", 1)])),
            ..Config::default()
        };
        let start = started_by(&parts, Protocol::Http, &config);
        let last = start.attributes.last().expect("an attribute");
        assert_eq!(last.key.as_str(), "given");
    }

    #[test]
    fn the_attributes_of_start_and_end_fit_without_growing() {
        let (parts, ()) = Request::builder()
            .method("FOO")
            .uri("http://h:1/p?q")
            .header("user-agent", "u")
            .body(())
            .expect("a request")
            .into_parts();
        let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 1));
        let config = Config {
            peer_address_fn: Hook::new(Arc::new(move |_| Some(peer))),
            route_fn: Hook::new(Arc::new(|_| Some("/p".into()))),
            ..Config::default()
        };
        let start = started_by(&parts, Protocol::Http, &config);
        // Seven of the end: status, two times, outcome, reason, type of error, one more time.
        assert_eq!(start.attributes.len() + 7, CAPACITY);
        assert_eq!(start.attributes.capacity(), CAPACITY);
    }
}
