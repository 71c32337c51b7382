//! The keys of a span's attributes. No key is written twice.
//!
//! A tracer appends an attribute even if its key exists. So the layer and the operator claim a key before its
//! attribute is written. The handler's attributes come last, each with another key, and are only checked.

use opentelemetry::Key;

use crate::semconv as key;

/// The keys that are written to a span.
#[derive(Debug, Default)]
pub(crate) struct WrittenKeys {
    /// A bit for each of the layer's own keys.
    own: u64,
    other: Vec<Key>,
}

impl WrittenKeys {
    /// Claims one of the layer's own keys for the layer. Returns false if it is taken.
    pub(crate) fn claim_own(&mut self, key: OwnKey) -> bool {
        let is_free = self.own & key.bit() == 0;
        self.own |= key.bit();
        is_free
    }

    /// Claims a key for the operator. Returns false if it is taken, empty or reserved.
    pub(crate) fn claim(&mut self, key: &Key) -> bool {
        let is_free = self.is_free(key);
        if is_free {
            match OwnKey::from_name(key.as_str()) {
                Some(own) => self.own |= own.bit(),
                None => self.other.push(key.clone()),
            }
        }
        is_free
    }

    /// Whether the key of a captured header is not taken. None of them is one of the layer's own.
    pub(crate) fn is_header_free(&self, key: &Key) -> bool {
        debug_assert!(OwnKey::from_name(key.as_str()).is_none(), "{key}");
        !self.other.contains(key)
    }

    /// Claims the key of a captured header, which is free.
    pub(crate) fn claim_header(&mut self, key: &Key) {
        self.other.push(key.clone());
    }

    /// Whether a key is not taken, not empty and not reserved.
    pub(crate) fn is_free(&self, key: &Key) -> bool {
        let name = key.as_str();
        if name.is_empty() {
            return false;
        }
        match OwnKey::from_name(name) {
            Some(own) => !own.is_reserved() && self.own & own.bit() == 0,
            None => !self.other.contains(key),
        }
    }
}

/// Declares the layer's own keys, once each.
macro_rules! own_keys {
    ($($key:ident = $name:path,)*) => {
        /// A key that the layer writes.
        #[derive(Clone, Copy, Debug)]
        pub(crate) enum OwnKey { $($key),* }

        impl OwnKey {
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$key => $name),* }
            }

            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$key),)*
                    _ => None,
                }
            }
        }
    };
}

impl OwnKey {
    const fn bit(self) -> u64 {
        1 << self as u64
    }

    /// Whether a key is the layer's alone, whether or not it is written. An `error.type` on a span that
    /// is no error would contradict the outcome.
    const fn is_reserved(self) -> bool {
        matches!(
            self,
            Self::AbortReason
                | Self::DroppedAttributes
                | Self::DroppedEvents
                | Self::DroppedLinks
                | Self::ErrorCode
                | Self::ErrorType
                | Self::Outcome
                | Self::QueueTime
                | Self::RpcStatusCode
                | Self::StatusCode
                | Self::Stream
                | Self::TimeToFirstByte
                | Self::TimeToHead
        )
    }
}

own_keys! {
    AbortReason = key::API_ABORT_REASON,
    ClientAddress = key::CLIENT_ADDRESS,
    ClientPort = key::CLIENT_PORT,
    DroppedAttributes = key::API_DROPPED_ATTRIBUTES,
    DroppedEvents = key::API_DROPPED_EVENTS,
    DroppedLinks = key::API_DROPPED_LINKS,
    ErrorCode = key::API_ERROR_CODE,
    ErrorType = key::ERROR_TYPE,
    FirstChunk = key::GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK,
    LocalAddress = key::NETWORK_LOCAL_ADDRESS,
    LocalPort = key::NETWORK_LOCAL_PORT,
    Method = key::HTTP_REQUEST_METHOD,
    MethodOriginal = key::HTTP_REQUEST_METHOD_ORIGINAL,
    Outcome = key::API_OUTCOME,
    Path = key::URL_PATH,
    PeerAddress = key::NETWORK_PEER_ADDRESS,
    PeerPort = key::NETWORK_PEER_PORT,
    ProtocolVersion = key::NETWORK_PROTOCOL_VERSION,
    Query = key::URL_QUERY,
    RequestBodySize = key::HTTP_REQUEST_BODY_SIZE,
    QueueTime = key::API_QUEUE_TIME,
    RequestId = key::GEN_AI_REQUEST_ID,
    ResponseBodySize = key::HTTP_RESPONSE_BODY_SIZE,
    Route = key::HTTP_ROUTE,
    RpcMethod = key::RPC_METHOD,
    RpcMethodOriginal = key::RPC_METHOD_ORIGINAL,
    RpcStatusCode = key::RPC_STATUS_CODE,
    RpcSystem = key::RPC_SYSTEM_NAME,
    Scheme = key::URL_SCHEME,
    ServerAddress = key::SERVER_ADDRESS,
    ServerPort = key::SERVER_PORT,
    StatusCode = key::HTTP_RESPONSE_STATUS_CODE,
    Stream = key::API_STREAM,
    TimeToFirstByte = key::API_TIME_TO_FIRST_BYTE,
    TimeToHead = key::API_TIME_TO_HEAD,
    UserAgent = key::USER_AGENT_ORIGINAL,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_claim_of_a_key_wins() {
        let mut keys = WrittenKeys::default();
        assert!(keys.claim_own(OwnKey::Path));
        assert!(!keys.claim(&Key::from("url.path")), "the layer has it");
        assert!(keys.claim(&Key::from("url.query")));
        assert!(!keys.claim_own(OwnKey::Query), "the operator has it");
        assert!(keys.is_free(&Key::from("tenant")));
        assert!(keys.claim(&Key::from("tenant")), "asking claims nothing");
        assert!(!keys.claim(&Key::from("tenant")), "the operator has it");
        assert!(!keys.is_free(&Key::from("tenant")));
    }

    #[test]
    fn reserved_and_empty_keys_can_be_claimed_only_by_the_layer() {
        let mut keys = WrittenKeys::default();
        for name in [
            "",
            "api.abort.reason",
            "api.dropped_attributes",
            "api.dropped_events",
            "api.dropped_links",
            "api.error.code",
            "api.outcome",
            "api.stream",
            "api.time_to_first_byte",
            "api.time_to_head",
            "error.type",
            "http.response.status_code",
            "rpc.status_code",
        ] {
            assert!(!keys.claim(&Key::from(name)), "{name}");
        }
        assert!(keys.claim_own(OwnKey::ErrorType) && keys.claim_own(OwnKey::Outcome));
    }

    #[test]
    fn only_exact_keys_are_reserved() {
        let mut keys = WrittenKeys::default();
        for name in ["api.version", "api.", "api", "api.outcomes", "error.types"] {
            assert!(keys.claim(&Key::from(name)), "{name}");
        }
    }
}
