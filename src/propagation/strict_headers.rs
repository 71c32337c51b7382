//! The request's headers as a propagator sees them: without an invalid `traceparent`, and with lists joined.

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};

use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr_iter;
use opentelemetry::propagation::Extractor;

use super::fields::{BAGGAGE, TRACEPARENT, TRACESTATE};
use super::traceparent::Traceparent;

// Parsed once: a lookup by text parses the name each time.
static TRACEPARENT_NAME: HeaderName = HeaderName::from_static(TRACEPARENT);
static TRACESTATE_NAME: HeaderName = HeaderName::from_static(TRACESTATE);
static BAGGAGE_NAME: HeaderName = HeaderName::from_static(BAGGAGE);

/// The most members of a `tracestate` (W3C Trace Context, section 3.3.1).
const MAX_MEMBERS: usize = 32;

/// The headers as a propagator sees them. A header is checked or joined when the propagator reads it.
pub(super) struct StrictHeaders<'a> {
    headers: &'a HeaderMap,
    traceparent: OnceCell<Option<&'a str>>,
    tracestate: OnceCell<Option<Cow<'a, str>>>,
    baggage: OnceCell<Option<Cow<'a, str>>>,
    has_answered: Cell<bool>,
}

impl<'a> StrictHeaders<'a> {
    pub(super) fn new(headers: &'a HeaderMap) -> Self {
        Self {
            headers,
            traceparent: OnceCell::new(),
            tracestate: OnceCell::new(),
            baggage: OnceCell::new(),
            has_answered: Cell::new(false),
        }
    }

    /// Whether the propagator has read a header that is present.
    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.get()
    }

    /// Returns the `traceparent`, if it is well-formed and not repeated.
    fn traceparent(&self) -> Option<&'a str> {
        *self.traceparent.get_or_init(|| {
            let value = single_traceparent(self.headers)?;
            Traceparent::parse(value.as_bytes())?;
            value.to_str().ok()
        })
    }

    /// Returns the `tracestate`, if the `traceparent` is valid.
    fn tracestate(&self) -> Option<&str> {
        let tracestate = self.tracestate.get_or_init(|| {
            self.traceparent()?;
            joined_tracestate(self.headers)
        });
        tracestate.as_deref()
    }

    fn baggage(&self) -> Option<&str> {
        let baggage = || join_lines(self.headers, &BAGGAGE_NAME);
        self.baggage.get_or_init(baggage).as_deref()
    }
}

impl Extractor for StrictHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        let value = if is_name(key, TRACEPARENT) {
            self.traceparent()
        } else if is_name(key, TRACESTATE) {
            self.tracestate()
        } else if is_name(key, BAGGAGE) {
            self.baggage()
        } else {
            self.headers.get(key).and_then(|value| value.to_str().ok())
        }?;
        self.has_answered.set(true);
        Some(value)
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        if [TRACEPARENT, TRACESTATE, BAGGAGE]
            .iter()
            .any(|own| is_name(key, own))
        {
            return self.get(key).map(|value| vec![value]);
        }
        let values = self.headers.get_all(key).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        if values.is_empty() {
            return None;
        }
        self.has_answered.set(true);
        Some(values)
    }

    fn keys(&self) -> Vec<&str> {
        self.headers
            .keys()
            .map(HeaderName::as_str)
            .filter(|key| self.get(key).is_some())
            .collect()
    }
}

/// Whether a propagator's key is the name of a header. Most keys are in lower case, which compares faster.
fn is_name(key: &str, name: &str) -> bool {
    key == name || key.eq_ignore_ascii_case(name)
}

/// Returns the `traceparent`, unless it is repeated.
pub(super) fn single_traceparent(headers: &HeaderMap) -> Option<&HeaderValue> {
    if !has_repeated(headers) {
        return headers.get(&TRACEPARENT_NAME);
    }
    let mut values = headers.get_all(&TRACEPARENT_NAME).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value)
}

/// Whether the headers have a well-formed `traceparent`.
pub(crate) fn has_traceparent(headers: &HeaderMap) -> bool {
    single_traceparent(headers).is_some_and(|value| Traceparent::parse(value.as_bytes()).is_some())
}

/// Whether any header is repeated. Few requests have one, and `get` is faster than `get_all`.
fn has_repeated(headers: &HeaderMap) -> bool {
    headers.len() > headers.keys_len()
}

/// Returns the lines of `tracestate` as one list. Returns `None` if it has more than 32 members.
///
/// Empty members are allowed (W3C Trace Context, section 3.3.1), as a proxy may add an empty line. They are not
/// counted, as in OpenTelemetry for Go and Python.
pub(super) fn joined_tracestate(headers: &HeaderMap) -> Option<Cow<'_, str>> {
    let list = join_lines(headers, &TRACESTATE_NAME)?;
    // Counting all of a short list costs more than finding a few.
    let mut commas = memchr_iter(b',', list.as_bytes());
    if commas.nth(MAX_MEMBERS - 1).is_none() {
        return Some(list);
    }
    let is_empty = |member: &str| member.trim_matches([' ', '\t']).is_empty();
    let members = list.split(',').filter(|member| !is_empty(member));
    let members: Vec<_> = members.take(MAX_MEMBERS + 1).collect();
    // The SDK counts empty members, and would drop those behind its 32nd.
    (members.len() <= MAX_MEMBERS).then(|| Cow::Owned(members.join(",")))
}

/// Joins the lines of a header with commas.
fn join_lines<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    if !has_repeated(headers) {
        return headers.get(name)?.to_str().ok().map(Cow::Borrowed);
    }
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |joined, more| joined + "," + more))
}
