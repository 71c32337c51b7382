//! How a request is described in each signal: its span, its metrics, its log events.
//!
//! Each reads the request's info and its completion. None decides how a request ended.

pub(crate) mod logs;
pub(crate) mod metrics;
pub(crate) mod span;
