//! Reads HTTP, gRPC, event streams, JSON and the answers of language models: their heads, bytes and trailers.
//!
//! All code here is pure: it uses no clock, no globals, no current context and no callbacks. It uses
//! OpenTelemetry only for the types of attribute values and span contexts.

mod digits;
pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod json;
pub(crate) mod llm;
pub(crate) mod sse;
