//! What a span says of its request and response: which convention, and which attributes. Pure.

mod http;
mod net;
mod rpc;
mod url;

use std::borrow::Cow;

use ::http::{HeaderName, StatusCode, request};
use opentelemetry::{KeyValue, Value};

use crate::grpc::{GrpcCode, Protocol};
use crate::outcome::{Aborted, End, Head, Outcome};
use crate::semconv as key;
use crate::text::cut;

/// Room for the attributes of the start and of the end, so that the vector the tracer gets does not
/// grow.
const CAPACITY: usize = 20;

/// Name and attributes of a span at its start.
#[derive(Debug)]
pub(crate) struct AtStart {
    pub(crate) name: Cow<'static, str>,
    pub(crate) attributes: Vec<KeyValue>,
    pub(crate) written: Written,
}

/// Name and attributes that are known before the inner service is called, when samplers see them.
pub(crate) fn at_start(
    parts: &request::Parts,
    protocol: Protocol,
    request_id_header: Option<&HeaderName>,
) -> AtStart {
    let mut attributes = Attributes {
        list: Vec::with_capacity(CAPACITY),
        written: Written(0),
    };
    let name = match protocol {
        Protocol::Http => http::at_start(parts, &mut attributes),
        Protocol::Grpc | Protocol::GrpcWeb => rpc::at_start(parts, &mut attributes),
    };
    if let Some(id) = request_id_header.and_then(|name| parts.headers.get(name)) {
        let id = String::from_utf8_lossy(id.as_bytes());
        attributes.set(StartKey::RequestId, cut(&id).to_owned());
    }
    AtStart {
        name,
        attributes: attributes.list,
        written: attributes.written,
    }
}

/// Attributes of the response, known with its head or its end.
pub(crate) fn of_response(head: &Head, end: &End, list: &mut Vec<KeyValue>) {
    let grpc_code = match head.protocol {
        Protocol::Http => None,
        Protocol::Grpc | Protocol::GrpcWeb => rpc::status_code(end),
    };
    if let Some(code) = grpc_code {
        list.push(KeyValue::new(key::RPC_STATUS_CODE, GrpcCode::name(code)));
    }
    // A gRPC answer is a 200; one that is not was made by something that knows HTTP only.
    if let Some(status) = head.status
        && (head.protocol == Protocol::Http || status != StatusCode::OK)
    {
        list.push(http::status_code(status));
    }
}

/// Attributes of the outcome.
pub(crate) fn of_outcome(outcome: &Outcome, list: &mut Vec<KeyValue>) {
    match outcome {
        Outcome::Departed => list.push(KeyValue::new(key::API_OUTCOME, "DEPARTED")),
        Outcome::Aborted(Aborted {
            reason, error_type, ..
        }) => {
            list.push(KeyValue::new(key::API_OUTCOME, "ABORTED"));
            list.push(KeyValue::new(key::API_ABORT_REASON, *reason));
            if let Some(error_type) = error_type {
                list.push(KeyValue::new(key::ERROR_TYPE, error_type.clone()));
            }
        }
    }
}

/// Whether a key is the layer's alone: what it says of response and outcome must not be contradicted
/// where it says nothing, as with an `error.type` on a span that is no error.
pub(crate) fn is_of_end(key: &str) -> bool {
    key.starts_with(key::OWN_PREFIX)
        || matches!(
            key,
            key::HTTP_RESPONSE_STATUS_CODE | key::RPC_STATUS_CODE | key::ERROR_TYPE
        )
}

/// The attribute and the name of a route that was learnt after the start.
pub(crate) fn late_route(head: &Head, route: String) -> (String, KeyValue) {
    (
        http::name(&head.method, &route),
        KeyValue::new(key::HTTP_ROUTE, route),
    )
}

/// Attributes being collected, each key once.
struct Attributes {
    list: Vec<KeyValue>,
    written: Written,
}

impl Attributes {
    /// Adds an attribute, unless its value is an empty string.
    fn set(&mut self, key: StartKey, value: impl Into<Value>) {
        let value = value.into();
        if matches!(&value, Value::String(text) if text.as_str().is_empty()) {
            return;
        }
        self.written.0 |= key.bit();
        self.list.push(KeyValue::new(key.name(), value));
    }
}

/// Which keys were written at the start.
///
/// The tracer has the attributes by then, and writes a key that is set again a second time: what a
/// handler sets is held against this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written(u32);

impl Written {
    /// Whether this key was written.
    pub(crate) fn has(self, name: &str) -> bool {
        StartKey::ALL
            .iter()
            .any(|key| self.0 & key.bit() != 0 && key.name() == name)
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
    ProtocolVersion = key::NETWORK_PROTOCOL_VERSION,
    UserAgent = key::USER_AGENT_ORIGINAL,
    RequestId = key::GEN_AI_REQUEST_ID,
    RpcSystem = key::RPC_SYSTEM_NAME,
    RpcMethod = key::RPC_METHOD,
    RpcMethodOriginal = key::RPC_METHOD_ORIGINAL,
}

#[cfg(test)]
pub(crate) mod tests {
    use ::http::Request;

    use super::*;

    /// The start of a request, its attributes as `key=value` in the order of their keys.
    pub(crate) fn started(request: Request<()>) -> (String, Vec<String>) {
        let (parts, ()) = request.into_parts();
        let start = at_start(
            &parts,
            crate::grpc::protocol_of_request(&parts.method, &parts.headers),
            None,
        );
        let mut attributes: Vec<_> = start
            .attributes
            .iter()
            .map(|attribute| format!("{}={}", attribute.key, attribute.value))
            .collect();
        attributes.sort();
        (start.name.into_owned(), attributes)
    }

    #[test]
    fn what_was_written_is_known_and_nothing_else() {
        let (parts, ()) = Request::get("/p").body(()).expect("a request").into_parts();
        let start = at_start(&parts, Protocol::Http, None);
        for attribute in &start.attributes {
            assert!(
                start.written.has(attribute.key.as_str()),
                "{}",
                attribute.key
            );
        }
        for absent in [key::URL_QUERY, key::HTTP_ROUTE, key::RPC_METHOD, "mine", ""] {
            assert!(!start.written.has(absent), "{absent}");
        }
    }

    #[test]
    fn the_attributes_of_start_and_end_fit_without_growing() {
        assert!(StartKey::ALL.len() < CAPACITY);
        let (parts, ()) = Request::get("http://h:1/p?q")
            .header("user-agent", "u")
            .body(())
            .expect("a request")
            .into_parts();
        let start = at_start(&parts, Protocol::Http, None);
        assert_eq!(start.attributes.capacity(), CAPACITY);
    }
}
