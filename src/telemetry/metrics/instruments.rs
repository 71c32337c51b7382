//! The instruments: names, units and bucket boundaries.
//!
//! The instruments of HTTP and gRPC follow the semantic conventions 1.45.0, those of language models 1.42.0. The
//! prefix `api.` marks two of this crate's own.

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

/// Seconds, by the conventions for HTTP and RPC.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Bytes, from 64 B to 256 MiB. The conventions define no boundaries for sizes.
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

/// Seconds for the whole response of a language model.
const GENERATION: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];

/// Seconds to the first token.
const FIRST_TOKEN: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Seconds for each further token.
const PER_TOKEN: [f64; 13] = [
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];

/// A histogram as it is exported.
struct Definition<'a> {
    name: &'static str,
    description: &'static str,
    boundaries: &'a [f64],
}

const HTTP_DURATION: Definition<'_> = Definition {
    name: "http.server.request.duration",
    description: "From the arrival of an HTTP request to the end of its response.",
    boundaries: &SECONDS,
};

const RPC_DURATION: Definition<'_> = Definition {
    name: "rpc.server.call.duration",
    description: "From the arrival of a call to the end of its response.",
    boundaries: &SECONDS,
};

const REQUEST_BODY_SIZE: Definition<'_> = Definition {
    name: "http.server.request.body.size",
    description: "Bytes of request bodies.",
    boundaries: &BYTES,
};

const RESPONSE_BODY_SIZE: Definition<'_> = Definition {
    name: "http.server.response.body.size",
    description: "Bytes of response bodies that were returned to the server.",
    boundaries: &BYTES,
};

const TIME_TO_HEAD: Definition<'_> = Definition {
    name: "api.server.time_to_head",
    description: "From the arrival of a request to the head of its response.",
    boundaries: &SECONDS,
};

const TIME_TO_FIRST_BYTE: Definition<'_> = Definition {
    name: "api.server.time_to_first_byte",
    description: "From the arrival of a request to the first byte of its response's body.",
    boundaries: &SECONDS,
};

const GEN_AI_DURATION: Definition<'_> = Definition {
    name: "gen_ai.server.request.duration",
    description: "From the arrival of a request to a language model to the end of its response.",
    boundaries: &GENERATION,
};

const GEN_AI_FIRST_TOKEN: Definition<'_> = Definition {
    name: "gen_ai.server.time_to_first_token",
    description: "From the arrival of a request to the first token of its response.",
    boundaries: &FIRST_TOKEN,
};

const GEN_AI_PER_TOKEN: Definition<'_> = Definition {
    name: "gen_ai.server.time_per_output_token",
    description: "For each token of a response after the first.",
    boundaries: &PER_TOKEN,
};

/// All instruments of a layer. An instrument without measurements is not exported.
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
        Self {
            http_duration: seconds(meter, &HTTP_DURATION),
            rpc_duration: seconds(meter, &RPC_DURATION),
            active_requests: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Requests whose responses have not ended.")
                .build(),
            request_body_size: bytes(meter, &REQUEST_BODY_SIZE),
            response_body_size: bytes(meter, &RESPONSE_BODY_SIZE),
            time_to_head: seconds(meter, &TIME_TO_HEAD),
            time_to_first_byte: seconds(meter, &TIME_TO_FIRST_BYTE),
            gen_ai_duration: seconds(meter, &GEN_AI_DURATION),
            gen_ai_first_token: seconds(meter, &GEN_AI_FIRST_TOKEN),
            gen_ai_per_token: seconds(meter, &GEN_AI_PER_TOKEN),
        }
    }
}

fn seconds(meter: &Meter, definition: &Definition<'_>) -> Histogram<f64> {
    meter
        .f64_histogram(definition.name)
        .with_unit("s")
        .with_description(definition.description)
        .with_boundaries(definition.boundaries.to_vec())
        .build()
}

fn bytes(meter: &Meter, definition: &Definition<'_>) -> Histogram<u64> {
    meter
        .u64_histogram(definition.name)
        .with_unit("By")
        .with_description(definition.description)
        .with_boundaries(definition.boundaries.to_vec())
        .build()
}
