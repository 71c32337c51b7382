//! Attributes that are collected before a span starts, each key once.

use opentelemetry::{Key, KeyValue, Value};

use super::end::is_of_end;
use crate::recording::attribute_map::is_empty;
use crate::semconv as key;

/// Attributes being collected, each key once.
#[derive(Debug, Default)]
pub(super) struct Attributes {
    pub(super) list: Vec<KeyValue>,
    pub(super) written: StartKeys,
}

impl Attributes {
    /// Adds an attribute of the layer's, unless its value is an empty string or its key is there.
    pub(super) fn set(&mut self, key: StartKey, value: impl Into<Value>) {
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
    pub(super) fn give(&mut self, key: &Key) -> bool {
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
pub(super) const MAX_GIVEN: usize = 64;

/// Which keys were written at the start.
///
/// The tracer has the attributes by then, and writes a key that is set again a second time: what a
/// handler sets is held against this.
#[derive(Debug, Default)]
pub(crate) struct StartKeys {
    /// The layer's own, one bit each.
    keys: u32,
    /// Those that the settings have added.
    pub(super) given: Vec<Key>,
}

impl StartKeys {
    /// Whether this key was written.
    pub(crate) fn has(&self, name: &str) -> bool {
        let is_own = |key: &StartKey| self.keys & key.bit() != 0 && key.name() == name;
        self.is_given(name) || StartKey::ALL.iter().any(is_own)
    }

    pub(super) fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|key| key.as_str() == name)
    }
}

/// Declares the keys of the start, once each.
macro_rules! start_keys {
    ($($key:ident = $name:expr,)*) => {
        /// A key that may be written at the start.
        #[derive(Clone, Copy, Debug)]
        pub(super) enum StartKey { $($key),* }

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
