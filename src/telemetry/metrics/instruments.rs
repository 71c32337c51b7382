//! The instruments: names, units and buckets. HTTP and gRPC by the semantic conventions 1.45.0, those of
//! language models by 1.42.0, and two of our own.

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

/// Seconds, as the conventions have them for HTTP and RPC.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Bytes, in steps of four, from 64 to 256 MiB: the conventions have none.
const BYTES: [f64; 12] = [
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];

/// Seconds that a language model takes for all of an answer.
const GENERATION: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Seconds to its first token.
const FIRST_TOKEN: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Seconds for each token after it.
const PER_TOKEN: [f64; 13] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];

/// All instruments of a layer. One that is not used is not exported.
pub(crate) struct Instruments {
    pub(super) http_duration: Histogram<f64>,
    pub(super) rpc_duration: Histogram<f64>,
    pub(super) active_requests: UpDownCounter<i64>,
    pub(super) request_body_size: Histogram<u64>,
    pub(super) response_body_size: Histogram<u64>,
    pub(super) time_to_head: Histogram<f64>,
    pub(super) time_to_first_byte: Histogram<f64>,
    pub(super) gen_ai_duration: Histogram<f64>,
    pub(super) gen_ai_first_token: Histogram<f64>,
    pub(super) gen_ai_per_token: Histogram<f64>,
}

impl Instruments {
    pub(super) fn new(meter: &Meter) -> Self {
        let seconds = |name, buckets: &[f64], description| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(buckets.to_vec())
                .build()
        };
        let bytes = |name, description| {
            meter
                .u64_histogram(name)
                .with_unit("By")
                .with_description(description)
                .with_boundaries(BYTES.to_vec())
                .build()
        };
        Self {
            http_duration: seconds(
                "http.server.request.duration",
                &SECONDS,
                "From the arrival of an HTTP request to the end of its response.",
            ),
            rpc_duration: seconds(
                "rpc.server.call.duration",
                &SECONDS,
                "From the arrival of a call to the end of its response.",
            ),
            active_requests: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Requests whose responses have not ended.")
                .build(),
            request_body_size: bytes("http.server.request.body.size", "Bytes of request bodies."),
            response_body_size: bytes(
                "http.server.response.body.size",
                "Bytes of response bodies that were handed on.",
            ),
            time_to_head: seconds(
                "api.server.time_to_head",
                &SECONDS,
                "From the arrival of a request to the head of its response.",
            ),
            time_to_first_byte: seconds(
                "api.server.time_to_first_byte",
                &SECONDS,
                "From the arrival of a request to the first byte of its response's body.",
            ),
            gen_ai_duration: seconds(
                "gen_ai.server.request.duration",
                &GENERATION,
                "From the arrival of a request to a language model to the end of its response.",
            ),
            gen_ai_first_token: seconds(
                "gen_ai.server.time_to_first_token",
                &FIRST_TOKEN,
                "From the arrival of a request to the first token of its response.",
            ),
            gen_ai_per_token: seconds(
                "gen_ai.server.time_per_output_token",
                &PER_TOKEN,
                "For each token of a response after the first.",
            ),
        }
    }
}
