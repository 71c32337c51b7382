//! What a request has come to.

use std::borrow::Cow;
use std::fmt;

use crate::outcome::reason;
use crate::text::truncate;

/// What a request has come to.
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
    /// The whole message was returned, and neither its status nor the handler reported a failure: event
    /// `api.DEPARTED`, status Unset.
    Departed,
    /// Anything else: event `api.ABORTED`.
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
    /// Turns a client's leaving into no error. Other outcomes stay as they are.
    pub(crate) fn without_disconnect_error(mut self) -> Self {
        if let Self::Aborted(aborted) = &mut self
            && reason::is_disconnect(aborted.reason)
        {
            aborted.error_type = None;
        }
        self
    }

    /// Makes what a user's classification returned fit to be written: no string is empty or longer than
    /// 1,024 bytes.
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
        }
        self
    }
}

/// Why a response is aborted, and whether that is an error.
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
    /// Attribute `error.type`. With it the span's status is Error, without it Unset.
    pub error_type: Option<Cow<'static, str>>,
    /// Attribute `error` of the event and, if the status is Error, its description.
    pub message: Option<String>,
}

impl Aborted {
    /// Makes an abort that is not an error: the span's status stays Unset.
    #[must_use]
    pub fn new(reason: &'static str) -> Self {
        Self {
            reason,
            error_type: None,
            message: None,
        }
    }

    /// Makes it an error of this type, of low cardinality: the span's status becomes Error.
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

    /// Makes an error whose type is the reason.
    pub(crate) fn error(reason: &'static str) -> Self {
        Self::new(reason).with_error_type(reason)
    }
}
