//! What is known of one request: at its start, while its span is open, and at its end.
//!
//! Data, and the locks around it. Nothing here reads a setting, calls a user's callback or decides what
//! an end means.

pub(crate) mod attribute_map;
pub(crate) mod buffer;
pub(crate) mod clock;
pub(crate) mod context_span;
pub(crate) mod ended_request;
pub(crate) mod request_info;
pub(crate) mod shared_span;
pub(crate) mod written_keys;
