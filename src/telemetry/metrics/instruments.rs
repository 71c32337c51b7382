//! The instruments, made with a meter.

use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};

use super::boundaries::Boundaries;
use super::definitions::{
    Definition, GEN_AI_DURATION, GEN_AI_FIRST_TOKEN, GEN_AI_PER_TOKEN, HTTP_DURATION,
    REQUEST_BODY_SIZE, RESPONSE_BODY_SIZE, RPC_DURATION, TIME_TO_FIRST_BYTE, TIME_TO_HEAD,
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
    pub(super) fn new(meter: &Meter, boundaries: &Boundaries) -> Self {
        let seconds = |definition| seconds(meter, definition, boundaries);
        let bytes = |definition| bytes(meter, definition, boundaries);
        Self {
            http_duration: seconds(&HTTP_DURATION),
            rpc_duration: seconds(&RPC_DURATION),
            active_requests: meter
                .i64_up_down_counter("http.server.active_requests")
                .with_unit("{request}")
                .with_description("Requests whose responses have not ended.")
                .build(),
            request_body_size: bytes(&REQUEST_BODY_SIZE),
            response_body_size: bytes(&RESPONSE_BODY_SIZE),
            time_to_head: seconds(&TIME_TO_HEAD),
            time_to_first_byte: seconds(&TIME_TO_FIRST_BYTE),
            gen_ai_duration: seconds(&GEN_AI_DURATION),
            gen_ai_first_token: seconds(&GEN_AI_FIRST_TOKEN),
            gen_ai_per_token: seconds(&GEN_AI_PER_TOKEN),
        }
    }
}

fn seconds(meter: &Meter, definition: &Definition<'_>, boundaries: &Boundaries) -> Histogram<f64> {
    meter
        .f64_histogram(definition.name)
        .with_unit("s")
        .with_description(definition.description)
        .with_boundaries(boundaries.of(definition.name, definition.boundaries))
        .build()
}

fn bytes(meter: &Meter, definition: &Definition<'_>, boundaries: &Boundaries) -> Histogram<u64> {
    meter
        .u64_histogram(definition.name)
        .with_unit("By")
        .with_description(definition.description)
        .with_boundaries(boundaries.of(definition.name, definition.boundaries))
        .build()
}
