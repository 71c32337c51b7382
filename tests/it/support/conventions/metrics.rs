//! Checks metrics of the layer against the semantic conventions: HTTP and RPC 1.45.0, generative AI
//! 1.42.0, and the layer's own table for `api.*`.
//!
//! `rpc.status_code` is not required here, see [`super`].

use opentelemetry::KeyValue;

use super::{Faults, TEST_KEY_PREFIX, keys, members};
use crate::support::meters::{Measured, Series};

/// The definition of a metric in the conventions.
struct Rule {
    name: &'static str,
    unit: &'static str,
    is_histogram: bool,
    required: &'static [&'static str],
    /// Further attributes that are allowed.
    optional: &'static [&'static str],
}

const HTTP: [&str; 2] = ["http.request.method", "url.scheme"];
const HTTP_MORE: [&str; 4] = [
    "error.type",
    "http.response.status_code",
    "http.route",
    "network.protocol.version",
];
const RPC: [&str; 2] = ["rpc.method", "rpc.system.name"];
const RPC_MORE: [&str; 2] = ["error.type", "rpc.status_code"];
const GEN_AI: [&str; 2] = ["gen_ai.operation.name", "gen_ai.provider.name"];
const GEN_AI_MODELS: [&str; 2] = ["gen_ai.request.model", "gen_ai.response.model"];
const GEN_AI_MORE: [&str; 3] = ["error.type", GEN_AI_MODELS[0], GEN_AI_MODELS[1]];

const RULES: [Rule; 8] = [
    histogram("http.server.request.duration", "s", &HTTP, &HTTP_MORE),
    histogram("http.server.request.body.size", "By", &HTTP, &HTTP_MORE),
    histogram("http.server.response.body.size", "By", &HTTP, &HTTP_MORE),
    Rule {
        is_histogram: false,
        ..histogram("http.server.active_requests", "{request}", &HTTP, &[])
    },
    histogram("rpc.server.call.duration", "s", &RPC, &RPC_MORE),
    histogram("gen_ai.server.request.duration", "s", &GEN_AI, &GEN_AI_MORE),
    histogram(
        "gen_ai.server.time_to_first_token",
        "s",
        &GEN_AI,
        &GEN_AI_MODELS,
    ),
    histogram(
        "gen_ai.server.time_per_output_token",
        "s",
        &GEN_AI,
        &GEN_AI_MODELS,
    ),
];

const OWN: [&str; 2] = ["api.server.time_to_first_byte", "api.server.time_to_head"];

/// The layer's own attribute, allowed on all histograms except those of generative AI.
const STREAM: &str = "api.stream";

const fn histogram(
    name: &'static str,
    unit: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> Rule {
    Rule {
        name,
        unit,
        is_histogram: true,
        required,
        optional,
    }
}

/// Returns the violations in a series of the layer. Empty if it follows the conventions.
pub fn faults(series: &Series) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    let rule = match RULES.iter().find(|rule| rule.name == series.metric) {
        Some(rule) => rule,
        // The own metrics cover HTTP requests and gRPC calls.
        None if OWN.contains(&&*series.metric) => {
            let is_call = series.get("rpc.system.name").is_some();
            &RULES[if is_call { 4 } else { 0 }]
        }
        None => return vec![format!("the metric {} is in no table", series.metric)],
    };
    faults.unless(rule.unit == series.unit, || {
        format!("the unit is {}, expected {}", series.unit, rule.unit)
    });
    let is_histogram = matches!(series.measured, Measured::Histogram { .. });
    faults.unless(is_histogram == rule.is_histogram, || {
        format!("{:?}", series.measured)
    });
    for key in rule.required {
        faults.unless(series.get(key).is_some(), || format!("{key} is missing"));
    }
    let mut last = "";
    for attribute in &series.attributes {
        let key = attribute.key.as_str();
        faults.unless(key != last, || format!("{key} appears twice"));
        last = key;
        let is_stream = key == STREAM && rule.is_histogram && !rule.name.starts_with("gen_ai.");
        let is_allowed = rule.required.contains(&key)
            || rule.optional.contains(&key)
            || rule.is_histogram && key.starts_with(TEST_KEY_PREFIX);
        faults.unless(is_allowed || is_stream, || format!("{key} is not allowed"));
        keys(attribute, &mut faults);
        // On metrics, an unknown scheme is `_OTHER`.
        if *attribute != KeyValue::new("url.scheme", "_OTHER") {
            members(attribute, &mut faults);
        }
    }
    faults.0
}
