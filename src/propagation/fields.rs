//! The names of the headers that carry a trace context.

use http::HeaderMap;

pub(super) const TRACEPARENT: &str = "traceparent";
pub(super) const TRACESTATE: &str = "tracestate";
pub(super) const BAGGAGE: &str = "baggage";

/// The headers by which a released propagator for OpenTelemetry finds a caller.
const NAMES: [&str; 9] = [
    TRACEPARENT,
    TRACESTATE,
    // B3
    "b3",
    // Jaeger
    "uber-trace-id",
    // AWS X-Ray. Its propagator also reads the name of the environment variable of AWS Lambda.
    "x-amzn-trace-id",
    "_x_amzn_trace_id",
    // Google Cloud
    "x-cloud-trace-context",
    // OpenCensus over gRPC
    "grpc-trace-bin",
    "sentry-trace",
];

/// The prefixes of such headers.
const PREFIXES: [&str; 4] = [
    "x-b3-",
    // Jaeger's baggage. Its propagator reads it into the trace state.
    "uberctx-",
    "x-datadog-",
    // OpenTracing
    "ot-tracer-",
];

/// Removes the trace headers of all known formats. Baggage stays, unless it is part of the trace state.
pub(super) fn remove_trace_headers(headers: &mut HeaderMap) {
    let is_of_trace = |name: &str| {
        NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let found = headers.keys().filter(|name| is_of_trace(name.as_str()));
    let found: Vec<_> = found.cloned().collect();
    for name in found {
        headers.remove(name);
    }
}
