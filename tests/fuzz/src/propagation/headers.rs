//! The headers of a request: as an input has them, as a propagator must read them, and as the handler must get them.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry_http::HeaderInjector;

use super::{Kind, Settings};
use crate::traceparent::strict;

/// The names of headers, by letters from `a`.
const NAMES: [&str; 26] = [
    "traceparent",
    "tracestate",
    "baggage",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-sampled",
    "x-b3-flags",
    "x-b3-parentspanid",
    "uber-trace-id",
    "uberctx-k",
    "uberctx-l",
    "x-amzn-trace-id",
    "_x_amzn_trace_id",
    "x-trace",
    "x-ctx-k",
    "x-old",
    "x-older",
    "x-cloud-trace-context",
    "x-datadog-trace-id",
    "grpc-trace-bin",
    "sentry-trace",
    "ot-tracer-traceid",
    "authorization",
    "x-other",
    "x-b3-other",
];

/// Those of the application: no propagator but its own reads them.
const OF_APPLICATION: [&str; 6] = [
    "x-trace",
    "x-ctx-k",
    "x-old",
    "x-older",
    "authorization",
    "x-other",
];

/// Parses lines of headers. The first byte of each selects the name.
pub fn parse(input: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(24) {
        let Some((name, value)) = line.split_first() else {
            continue;
        };
        let name = NAMES[usize::from(name.wrapping_sub(b'a')) % NAMES.len()];
        if let Ok(value) = HeaderValue::from_bytes(value) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// Returns the headers from which a propagator itself extracts what the layer must find: without a malformed or
/// repeated `traceparent`, and with lists in one line.
pub fn as_the_sdk_should_read(headers: &HeaderMap) -> HeaderMap {
    let has_parent = strict::expected(headers).is_some();
    let mut read = HeaderMap::new();
    // The names in their order: Jaeger's propagator reads baggage in it.
    for name in headers.keys() {
        let list = match name.as_str() {
            "traceparent" | "tracestate" if !has_parent => continue,
            "tracestate" => strict::state_members(headers),
            "baggage" => {
                strict::has_text(headers, "baggage").then(|| strict::list(headers, "baggage"))
            }
            _ => {
                let lines = headers.get_all(name).iter();
                read.extend(lines.map(|line| (name.clone(), line.clone())));
                continue;
            }
        };
        if let Some(list) = list {
            let list = HeaderValue::try_from(list).expect("text");
            read.insert(name.clone(), list);
        }
    }
    read
}

/// Returns the headers that a propagator writes, without empty ones.
pub fn injected(propagator: &dyn TextMapPropagator, context: &Context) -> HeaderMap {
    let mut all = HeaderMap::new();
    propagator.inject_context(context, &mut HeaderInjector(&mut all));
    let filled = all.iter().filter(|(_, value)| !value.is_empty());
    filled
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Returns the headers that the handler must get. `written` are those of the request's own context, if it has one.
pub fn expected(headers: &HeaderMap, written: Option<HeaderMap>, settings: &Settings) -> HeaderMap {
    if !settings.is_propagated || (written.is_none() && !settings.is_public) {
        return headers.clone();
    }
    let stays = |name: &str| match name {
        "baggage" => !settings.is_public,
        "x-trace" => settings.kind != Kind::OtherNames,
        _ => OF_APPLICATION.contains(&name),
    };
    let mut expected = written.unwrap_or_default();
    for name in headers.keys().filter(|name| stays(name.as_str())) {
        expected.remove(name);
        for line in headers.get_all(name) {
            expected.append(name.clone(), line.clone());
        }
    }
    expected
}

/// Removes the headers of an untrusted caller that the propagator alone knows, but does not declare. They are removed
/// only if the propagator would find the caller by them.
pub fn remove_undeclared(headers: &mut HeaderMap, settings: &Settings) {
    let names: &[&str] = match settings.kind {
        Kind::OtherNames => &["x-ctx-k"],
        Kind::Renamed => &["x-old", "x-older"],
        Kind::Known | Kind::W3c => &[],
    };
    for name in names.iter().filter(|_| settings.is_public) {
        headers.remove(*name);
    }
}
