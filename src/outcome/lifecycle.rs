//! Where the events of a request's life are told.

/// Where the layer tells the events of a request's life: `api.ARRIVED`, `api.HANDOFF_TO_CORE`,
/// `api.FIRST_RESPONSE_FROM_CORE`, and `api.DEPARTED` or `api.ABORTED`.
///
/// Events that a handler adds stay on the span.
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
    /// As log events of the same names, times and attributes, with the span's context: needs feature
    /// `logs` and a logger provider, else they are told nowhere.
    AsLogs,
    /// Both.
    Both,
}

impl LifecycleEvents {
    pub(crate) fn are_on_spans(self) -> bool {
        self != Self::AsLogs
    }

    #[cfg(feature = "logs")]
    pub(crate) fn are_logged(self) -> bool {
        self != Self::OnSpan
    }
}
