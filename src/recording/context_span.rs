//! The span that a `Context` holds.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, SpanContext, Status};

use crate::outcome::Verdict;
use crate::recording::shared_span::SharedSpan;

/// A span that records into the shared span and cannot end it.
pub(crate) struct ContextSpan(pub(crate) Arc<SharedSpan>);

impl fmt::Debug for ContextSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContextSpan")
            .field(self.0.span_context())
            .finish()
    }
}

impl Span for ContextSpan {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        // `add_event` of the API reads the wall clock. Such a time is replaced with now by the request's
        // clock, so that the times of two events stay in order.
        let time = |now| if is_near(at, now) { now } else { at };
        self.0.add_event(name.into(), attributes, time);
    }

    fn span_context(&self) -> &SpanContext {
        self.0.span_context()
    }

    fn is_recording(&self) -> bool {
        self.0.is_open_and_recording()
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        self.0.record(|buffer| buffer.set_attribute(attribute));
    }

    /// Records an Error status. It becomes the verdict if the handler gives none. `Ok` is ignored, because the
    /// end of the response decides the outcome.
    fn set_status(&mut self, status: Status) {
        if let Status::Error { description } = status {
            self.0.record(|buffer| {
                buffer
                    .status_error
                    .get_or_insert_with(|| Verdict::from_status(&description));
            });
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        let new_name = new_name.into();
        if new_name.is_empty() {
            return;
        }
        self.0.record(|buffer| buffer.name = Some(new_name));
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        self.0
            .record(|buffer| buffer.add_link(span_context, attributes));
    }

    /// Does nothing: the span ends with the response.
    fn end_with_timestamp(&mut self, _: SystemTime) {}
}

/// Whether two times are less than a millisecond apart.
fn is_near(at: SystemTime, now: SystemTime) -> bool {
    let distance = match at.duration_since(now) {
        Ok(after) => after,
        Err(before) => before.duration(),
    };
    distance < Duration::from_millis(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_near_below_one_millisecond() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        for (micros, expected) in [(0, true), (999, true), (1_000, false), (2_000, false)] {
            let distance = Duration::from_micros(micros);
            assert_eq!(is_near(now + distance, now), expected, "{micros} after");
            assert_eq!(is_near(now - distance, now), expected, "{micros} before");
        }
    }
}
