//! The histograms: names, units and default bucket boundaries.
//!
//! The instruments of HTTP and gRPC follow the semantic conventions 1.45.0, those of language models 1.42.0. The
//! prefix `api.` marks two of this crate's own.

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
pub(super) struct Definition<'a> {
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) boundaries: &'a [f64],
}

pub(super) const HTTP_DURATION: Definition<'_> = Definition {
    name: "http.server.request.duration",
    description: "From the arrival of an HTTP request to the end of its response.",
    boundaries: &SECONDS,
};

pub(super) const RPC_DURATION: Definition<'_> = Definition {
    name: "rpc.server.call.duration",
    description: "From the arrival of a call to the end of its response.",
    boundaries: &SECONDS,
};

pub(super) const REQUEST_BODY_SIZE: Definition<'_> = Definition {
    name: "http.server.request.body.size",
    description: "Bytes of request bodies.",
    boundaries: &BYTES,
};

pub(super) const RESPONSE_BODY_SIZE: Definition<'_> = Definition {
    name: "http.server.response.body.size",
    description: "Bytes of response bodies that were returned to the server.",
    boundaries: &BYTES,
};

pub(super) const TIME_TO_HEAD: Definition<'_> = Definition {
    name: "api.server.time_to_head",
    description: "From the arrival of a request to the head of its response.",
    boundaries: &SECONDS,
};

pub(super) const TIME_TO_FIRST_BYTE: Definition<'_> = Definition {
    name: "api.server.time_to_first_byte",
    description: "From the arrival of a request to the first byte of its response's body.",
    boundaries: &SECONDS,
};

pub(super) const GEN_AI_DURATION: Definition<'_> = Definition {
    name: "gen_ai.server.request.duration",
    description: "From the arrival of a request to a language model to the end of its response.",
    boundaries: &GENERATION,
};

pub(super) const GEN_AI_FIRST_TOKEN: Definition<'_> = Definition {
    name: "gen_ai.server.time_to_first_token",
    description: "From the arrival of a request to the first token of its response.",
    boundaries: &FIRST_TOKEN,
};

pub(super) const GEN_AI_PER_TOKEN: Definition<'_> = Definition {
    name: "gen_ai.server.time_per_output_token",
    description: "For each token of a response after the first.",
    boundaries: &PER_TOKEN,
};

/// The names of all histograms.
pub(super) const HISTOGRAMS: [&str; 9] = [
    HTTP_DURATION.name,
    RPC_DURATION.name,
    REQUEST_BODY_SIZE.name,
    RESPONSE_BODY_SIZE.name,
    TIME_TO_HEAD.name,
    TIME_TO_FIRST_BYTE.name,
    GEN_AI_DURATION.name,
    GEN_AI_FIRST_TOKEN.name,
    GEN_AI_PER_TOKEN.name,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_lists_the_buckets_of_every_histogram() {
        let guide = include_str!("../../../docs/guide/attributes.md");
        for definition in [
            HTTP_DURATION,
            RPC_DURATION,
            REQUEST_BODY_SIZE,
            RESPONSE_BODY_SIZE,
            TIME_TO_HEAD,
            TIME_TO_FIRST_BYTE,
            GEN_AI_DURATION,
            GEN_AI_FIRST_TOKEN,
            GEN_AI_PER_TOKEN,
        ] {
            let boundaries = definition.boundaries.iter().map(ToString::to_string);
            let cell = format!("| {} |", boundaries.collect::<Vec<_>>().join(", "));
            let name = format!("`{}`", definition.name);
            let mut lines = guide.lines();
            let has_row = lines.any(|line| line.contains(&name) && line.ends_with(&cell));
            assert!(has_row, "{name}: {cell}");
        }
    }
}
