//! Records which headers a propagator reads.

use std::cell::RefCell;
use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::Extractor;

/// The headers as they are, with a record of the names that were read.
pub(super) struct RecordingExtractor<'a> {
    headers: &'a HeaderMap,
    /// Headers that replace those of the same names.
    own: Option<&'a HeaderMap>,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> RecordingExtractor<'a> {
    pub(super) fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            own: None,
            read: RefCell::default(),
        }
    }

    /// Adds `own` to the headers, in place of those of the same names.
    pub(super) fn beside(headers: &'a HeaderMap, own: &'a HeaderMap) -> Self {
        Self {
            own: Some(own),
            ..Self::new(headers)
        }
    }

    /// Returns the names in lower case, and `*` with all names if the names were listed.
    pub(super) fn into_read(self) -> BTreeSet<String> {
        self.read.into_inner()
    }
}

impl Extractor for RecordingExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.read.borrow_mut().insert(key.to_ascii_lowercase());
        let own = self.own.and_then(|own| own.get(key));
        own.or_else(|| self.headers.get(key))?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        let own = self.own.into_iter().flat_map(HeaderMap::keys);
        let keys = self.headers.keys().chain(own).map(HeaderName::as_str);
        let keys: Vec<_> = keys.collect();
        // A propagator that lists the keys may use any header.
        let all = keys.iter().map(|name| (*name).to_owned());
        self.read.borrow_mut().extend(all.chain(["*".to_owned()]));
        keys
    }
}
