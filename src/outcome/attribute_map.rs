//! Attributes that the handler sets: a map that keeps the order of insertion.

use opentelemetry::{KeyValue, Value};

/// The number of attributes that are kept: the SDK's default limit for a span.
const MAX: u8 = 128;

/// Attributes in the order in which their keys were first set. A tracer with a lower limit drops the last.
#[derive(Clone, Debug, Default)]
pub(crate) struct AttributeMap {
    list: Vec<KeyValue>,
    /// Indices into `list`, sorted by key for binary search. Empty while the list is short.
    by_key: Vec<u8>,
}

/// The length up to which the list itself is searched.
const SHORT: usize = 8;

impl AttributeMap {
    /// Inserts an attribute; the last value of a key wins. Returns false if its key is empty or the map is
    /// full.
    ///
    /// An empty string is ignored.
    pub(crate) fn insert(&mut self, attribute: KeyValue) -> bool {
        let key = attribute.key.as_str();
        if is_empty(&attribute.value) {
            return true;
        }
        if key.is_empty() {
            return false;
        }
        if self.list.len() == SHORT && self.by_key.is_empty() {
            self.sort();
        }
        match self.find(attribute.key.as_str()) {
            Ok(at) => self.list[at] = attribute,
            Err(at) => match u8::try_from(self.list.len()) {
                Ok(next) if next < MAX => {
                    if !self.by_key.is_empty() {
                        self.by_key.insert(at, next);
                    }
                    self.list.push(attribute);
                }
                _ => return false,
            },
        }
        true
    }

    /// Sorts the indices of a list that is no longer short.
    fn sort(&mut self) {
        let indices = (0..MAX).zip(&self.list);
        let mut sorted: Vec<_> = indices.collect();
        sorted.sort_by(|(_, one), (_, other)| one.key.as_str().cmp(other.key.as_str()));
        self.by_key = sorted.into_iter().map(|(index, _)| index).collect();
    }

    /// Returns the value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let at = self.find(key).ok()?;
        Some(&self.list[at].value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, KeyValue> {
        self.list.iter()
    }

    /// Returns the index of a key in `list`, or the index in `by_key` at which to insert it.
    fn find(&self, key: &str) -> Result<usize, usize> {
        if self.by_key.is_empty() {
            let found = self.list.iter().position(|it| it.key.as_str() == key);
            return found.ok_or(0);
        }
        let compare = |index: &u8| self.list[usize::from(*index)].key.as_str().cmp(key);
        let found = self.by_key.binary_search_by(compare);
        found.map(|at| usize::from(self.by_key[at]))
    }
}

impl IntoIterator for AttributeMap {
    type Item = KeyValue;
    type IntoIter = std::vec::IntoIter<KeyValue>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

/// Whether a value is an empty string. No span gets such a value.
pub(crate) fn is_empty(value: &Value) -> bool {
    matches!(value, Value::String(text) if text.as_str().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn insert_all(attributes: impl IntoIterator<Item = (String, i64)>) -> (Vec<String>, usize) {
        let mut map = AttributeMap::default();
        let attributes = attributes
            .into_iter()
            .map(|(key, value)| KeyValue::new(key, value));
        let refused = attributes.filter(|attribute| !map.insert(attribute.clone()));
        let refused = refused.count();
        let list = map.into_iter();
        let list = list.map(|attribute| format!("{}={}", attribute.key, attribute.value));
        (list.collect(), refused)
    }

    #[test]
    fn attributes_keep_their_order_and_the_last_value_wins() {
        let attributes = [("z", 1), ("m", 2), ("a", 3), ("m", 4), ("z", 5), ("q", 6)];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
        let (list, refused) = insert_all(attributes);
        assert_eq!(list, ["z=5", "m=4", "a=3", "q=6"]);
        assert_eq!(refused, 0);
    }

    /// Around the length from which the keys are sorted.
    #[test]
    fn a_short_and_a_long_list_are_the_same() {
        for length in 6..12 {
            let key = |number: i64| format!("k{}", (number * 7) % 13);
            let first = (0..length).map(|number| (key(number), number));
            let again = (0..length).map(|number| (key(number), 100 + number));
            let (list, refused) = insert_all(first.chain(again));
            let expected = (0..length).map(|number| format!("{}={}", key(number), 100 + number));
            assert_eq!((list, refused), (expected.collect(), 0), "{length} keys");
        }
    }

    #[test]
    fn the_first_128_keys_are_kept() {
        let attributes = (0..130).map(|number| (format!("k{:03}", 999 - number), number));
        let again = [("k999".to_owned(), -1)];
        let (list, refused) = insert_all(attributes.chain(again));
        assert_eq!((list.len(), refused), (128, 2));
        assert_eq!(list[0], "k999=-1");
        assert_eq!(list[127], "k872=127");
    }

    #[test]
    fn empty_strings_are_ignored_and_empty_keys_refused() {
        let mut map = AttributeMap::default();
        assert!(map.insert(KeyValue::new("a", "")) && map.insert(KeyValue::new("", "")));
        assert!(!map.insert(KeyValue::new("", 1)));
        assert_eq!(map.into_iter().count(), 0);
    }
}
