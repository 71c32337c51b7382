//! The data of one request: from its start, while its span is open, and at its end. One file has the gRPC methods
//! that a layer has learnt from earlier requests.
//!
//! The folder has data and the locks around it. It reads no setting, calls no callback of the operator and
//! decides no outcome.

pub(crate) mod buffer;
pub(crate) mod clock;
pub(crate) mod context_span;
pub(crate) mod end_span;
pub(crate) mod ended_request;
pub(crate) mod learnt_methods;
pub(crate) mod learnt_models;
pub(crate) mod measured;
pub(crate) mod name_set;
mod recorded;
pub(crate) mod request_end;
pub(crate) mod request_info;
#[cfg(feature = "tracing")]
pub(crate) mod request_tracer;
pub(crate) mod shared_span;
mod trace_state;
pub(crate) mod written_keys;
