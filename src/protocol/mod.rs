//! What HTTP, gRPC and event streams mean, read from heads and bytes.
//!
//! Everything here is pure: no clock, no global, no current context, no callback of the user's, and
//! nothing of OpenTelemetry but the types of attribute values.

mod digits;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod sse;
