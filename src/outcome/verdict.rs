//! The verdict on a response.

use crate::outcome::reason;
use crate::text::truncate;

/// The verdict on a response: the handler's, given with
/// [`SpanHandle::mark_aborted`](crate::SpanHandle::mark_aborted), or that of a failure in the response itself.
///
/// ```
/// use http::Method;
/// use tower_api_span::{Completion, End, Outcome, Verdict, classify};
///
/// let verdict = Verdict::new("generation_error", Some("out of memory".to_owned()));
/// let completion = Completion::new(Method::GET, End::complete()).with_verdict(verdict);
/// assert_ne!(classify(&completion), Outcome::Departed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verdict {
    /// The handler's reason, of low cardinality.
    pub reason: &'static str,
    /// The handler's message, truncated to 1,024 bytes.
    pub message: Option<String>,
    /// The code of a failure that was read in the response, truncated to 256 bytes: a name or a number.
    pub code: Option<String>,
}

impl Verdict {
    /// Creates a verdict.
    #[must_use]
    pub fn new(reason: &'static str, message: Option<String>) -> Self {
        Self {
            reason,
            message,
            code: None,
        }
    }

    /// Sets the code.
    ///
    /// ```
    /// use tower_api_span::Verdict;
    ///
    /// let verdict = Verdict::new("generation_error", None).with_code("rate_limit_exceeded");
    /// assert_eq!(verdict.code.as_deref(), Some("rate_limit_exceeded"));
    /// ```
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Creates the verdict of a handler that set an Error status on the span in the context.
    pub(crate) fn from_status(description: &str) -> Self {
        let message = truncate(description);
        let message = (!message.is_empty()).then(|| message.to_owned());
        Self::new(reason::EXCEPTION, message)
    }
}
