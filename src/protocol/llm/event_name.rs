//! The name of an event.

use super::kind::EventType;

/// The limit, in bytes, on a name that is kept. A longer one is truncated to one byte more.
pub(super) const MAX_BYTES: usize = 64;

/// The name of the current event. It is kept for the next one, which often has the same.
#[derive(Debug)]
pub(super) struct EventName {
    bytes: Vec<u8>,
    /// The type that the name is.
    event_type: EventType,
    /// Whether the current event has this name.
    is_set: bool,
}

impl EventName {
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            event_type: EventType::Other,
            is_set: false,
        }
    }

    /// Whether the current event has a name.
    pub(super) fn is_set(&self) -> bool {
        self.is_set
    }

    /// Reads a part of a field `event`.
    pub(super) fn read(&mut self, part: &[u8], is_first: bool, is_last: bool) {
        self.is_set = true;
        if is_first && is_last && part == self.bytes {
            return;
        }
        if is_first {
            self.bytes.clear();
        }
        let room = (MAX_BYTES + 1).saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(&part[..room.min(part.len())]);
        if is_last {
            let event_type = EventType::of(&self.bytes);
            // `message` is the default name of an event.
            self.event_type = if event_type == EventType::Message {
                EventType::Other
            } else {
                event_type
            };
        }
    }

    /// Ends the event.
    pub(super) fn end(&mut self) {
        self.is_set = false;
    }

    /// Whether the current event has this name.
    pub(super) fn is(&self, name: Option<&str>) -> bool {
        self.is_set && name.is_some_and(|name| self.bytes == name.as_bytes())
    }

    /// Returns the type that the current event's name is.
    pub(super) fn event_type(&self) -> EventType {
        if self.is_set {
            self.event_type
        } else {
            EventType::Other
        }
    }
}
