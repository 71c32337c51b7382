//! The gRPC methods that a layer's server has confirmed.

use std::sync::Arc;

use crate::recording::name_set::NameSet;

/// The gRPC methods that responses have confirmed, shared by the services of a layer.
///
/// They are what the server has answered, and never what clients alone have sent. A server that answers any path
/// would confirm any, so the sets are bounded.
#[derive(Debug)]
pub(crate) struct LearntMethods {
    /// Methods that were answered OK, or with a message.
    confirmed: NameSet,
    /// Methods of known services that have only failed. An interceptor may answer so for any method. So these have
    /// a set of their own, and cannot use up the room of confirmed ones.
    failed: NameSet,
}

impl LearntMethods {
    /// The limit of confirmed methods. Few servers have a thousand. With about two series for each, they stay
    /// within the 2,000 that the SDK keeps of a metric.
    const MAX_CONFIRMED: usize = 1_024;
    const MAX_FAILED: usize = 128;
    /// The longest method, in bytes.
    const MAX_LENGTH: usize = 256;

    /// Returns the method if it was learnt. That it has failed counts only for a method of a known service.
    pub(crate) fn find(&self, method: &str, is_of_known_service: bool) -> Option<Arc<str>> {
        let failed = || self.failed.find(method).filter(|_| is_of_known_service);
        self.confirmed.find(method).or_else(failed)
    }

    /// Adds a method that the server has confirmed. Returns whether it is in the set.
    pub(crate) fn add_confirmed(&self, method: &Arc<str>) -> bool {
        self.confirmed.add(method)
    }

    /// Adds a method of a known service that has failed. Returns whether it is in the set.
    pub(crate) fn add_failed(&self, method: &Arc<str>) -> bool {
        self.failed.add(method)
    }
}

impl Default for LearntMethods {
    fn default() -> Self {
        Self {
            confirmed: NameSet::new(Self::MAX_CONFIRMED, Self::MAX_LENGTH),
            failed: NameSet::new(Self::MAX_FAILED, Self::MAX_LENGTH),
        }
    }
}

impl Clone for LearntMethods {
    /// Returns an empty set: a layer with other settings may wrap another server.
    fn clone(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> Arc<str> {
        Arc::from(format!("pkg.Service/Method{number}"))
    }

    #[test]
    fn a_method_that_failed_is_found_only_in_a_known_service() {
        let methods = LearntMethods::default();
        assert!(methods.add_failed(&name(1)) && methods.add_confirmed(&name(2)));
        for (number, is_of_known_service, is_found) in [
            (1, true, true),
            (1, false, false),
            (2, true, true),
            (2, false, true),
        ] {
            let found = methods.find(&name(number), is_of_known_service);
            assert_eq!(found.is_some(), is_found, "{number}, {is_of_known_service}");
        }
        let other = methods.clone();
        assert_eq!(other.find(&name(2), true), None, "another layer");
    }
}
