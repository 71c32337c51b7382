//! The end of a response, the handler's verdict on it, and the outcome that follows from both.
//!
//! All functions are pure. None of them writes to a span.

pub(crate) mod attribute_map;
mod classify;
pub(crate) mod completion;
pub(crate) mod disconnect;
pub(crate) mod end;
pub(crate) mod error_kind;
pub(crate) mod lifecycle;
pub(crate) mod method_evidence;
pub(crate) mod reason;

mod aborted;
mod verdict;

pub use aborted::{Aborted, Outcome};
pub use classify::classify;
pub use completion::Completion;
pub use end::{End, Stage};
pub use verdict::Verdict;
