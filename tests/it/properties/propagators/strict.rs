//! The headers from which the bare propagator extracts what the layer must find: where W3C is stricter than the SDK,
//! they are what the SDK should have been given.

use http::HeaderMap;

use super::lines::Line;
use crate::propagators::headers;

/// The largest number of members of a `tracestate`.
const MAX_MEMBERS: usize = 32;

/// Returns the headers of these lines.
pub(super) fn sent(lines: &[Line]) -> HeaderMap {
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    headers(&lines)
}

/// Returns the headers that the SDK should be given.
pub(super) fn as_the_sdk_should_read(lines: &[Line]) -> HeaderMap {
    let of = |name: &str| {
        let lines = lines.iter().filter(|(other, _)| *other == name);
        lines.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
    };
    let mut read: Vec<_> = lines
        .iter()
        .filter(|(name, _)| !["traceparent", "tracestate", "baggage"].contains(name))
        .map(|(name, value)| (*name, value.clone()))
        .collect();
    if let [traceparent] = of("traceparent")[..]
        && is_traceparent(traceparent)
    {
        read.push(("traceparent", traceparent.to_owned()));
    }
    let state = of("tracestate").join(",");
    let members: Vec<_> = state
        .split(',')
        .map(|member| member.trim_matches([' ', '\t']))
        .collect();
    let members: Vec<_> = members
        .into_iter()
        .filter(|member| !member.is_empty())
        .collect();
    if (1..=MAX_MEMBERS).contains(&members.len()) {
        read.push(("tracestate", members.join(",")));
    }
    let baggage = of("baggage");
    if !baggage.is_empty() {
        read.push(("baggage", baggage.join(",")));
    }
    sent(&read)
}

/// Whether this is a `traceparent` by W3C Trace Context, level 1.
fn is_traceparent(value: &str) -> bool {
    let parts: Vec<_> = value.splitn(5, '-').collect();
    let (known, more) = parts.split_at(parts.len().min(4));
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
    };
    let is_id = |text: &str, digits| is_hex(text, digits) && text.bytes().any(|byte| byte != b'0');
    match known {
        [version, trace, span, flags] => {
            is_hex(version, 2)
                && *version != "ff"
                && is_id(trace, 32)
                && is_id(span, 16)
                && is_hex(flags, 2)
                && (more.is_empty() || *version != "00")
        }
        _ => false,
    }
}
