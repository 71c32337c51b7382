//! The data that is recorded for a request while its span is open.

use std::borrow::Cow;
use std::time::{Instant, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

use crate::outcome::Verdict;
use crate::outcome::attribute_map::AttributeMap;
use crate::semconv::is_lifecycle_event;

/// The number of events that the handler may add. The SDK keeps 128 events by default and drops the last ones.
/// The terminal event is the last.
const MAX_EVENTS: usize = 120;

/// The number of links that the handler may add: the SDK's default limit.
const MAX_LINKS: usize = 128;

/// Data that is recorded until the span ends, and written to the span then. So the tracer is never called
/// while the lock is held.
#[derive(Debug, Default)]
pub(crate) struct SpanBuffer {
    /// The first verdict, from the handler or from an error event in the stream.
    pub(crate) verdict: Option<Verdict>,
    /// The first Error status that was set on the span in the context. Used if there is no verdict.
    pub(crate) status_error: Option<Verdict>,
    pub(crate) is_disconnect_allowed: bool,
    /// Whether the handler declared the response a stream.
    pub(crate) is_stream: bool,
    pub(crate) route: Option<String>,
    pub(crate) name: Option<Cow<'static, str>>,
    pub(crate) attributes: AttributeMap,
    /// Attributes for the metrics of the request.
    pub(crate) metric_attributes: AttributeMap,
    pub(crate) events: Vec<Event>,
    pub(crate) links: Vec<(SpanContext, Vec<KeyValue>)>,
    /// Whether the outcome is decided already. A late buffer accepts no lifecycle event.
    pub(crate) is_late: bool,
    pub(crate) dropped: Dropped,
    /// The time of the handler's last record. The span does not end before it.
    pub(crate) last_recorded: Option<Instant>,
}

/// How many attributes, events and links were refused.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Dropped {
    pub(crate) attributes: i64,
    pub(crate) events: i64,
    pub(crate) links: i64,
}

/// An event to be written.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) name: Cow<'static, str>,
    pub(crate) at: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
}

impl SpanBuffer {
    /// Returns an empty buffer for data recorded after the outcome was decided.
    pub(crate) fn late() -> Self {
        Self {
            is_late: true,
            ..Self::default()
        }
    }

    /// Sets an attribute; the last value of a key wins.
    pub(crate) fn set_attribute(&mut self, attribute: KeyValue) {
        if !self.attributes.insert(attribute) {
            self.dropped.attributes += 1;
        }
    }

    /// Sets an attribute, unless its key has a value.
    pub(crate) fn set_if_absent(&mut self, attribute: KeyValue) {
        if self.attributes.get(attribute.key.as_str()).is_none() {
            self.set_attribute(attribute);
        }
    }

    /// Adds an event of the handler, if it has a name, which is no lifecycle event's, and there is room.
    pub(crate) fn add_event(&mut self, event: Event) {
        let has_name = !event.name.is_empty() && !is_lifecycle_event(&event.name);
        // Counting the handler's events costs a pass, which few requests need.
        let has_room = || self.events.len() < MAX_EVENTS || self.handler_events() < MAX_EVENTS;
        if has_name && has_room() {
            self.events.push(event);
        } else {
            self.dropped.events += 1;
        }
    }

    /// Adds a link, if there is room.
    pub(crate) fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        if self.links.len() < MAX_LINKS {
            self.links.push((span_context, attributes));
        } else {
            self.dropped.links += 1;
        }
    }

    /// Merges the data recorded before and after the outcome was decided. No late event gets a time after
    /// `end`.
    pub(crate) fn merge(
        in_time: Option<Box<Self>>,
        late: Option<Box<Self>>,
        end: SystemTime,
    ) -> Option<Box<Self>> {
        let Some(late) = late else {
            return in_time;
        };
        let mut buffer = in_time.unwrap_or_default();
        buffer.add_late(*late, end);
        Some(buffer)
    }

    fn add_late(&mut self, late: Self, end: SystemTime) {
        for mut event in late.events {
            event.at = event.at.min(end);
            self.add_event(event);
        }
        for attribute in late.attributes {
            self.set_attribute(attribute);
        }
        for (span_context, attributes) in late.links {
            self.add_link(span_context, attributes);
        }
        self.dropped.attributes += late.dropped.attributes;
        self.dropped.events += late.dropped.events;
        self.dropped.links += late.dropped.links;
    }

    /// Returns the number of the handler's events, which are those that are not lifecycle events.
    fn handler_events(&self) -> usize {
        let names = self.events.iter().map(|event| &event.name);
        names.filter(|name| !is_lifecycle_event(name)).count()
    }
}
