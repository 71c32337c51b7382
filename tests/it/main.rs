//! The tests of `tower-api-span` that see it from outside, in one binary.
#![allow(
    unreachable_pub,
    reason = "support is a module of this binary, and `pub` says what it is for"
)]
#![allow(
    clippy::type_complexity,
    clippy::wildcard_enum_match_arm,
    reason = "a test fails on what it does not expect"
)]

mod budgets;
mod builders;
mod completion;
mod concurrency;
mod connect_protocol;
mod contexts;
mod conventions;
mod errors;
mod faults;
mod grpc_detection;
mod grpc_methods;
mod grpc_web;
mod handle;
mod hostile;
mod llm;
mod load;
mod logs;
mod matrix;
mod metrics;
mod other_middleware;
mod otlp;
mod places;
mod propagators;
mod properties;
mod readiness;
mod reports;
mod request_body;
mod rewritten_targets;
mod settings;
mod states;
mod support;
mod trace_headers;
mod tracing_output;
mod tracing_spans;
mod types;
mod wire;
