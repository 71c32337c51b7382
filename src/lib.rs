//! One OpenTelemetry SERVER span per request, ended exactly once, at the true end of the response.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod attributes;
mod body;
mod config;
mod contain;
mod delivery;
mod future;
mod grpc;
mod handle;
mod inside;
mod layer;
mod outcome;
mod propagation;
mod semconv;
mod service;
mod slot;
mod span;
mod timeline;
mod tracer;

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use grpc::{GrpcCode, GrpcStatus, Protocol};
pub use handle::SpanHandle;
pub use layer::ApiSpanLayer;
pub use outcome::{Aborted, End, Head, Outcome, Stage, Verdict, classify};
pub use service::ApiSpan;
