//! Telemetry fails, the request does not notice, and the span is ended once all the same.

mod curious;
mod hooks;
mod processor;
mod stack;
mod tracer;
mod unwinding;
