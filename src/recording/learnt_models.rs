//! The language models that a layer's server has answered with.

use std::sync::Arc;

use crate::recording::name_set::NameSet;

/// The models of requests that succeeded, and of their answers, shared by the services of a layer.
///
/// A gateway, or a server with one model, may answer whatever model a client names, and repeat the name. So the set is
/// bounded.
#[derive(Debug)]
pub(crate) struct LearntModels(NameSet);

impl LearntModels {
    /// The largest number of pairs of a request's model and an answer's. With one series for each, they use about half
    /// of the 2,000 series that the SDK keeps of a metric.
    const MAX_PAIRS: usize = 1_024;
    /// The longest pair, in bytes: two names of 256, and a line end between them.
    const MAX_LENGTH: usize = 513;

    /// Adds a pair that the server has answered. An absent name is empty. Returns whether the pair is in the set.
    pub(crate) fn add(&self, [requested, answered]: [&str; 2]) -> bool {
        let mut buffer = [0; Self::MAX_LENGTH];
        // Nearly all pairs are in the set, and are found without an allocation.
        join(&mut buffer, [requested, "\n", answered])
            .is_some_and(|pair| self.0.find(pair).is_some() || self.0.add(&Arc::from(pair)))
    }

    /// Whether a pair has been added.
    pub(crate) fn contain(&self, [requested, answered]: [&str; 2]) -> bool {
        let mut buffer = [0; Self::MAX_LENGTH];
        join(&mut buffer, [requested, "\n", answered])
            .is_some_and(|pair| self.0.find(pair).is_some())
    }
}

impl Default for LearntModels {
    fn default() -> Self {
        Self(NameSet::new(Self::MAX_PAIRS, Self::MAX_LENGTH))
    }
}

impl Clone for LearntModels {
    /// Returns an empty set: a layer with other settings may wrap another server.
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Joins texts in a buffer. Returns `None` if they are longer.
fn join<'a>(buffer: &'a mut [u8], parts: [&str; 3]) -> Option<&'a str> {
    let mut length = 0;
    for part in parts {
        let end = length + part.len();
        buffer
            .get_mut(length..end)?
            .copy_from_slice(part.as_bytes());
        length = end;
    }
    std::str::from_utf8(&buffer[..length]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_set_keeps_its_pairs_and_adds_no_more() {
        let models = LearntModels::default();
        for _ in 0..2 {
            for number in 0..2_048 {
                let is_in = number < 1_024;
                assert_eq!(models.add(["m", &number.to_string()]), is_in, "{number}");
            }
        }
        assert!(models.clone().add(["m", "2047"]), "another layer");
    }

    #[test]
    fn both_models_make_the_pair() {
        let models = LearntModels::default();
        for pair in [["a", "b"], ["b", "a"], ["ab", ""], ["", "ab"], ["", ""]] {
            assert!(models.add(pair), "{pair:?}");
        }
        let find = |pair| models.0.find(pair).is_some();
        assert!(find("a\nb") && find("b\na") && find("ab\n") && find("\nab") && find("\n"));
        assert!(models.contain(["a", "b"]) && !models.contain(["a", "a"]));
    }

    #[test]
    fn a_long_pair_is_not_added() {
        let models = LearntModels::default();
        let name = "m".repeat(256);
        assert!(models.add([&name, &name]));
        assert!(!models.add([&name, &(name.clone() + "m")]));
    }
}
