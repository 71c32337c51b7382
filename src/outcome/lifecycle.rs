//! The lifecycle events of a request: the setting for them, and the terminal event.

use opentelemetry::KeyValue;

use crate::outcome::aborted::{Aborted, Outcome};
use crate::semconv as key;

/// Where the layer records the lifecycle events of a request: on the span, as log events, as both, or not at all.
///
/// Lifecycle events are `api.ARRIVED`, `api.HANDOFF_TO_CORE`, `api.FIRST_RESPONSE_FROM_CORE`, `api.DEPARTED` and
/// `api.ABORTED`. Other events of the handler are always on the span.
///
/// ```
/// use tower_api_span::LifecycleEvents;
///
/// assert_eq!(LifecycleEvents::default(), LifecycleEvents::OnSpan);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleEvents {
    /// As events of the span.
    #[default]
    OnSpan,
    /// As log events with the same names, times and attributes, and with the span's context. Needs
    /// [`logger_provider`](crate::ApiSpanLayer::logger_provider). Without one, or with the no-op, they are events of
    /// the span, and feature `internal-logs` warns once.
    AsLogs,
    /// As both.
    Both,
    /// Not at all. The span's attributes still have the outcome, the abort reason and the time to the head. The time of
    /// the handoff is lost, and the message of an abort that is no error.
    Off,
}

impl LifecycleEvents {
    pub(crate) fn is_on_span(self) -> bool {
        matches!(self, Self::OnSpan | Self::Both)
    }

    pub(crate) fn is_logged(self) -> bool {
        matches!(self, Self::AsLogs | Self::Both)
    }
}

/// Returns the name and the attributes of a request's terminal event.
pub(crate) fn terminal_event(outcome: Outcome) -> (&'static str, Vec<KeyValue>) {
    let Outcome::Aborted(Aborted {
        reason,
        message,
        code,
        ..
    }) = outcome
    else {
        return (key::EVENT_DEPARTED, Vec::new());
    };
    let mut attributes = vec![KeyValue::new(key::EVENT_REASON, reason)];
    attributes.extend(message.map(|message| KeyValue::new(key::EVENT_ERROR, message)));
    attributes.extend(code.map(|code| KeyValue::new(key::EVENT_CODE, code)));
    (key::EVENT_ABORTED, attributes)
}
