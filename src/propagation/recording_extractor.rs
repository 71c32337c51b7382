//! Records which headers a propagator reads.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName};
use opentelemetry::propagation::Extractor;

/// The headers as they are, perhaps without some and with others, with a record of the names that were read.
pub(super) struct RecordingExtractor<'a> {
    headers: &'a HeaderMap,
    /// Headers that replace those of the same names.
    own: Option<&'a HeaderMap>,
    /// Names of `headers` that are not there for the propagator, sorted and in lower case.
    hidden: &'a [String],
    read: RefCell<BTreeSet<String>>,
    has_listed: Cell<bool>,
}

impl<'a> RecordingExtractor<'a> {
    pub(super) fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            own: None,
            hidden: &[],
            read: RefCell::default(),
            has_listed: Cell::new(false),
        }
    }

    /// Adds `own` to the headers, in place of those of the same names, and hides some of the headers. The names of the
    /// `hidden` ones are sorted and in lower case.
    pub(super) fn beside(headers: &'a HeaderMap, own: &'a HeaderMap, hidden: &'a [String]) -> Self {
        Self {
            own: Some(own),
            hidden,
            ..Self::new(headers)
        }
    }

    /// Returns the names in lower case, and `*` with all names if the names were listed.
    pub(super) fn into_read(self) -> BTreeSet<String> {
        let mut read = self.read.into_inner();
        if self.has_listed.get() {
            // A propagator that lists the keys may use any header.
            read.insert("*".to_owned());
            read.extend(self.headers.keys().map(|name| name.as_str().to_owned()));
        }
        read
    }

    /// Records that a header is read. Returns the headers that have its lines, if the propagator sees it.
    fn headers_with(&self, key: &str) -> Option<&'a HeaderMap> {
        let name = key.to_ascii_lowercase();
        let own = self.own.filter(|own| own.contains_key(&name));
        let shown = own.or(Some(self.headers).filter(|_| !self.is_hidden(&name)));
        self.read.borrow_mut().insert(name);
        shown
    }

    fn is_hidden(&self, name: &str) -> bool {
        let compare = |hidden: &String| hidden.as_str().cmp(name);
        self.hidden.binary_search_by(compare).is_ok()
    }
}

impl Extractor for RecordingExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.headers_with(key)?.get(key)?.to_str().ok()
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        let lines = self.headers_with(key)?.get_all(key).iter();
        let lines: Vec<_> = lines.filter_map(|line| line.to_str().ok()).collect();
        (!lines.is_empty()).then_some(lines)
    }

    fn keys(&self) -> Vec<&str> {
        self.has_listed.set(true);
        let own = self.own.into_iter().flat_map(HeaderMap::keys);
        let names = self.headers.keys().map(HeaderName::as_str);
        let shown = names.filter(|name| !self.is_hidden(name));
        shown.chain(own.map(HeaderName::as_str)).collect()
    }
}
