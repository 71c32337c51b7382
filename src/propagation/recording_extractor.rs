//! Records which headers a propagator reads.

use std::cell::RefCell;
use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::Extractor;

/// The headers as they are, with a record of the names that were read.
pub(super) struct RecordingExtractor<'a> {
    headers: &'a HeaderMap,
    read: RefCell<BTreeSet<String>>,
}

impl<'a> RecordingExtractor<'a> {
    pub(super) fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            read: RefCell::default(),
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
        self.headers.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        // A propagator that lists the keys may use any header.
        let all = self.headers.keys().map(|name| name.as_str().to_owned());
        self.read.borrow_mut().extend(all.chain(["*".to_owned()]));
        self.headers.keys().map(HeaderName::as_str).collect()
    }
}
