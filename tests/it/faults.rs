//! Telemetry fails, the request does not notice, and the span is ended once all the same.

mod hooks;
mod processor;
mod tracer;
mod unwinding;
