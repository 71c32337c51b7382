//! HTTP: message lengths, content types, methods, authorities, queries, captured headers, proxy
//! headers, and the response headers that carry the trace. It has no code for gRPC or event streams.

pub(crate) mod authority;
pub(crate) mod captured;
pub(crate) mod content_type;
pub(crate) mod forwarded;
pub(crate) mod methods;
pub(crate) mod progress;
pub(crate) mod query;
pub(crate) mod request_start;
pub(crate) mod trace_headers;
