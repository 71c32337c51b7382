//! How a response ended, the handler's verdict on it, and the outcome that both come to.
//!
//! Everything here is pure. Nothing here writes to a span.

pub(crate) mod classify;
pub(crate) mod end;
pub(crate) mod error_kind;
pub(crate) mod lifecycle;
pub(crate) mod reason;

mod aborted;

pub use aborted::{Aborted, Outcome};
pub use classify::classify;
pub use end::{End, Head, Stage, Verdict};
