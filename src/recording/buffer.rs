//! What was told about a request while its span was open. Pure.

use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

use crate::outcome::Verdict;
use crate::recording::attribute_map::AttributeMap;
use crate::semconv::OWN_PREFIX;

/// How many events a request may add to its span, beside the layer's own. The SDK keeps 128 by
/// default and drops the last ones first: one more, and the terminal event would be gone.
const MAX_EVENTS: usize = 120;

/// How many links a handler may keep; as many as the SDK does by default.
const MAX_LINKS: usize = 128;

/// What was told about a request while its span was open: kept here, and written when it settles.
/// So nothing of the tracer's is called while the slot is locked.
#[derive(Debug, Default)]
pub(crate) struct SpanBuffer {
    /// The handler's verdict. The first counts.
    pub(crate) verdict: Option<Verdict>,
    /// A status of Error that was set on the span. The first counts, and only without a verdict.
    pub(crate) error: Option<Verdict>,
    pub(crate) disconnect_allowed: bool,
    /// The handler has said that the response is a stream.
    pub(crate) is_stream: bool,
    pub(crate) route: Option<String>,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) attributes: AttributeMap,
    pub(crate) events: Vec<Event>,
    pub(crate) links: Vec<(SpanContext, Vec<KeyValue>)>,
    /// The outcome is decided: what makes the request's life is told.
    pub(crate) is_late: bool,
    /// How many attributes and events did not fit.
    pub(crate) dropped: Dropped,
    /// When the last thing was recorded: the span does not end before.
    pub(crate) last: Option<Instant>,
}

/// How many things did not fit.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dropped {
    pub(crate) attributes: i64,
    pub(crate) events: i64,
}

/// An event to be written.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: Cow<'static, str>,
    pub(crate) at: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
}

impl SpanBuffer {
    /// Keeps an attribute; the last value of a key wins. What is empty says nothing.
    pub(crate) fn attribute(&mut self, attribute: KeyValue) {
        if !self.attributes.tell(attribute) {
            self.dropped.attributes += 1;
        }
    }

    /// Keeps an event, if there is room.
    pub(crate) fn event(&mut self, event: Event) {
        if self.events.len() < MAX_EVENTS || self.events_of_handler() < MAX_EVENTS {
            self.events.push(event);
        } else {
            self.dropped.events += 1;
        }
    }

    /// What was told, in time and late.
    pub(crate) fn with_late(
        told: Option<Box<Self>>,
        late: Option<Box<Self>>,
        at: SystemTime,
    ) -> Option<Box<Self>> {
        let Some(late) = late else {
            return told;
        };
        let mut told = told.unwrap_or_default();
        told.absorb(*late, at);
        Some(told)
    }

    /// The layer's own take no room from these.
    fn events_of_handler(&self) -> usize {
        let names = self.events.iter().map(|event| &event.name);
        names.filter(|name| !name.starts_with(OWN_PREFIX)).count()
    }

    /// Adds what was told late: nothing that decides the outcome, and no event after the end.
    fn absorb(&mut self, late: Self, at: SystemTime) {
        for mut event in late.events {
            event.at = event.at.min(at);
            self.event(event);
        }
        for attribute in late.attributes {
            self.attribute(attribute);
        }
        for (span_context, attributes) in late.links {
            self.link(span_context, attributes);
        }
        self.dropped.attributes += late.dropped.attributes;
        self.dropped.events += late.dropped.events;
    }

    /// Keeps a link, if there is room.
    pub(crate) fn link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if self.links.len() < MAX_LINKS {
            self.links.push((span_context, attributes));
        }
    }
}
