//! Attributes collected for the start of a span, each key once.

use opentelemetry::{Key, KeyValue, Value};

use crate::recording::attribute_map::is_empty;
use crate::recording::written_keys::{OwnKey, WrittenKeys};

/// The number of attributes that the settings may add. The SDK keeps twice as many by default, so the layer's own
/// attributes always fit.
pub(super) const MAX_FROM_OPERATOR: usize = 64;

/// Attributes collected for the start of a span.
#[derive(Debug, Default)]
pub(super) struct StartAttributes {
    list: Vec<KeyValue>,
    keys: WrittenKeys,
    /// The number of keys that were claimed for the operator.
    claimed: usize,
}

impl StartAttributes {
    /// Adds one of the layer's attributes, unless its value is an empty string or its key is taken.
    pub(super) fn set(&mut self, key: OwnKey, value: impl Into<Value>) {
        let value = value.into();
        if !is_empty(&value) && self.keys.claim_own(key) {
            self.list.push(KeyValue::new(key.name(), value));
        }
    }

    /// Reserves capacity for exactly `room` attributes.
    pub(super) fn reserve(&mut self, room: usize) {
        self.list.reserve_exact(room);
    }

    /// Adds an attribute that the settings ask for, unless its key is taken.
    pub(super) fn add_for_operator(&mut self, attribute: KeyValue) {
        if self.claim(&attribute.key) {
            self.list.push(attribute);
        }
    }

    /// Adds the operator's attributes last, because a tracer with a limit drops the last. Returns all attributes
    /// and their keys.
    pub(super) fn finish(
        mut self,
        from_operator: Option<Vec<KeyValue>>,
    ) -> (Vec<KeyValue>, WrittenKeys) {
        if let Some(from_operator) = from_operator {
            self.list.extend(from_operator);
        }
        (self.list, self.keys)
    }

    /// Claims a key for the operator, up to [`MAX_FROM_OPERATOR`].
    fn claim(&mut self, key: &Key) -> bool {
        let is_claimed = self.claimed < MAX_FROM_OPERATOR && self.keys.claim(key);
        self.claimed += usize::from(is_claimed);
        is_claimed
    }

    /// Claims the keys of these attributes, and returns the attributes to add. An empty string claims its key and
    /// is not added. So the operator can remove one of the layer's attributes.
    pub(super) fn claim_for_operator(&mut self, mut attributes: Vec<KeyValue>) -> Vec<KeyValue> {
        attributes.retain(|attribute| self.claim(&attribute.key) && !is_empty(&attribute.value));
        attributes
    }
}
