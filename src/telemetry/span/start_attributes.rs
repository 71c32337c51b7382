//! Attributes collected for the start of a span, each key once.

use opentelemetry::{Key, KeyValue, Value};

use crate::outcome::attribute_map::is_empty;
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

    /// Allocates exactly `room` attributes. None has been added yet.
    pub(super) fn allocate(&mut self, room: usize) {
        self.list = Vec::with_capacity(room);
    }

    /// Adds captured headers, each with another key, except those whose key the operator has set. All are checked
    /// before one is claimed, so none is compared with the others.
    pub(super) fn add_captured(&mut self, captured: impl Iterator<Item = KeyValue>) {
        let first = self.list.len();
        let keys = &self.keys;
        let free = captured.filter(|attribute| keys.is_header_free(&attribute.key));
        self.list.extend(free);
        let added = &self.list[first..];
        for attribute in added {
            self.keys.claim_header(&attribute.key);
        }
        let kept = added.len().min(MAX_FROM_OPERATOR - self.claimed);
        self.claimed += kept;
        self.refused += u32::try_from(added.len() - kept).unwrap_or(u32::MAX);
        self.list.truncate(first + kept);
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
