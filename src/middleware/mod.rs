//! What tower and http-body call: the service, its response future, the response body, and the
//! wrapper for request bodies.
//!
//! These files forward calls and report what they saw to [`exchange`](crate::exchange). They decide
//! nothing about spans, metrics or outcomes, and name no provider.

pub(crate) mod body;
pub(crate) mod future;
pub(crate) mod in_context;
pub(crate) mod request_body;
pub(crate) mod service;
