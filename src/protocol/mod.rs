//! Reads HTTP, gRPC and event streams: their heads, bytes and trailers.
//!
//! All code here is pure: it uses no clock, no globals, no current context and no callbacks. It uses
//! OpenTelemetry only for the types of attribute values and span contexts.

mod digits;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod sse;
