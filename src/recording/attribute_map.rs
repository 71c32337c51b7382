//! Attributes that a handler tells, each key once. Pure.

use opentelemetry::{KeyValue, Value};

/// How many are kept; as many as the SDK does by default.
const MAX: u8 = 128;

/// Attributes in the order in which their keys were first told: of too many, tracers drop the last.
#[derive(Debug, Default)]
pub(crate) struct AttributeMap {
    list: Vec<KeyValue>,
    /// Places in the list in the order of their keys, so that a key is found by halves: a handler that
    /// tells many would else compare each with all.
    by_key: Vec<u8>,
}

impl AttributeMap {
    /// Keeps an attribute; the last value of a key wins. What is empty says nothing. False if it is one too
    /// many.
    pub(crate) fn tell(&mut self, attribute: KeyValue) -> bool {
        let key = attribute.key.as_str();
        if key.is_empty() || is_empty(&attribute.value) {
            return true;
        }
        match self.find(key) {
            Ok(at) => self.list[usize::from(self.by_key[at])] = attribute,
            Err(at) => match u8::try_from(self.list.len()) {
                Ok(next) if next < MAX => {
                    self.by_key.insert(at, next);
                    self.list.push(attribute);
                }
                _ => return false,
            },
        }
        true
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The value of this key, if it was told.
    #[cfg(feature = "metrics")]
    pub(crate) fn value(&self, key: &str) -> Option<&Value> {
        let at = self.find(key).ok()?;
        Some(&self.list[usize::from(self.by_key[at])].value)
    }

    /// Where the place of this key is, or would be.
    fn find(&self, key: &str) -> Result<usize, usize> {
        let known = |place: &u8| self.list[usize::from(*place)].key.as_str().cmp(key);
        self.by_key.binary_search_by(known)
    }
}

impl IntoIterator for AttributeMap {
    type Item = KeyValue;
    type IntoIter = std::vec::IntoIter<KeyValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// Whether a value says nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.as_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(keys: impl IntoIterator<Item = (String, i64)>) -> (Vec<String>, usize) {
        let mut keyed = AttributeMap::default();
        let attributes = keys
            .into_iter()
            .map(|(key, value)| KeyValue::new(key, value));
        let refused = attributes.filter(|attribute| !keyed.tell(attribute.clone()));
        let refused = refused.count();
        let list = keyed.into_iter();
        let list = list.map(|attribute| format!("{}={}", attribute.key, attribute.value));
        (list.collect(), refused)
    }

    #[test]
    fn attributes_stay_in_the_order_of_telling_and_the_last_value_wins() {
        let keys = [("z", 1), ("m", 2), ("a", 3), ("m", 4), ("z", 5), ("q", 6)];
        let keys = keys.map(|(key, value)| (key.to_owned(), value));
        let (list, refused) = told(keys);
        assert_eq!(list, ["z=5", "m=4", "a=3", "q=6"]);
        assert_eq!(refused, 0);
    }

    #[test]
    fn the_first_128_keys_are_kept_whatever_they_are_called() {
        let keys = (0..130).map(|number| (format!("k{:03}", 999 - number), number));
        let again = [("k999".to_owned(), -1)];
        let (list, refused) = told(keys.chain(again));
        assert_eq!((list.len(), refused), (128, 2));
        assert_eq!(list[0], "k999=-1");
        assert_eq!(list[127], "k872=127");
    }

    #[test]
    fn what_is_empty_says_nothing() {
        let mut keyed = AttributeMap::default();
        assert!(keyed.tell(KeyValue::new("", 1)) && keyed.tell(KeyValue::new("a", "")));
        assert!(keyed.is_empty());
    }
}
