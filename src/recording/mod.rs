//! What is known of one request: at its start, while its span is open, and at its end.
//!
//! Data, and the locks around it. Nothing here reads settings, calls a user's callback or decides
//! what an end means.

pub(crate) mod attribute_map;
pub(crate) mod buffer;
pub(crate) mod clock;
pub(crate) mod completion;
pub(crate) mod shared_span;
