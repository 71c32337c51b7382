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
    /// How many of the operator's attributes were refused.
    refused: u32,
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

    /// Adds a captured header, unless the operator has set its key.
    pub(super) fn add_captured(&mut self, attribute: KeyValue) {
        if self.claim(&attribute.key) {
            self.list.push(attribute);
        } else if self.keys.claim(&attribute.key) {
            // The key is free, so it is one too many.
            self.refused += 1;
        }
    }

    /// Adds the operator's attributes, last, since a tracer with a limit drops the last. Returns all
    /// attributes, their keys, and how many attributes were refused.
    pub(super) fn finish(
        mut self,
        from_operator: Option<Vec<KeyValue>>,
    ) -> (Vec<KeyValue>, WrittenKeys, u32) {
        if let Some(from_operator) = from_operator {
            self.list.extend(from_operator);
        }
        (self.list, self.keys, self.refused)
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
        attributes.retain(|attribute| {
            let is_claimed = self.claim(&attribute.key);
            let is_empty = is_empty(&attribute.value);
            self.refused += u32::from(!is_claimed && !is_empty);
            is_claimed && !is_empty
        });
        attributes
    }
}
