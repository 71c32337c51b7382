//! HTTP: message lengths, methods, authorities, queries, captured headers, proxies' headers and the
//! headers that return trace ids to the caller.

pub(crate) mod authority;
pub(crate) mod captured;
pub(crate) mod content_type;
pub(crate) mod forwarded;
pub(crate) mod methods;
pub(crate) mod progress;
pub(crate) mod query;
pub(crate) mod trace_headers;
