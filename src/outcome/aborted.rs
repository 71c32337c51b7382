//! The outcome of a request.

use std::borrow::Cow;
use std::fmt;

use crate::outcome::reason;
use crate::text::{truncate, truncate_to};

/// The outcome of a request: departed, or aborted with a reason.
///
/// ```
/// use tower_api_span::{Aborted, Outcome};
///
/// let outcome = Outcome::Aborted(Aborted::new("quota").with_error_type("quota"));
/// assert_ne!(outcome, Outcome::Departed);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The whole message was returned, and neither its status nor the handler reported a failure. The span has
    /// event `api.DEPARTED` and status Unset.
    Departed,
    /// The request ended in another way. The span has event `api.ABORTED`.
    Aborted(Aborted),
}

/// Formats the outcome as `DEPARTED`, `ABORTED(reason)` or `ABORTED(reason): message`.
///
/// ```
/// use tower_api_span::{Aborted, Outcome};
///
/// let aborted = Aborted::new("quota").with_message("used up");
/// assert_eq!(Outcome::Aborted(aborted).to_string(), "ABORTED(quota): used up");
/// assert_eq!(Outcome::Departed.to_string(), "DEPARTED");
/// ```
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Departed => f.write_str("DEPARTED"),
            Self::Aborted(aborted) => {
                write!(f, "ABORTED({})", aborted.reason)?;
                match &aborted.message {
                    Some(message) => write!(f, ": {message}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Outcome {
    /// Removes the error type if the outcome is a client disconnect.
    pub(crate) fn without_disconnect_error(mut self) -> Self {
        if let Self::Aborted(aborted) = &mut self
            && reason::is_disconnect(aborted.reason)
        {
            aborted.error_type = None;
        }
        self
    }

    /// Bounds the strings from the operator's classification. Error type, message and code are truncated. An empty
    /// reason or error type gets a default, and an empty message or code is removed.
    pub(crate) fn bounded(mut self) -> Self {
        if let Self::Aborted(aborted) = &mut self {
            if aborted.reason.is_empty() {
                aborted.reason = reason::EXCEPTION;
            }
            if let Some(error_type) = &mut aborted.error_type {
                if error_type.is_empty() {
                    *error_type = Cow::Borrowed("_OTHER");
                } else if truncate(error_type).len() < error_type.len() {
                    *error_type = Cow::Owned(truncate(error_type).to_owned());
                }
            }
            if let Some(message) = &mut aborted.message {
                message.truncate(truncate(message).len());
            }
            aborted.message.take_if(|message| message.is_empty());
            if let Some(code) = &mut aborted.code {
                code.truncate(truncate(code).len());
            }
            aborted.code.take_if(|code| code.is_empty());
        }
        self
    }
}

/// The reason why a response is aborted, and whether it is an error.
///
/// ```
/// use tower_api_span::Aborted;
///
/// let aborted = Aborted::new("quota").with_error_type("quota").with_message("used up");
/// assert_eq!(aborted.reason, "quota");
/// assert_eq!(aborted.error_type.as_deref(), Some("quota"));
/// assert_eq!(aborted.message.as_deref(), Some("used up"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Aborted {
    /// Attribute `reason` of the event and `api.abort.reason` of the span.
    pub reason: &'static str,
    /// Attribute `error.type`. If it is present, the span's status is Error, otherwise Unset.
    pub error_type: Option<Cow<'static, str>>,
    /// Attribute `error` of the event and, if the span's status is Error, the description of the status.
    pub message: Option<String>,
    /// Attribute `code` of the event and `api.error.code` of the span: the code of a failure in the response.
    pub code: Option<String>,
}

impl Aborted {
    /// Creates an abort that is not an error: the span's status stays Unset.
    #[must_use]
    pub fn new(reason: &'static str) -> Self {
        Self {
            reason,
            error_type: None,
            message: None,
            code: None,
        }
    }

    /// Sets the error type, of low cardinality: the span's status becomes Error.
    #[must_use]
    pub fn with_error_type(mut self, error_type: impl Into<Cow<'static, str>>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// Sets the message.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets the code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Truncates the message to so many bytes, and removes it if nothing is left.
    pub(crate) fn limit_message(&mut self, bytes: usize) {
        if let Some(message) = &mut self.message {
            message.truncate(truncate_to(message, bytes).len());
        }
        self.message.take_if(|message| message.is_empty());
    }

    /// Creates an error whose type is the reason.
    pub(crate) fn error(reason: &'static str) -> Self {
        Self::new(reason).with_error_type(reason)
    }
}
