//! The types that tower and http-body call: the service, its response future, the response body, and the
//! wrapper of request bodies.
//!
//! They forward each call and report its result to [`exchange`](crate::exchange). They do not decide about
//! spans, metrics or outcomes, and use no provider.

pub(crate) mod body;
pub(crate) mod future;
pub(crate) mod in_context;
pub(crate) mod request_body;
pub(crate) mod service;
