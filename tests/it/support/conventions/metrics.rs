//! Metrics of the layer held against the semantic conventions: HTTP and RPC by 1.45.0, generative AI
//! by 1.42.0, and what begins with `api.` by our own.
//!
//! Not required, though the conventions do: `rpc.status_code` where there was no code, see above.

use opentelemetry::KeyValue;

use super::{Faults, keys, members};
use crate::support::meters::{Measured, Series};

/// What the conventions say of a metric.
struct Rule {
    name: &'static str,
    unit: &'static str,
    is_histogram: bool,
    required: &'static [&'static str],
    /// What else there may be.
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

/// The layer's own attribute, on all but the metrics of generative AI and the number of requests.
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

/// What is wrong with a series of the layer; empty if it is as the conventions have it.
pub fn faults(series: &Series) -> Vec<String> {
    let mut faults = Faults(Vec::new());
    let rule = match RULES.iter().find(|rule| rule.name == series.metric) {
        Some(rule) => rule,
        // Of requests of HTTP and of gRPC alike.
        None if OWN.contains(&&*series.metric) => {
            let is_call = series.get("rpc.system.name").is_some();
            &RULES[if is_call { 4 } else { 0 }]
        }
        None => return vec![format!("the metric {} is on no list", series.metric)],
    };
    faults.unless(rule.unit == series.unit, || {
        format!("the unit {}, and not {}", series.unit, rule.unit)
    });
    let is_histogram = matches!(series.measured, Measured::Histogram { .. });
    faults.unless(is_histogram == rule.is_histogram, || {
        format!("{:?}", series.measured)
    });
    for key in rule.required {
        faults.unless(series.get(key).is_some(), || format!("{key} is not there"));
    }
    let mut last = "";
    for attribute in &series.attributes {
        let key = attribute.key.as_str();
        faults.unless(key != last, || format!("{key} is there twice"));
        last = key;
        let is_stream = key == STREAM && rule.is_histogram && !rule.name.starts_with("gen_ai.");
        let is_allowed = rule.required.contains(&key) || rule.optional.contains(&key);
        faults.unless(is_allowed || is_stream, || format!("{key} is there"));
        keys(attribute, &mut faults);
        // A scheme that is none is not told on spans either, but as it came.
        if *attribute != KeyValue::new("url.scheme", "_OTHER") {
            members(attribute, &mut faults);
        }
    }
    faults.0
}
