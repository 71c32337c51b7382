//! Reads HTTP, gRPC and event streams: their heads, bytes and trailers.
//!
//! Everything here is pure: no clock, no globals, no current context, no callbacks. OpenTelemetry
//! appears only in the types of attribute values and span contexts. Imports `propagation` and `text`,
//! and nothing above: no settings, no recording, no exchange.

mod digits;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod sse;
