//! Writes the events and links that were recorded for a span.

use std::time::SystemTime;

use opentelemetry::global::ObjectSafeSpan;

use crate::catch_panic::catch_panic;
use crate::recording::buffer::{Event, SpanBuffer};
use crate::recording::ended_request::EndedRequest;
use crate::semconv::{EVENT_FIRST_RESPONSE_FROM_CORE, is_lifecycle_event};

/// Writes the recorded events and links. Inserts `api.FIRST_RESPONSE_FROM_CORE` among the events.
pub(super) fn write_events_and_links(
    span: &mut dyn ObjectSafeSpan,
    buffer: Option<&mut SpanBuffer>,
    ended: &EndedRequest<'_>,
    has_lifecycle: bool,
) {
    let first_response = ended.first_response.filter(|_| has_lifecycle);
    // Most requests have neither.
    if buffer.is_none() && first_response.is_none() {
        return;
    }
    let (mut events, links) = match buffer {
        Some(buffer) => (
            std::mem::take(&mut buffer.events),
            std::mem::take(&mut buffer.links),
        ),
        None => Default::default(),
    };
    if !has_lifecycle {
        events.retain(|event| !is_lifecycle_event(&event.name));
    }
    if let Some(at) = first_response {
        let event = Event {
            name: EVENT_FIRST_RESPONSE_FROM_CORE.into(),
            at,
            attributes: Vec::new(),
        };
        events.insert(place_by_time(&events, at), event);
    }
    for event in events {
        span.add_event_with_timestamp(event.name, event.at, event.attributes);
    }
    for (span_context, attributes) in links {
        catch_panic(|| span.add_link(span_context, attributes));
    }
}

/// Returns the index of a lifecycle event among the recorded events.
///
/// Recorded events are in the order of recording and not of time, because the handler may set their times. The
/// index is after all events with the same or an earlier time, but before a later lifecycle event.
fn place_by_time(events: &[Event], at: SystemTime) -> usize {
    let last_earlier = events.iter().rposition(|event| event.at <= at);
    let is_later_lifecycle = |event: &Event| is_lifecycle_event(&event.name) && event.at > at;
    let first_later = events.iter().position(is_later_lifecycle);
    let behind = last_earlier.map_or(0, |place| place + 1);
    first_later.map_or(behind, |later| later.min(behind))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::semconv::EVENT_HANDOFF_TO_CORE;

    #[test]
    fn a_lifecycle_event_is_placed_by_its_time() {
        let handoff = EVENT_HANDOFF_TO_CORE;
        for (rule, recorded, expected) in [
            ("no other event", &[][..], 0),
            ("before a later event", &[("late", 7)], 0),
            (
                "behind earlier events and those of the same time",
                &[("a", 3), ("b", 5), ("c", 6)],
                2,
            ),
            (
                "behind an earlier handoff, even if a later event precedes that",
                &[("eta", 9), (handoff, 4)],
                2,
            ),
            ("behind a handoff of the same time", &[(handoff, 5)], 1),
            ("before a later handoff", &[("a", 3), (handoff, 6)], 1),
            (
                "before a later handoff, even if an earlier event follows that",
                &[(handoff, 6), ("a", 1)],
                0,
            ),
        ] {
            let time = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let event = |(name, seconds): &(&'static str, u64)| Event {
                name: (*name).into(),
                at: time(*seconds),
                attributes: Vec::new(),
            };
            let recorded: Vec<_> = recorded.iter().map(event).collect();
            assert_eq!(place_by_time(&recorded, time(5)), expected, "{rule}");
        }
    }
}
