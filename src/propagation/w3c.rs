//! Extracts W3C Trace Context without the SDK's propagator.
//!
//! The layer parses these headers anyway to check them. If its propagator is the SDK's, the parsed values are used,
//! and the propagator does not parse the headers again.

use std::collections::BTreeSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use memchr::memchr_iter;
use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};

use crate::catch_panic::catch_panic;
use crate::propagation::extracted::Extracted;
use crate::propagation::recording_extractor::RecordingExtractor;
use crate::propagation::sampling::Rate;
use crate::propagation::strict_headers::{joined_tracestate, single_traceparent};
use crate::propagation::traceparent::Traceparent;

/// Returns the context that the SDK's propagator would extract, without calling it.
#[inline]
pub(super) fn extract_w3c(headers: &HeaderMap, current: &Context, rate: Rate) -> Option<Extracted> {
    let traceparent = Traceparent::parse(single_traceparent(headers)?.as_bytes())?;
    if traceparent.is_in_trace_of(current.span().span_context()) {
        return None;
    }
    let Traceparent {
        trace_id, span_id, ..
    } = traceparent;
    let is_sampled_out = traceparent.is_sampled && !rate.keeps(trace_id);
    let flags = if traceparent.is_sampled && !is_sampled_out {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::NOT_SAMPLED
    };
    let state = joined_tracestate(headers).map_or(TraceState::NONE, |list| parse_tracestate(&list));
    let caller = SpanContext::new(trace_id, span_id, flags, true, state);
    Some(Extracted {
        context: current.with_remote_span_context(caller),
        is_only_span: true,
        is_sampled_out,
    })
}

/// Returns the members of a list. If one is malformed, there are none.
///
/// The result is that of the API's `from_str` in version 0.33.1, which copies each member twice.
fn parse_tracestate(list: &str) -> TraceState {
    let mut is_malformed = false;
    let ends = memchr_iter(b',', list.as_bytes()).chain([list.len()]);
    let mut start = 0;
    let members = ends.filter_map(|end| {
        let member = list[start..end].trim_matches([' ', '\t']);
        start = end + 1;
        if member.is_empty() {
            return None;
        }
        let Some(equals) = member.bytes().position(|byte| byte == b'=') else {
            is_malformed = true;
            return None;
        };
        Some((&member[..equals], member[equals..].trim_start_matches('=')))
    });
    let state = TraceState::from_key_value(members);
    if is_malformed {
        return TraceState::NONE;
    }
    state.unwrap_or_default()
}

/// Whether a propagator is the SDK's for W3C Trace Context, so that [`extract_w3c`] can replace it.
///
/// The library does not depend on the SDK, so the type's name is compared. A type with the same name may behave
/// differently, as in another version. So its results are compared as well.
pub(super) fn is_sdks_w3c<P: TextMapPropagator>(propagator: &P) -> bool {
    has_sdks_name(std::any::type_name::<P>())
        && catch_panic(|| answers_like_w3c(propagator)).unwrap_or(false)
}

fn has_sdks_name(type_name: &str) -> bool {
    type_name == "opentelemetry_sdk::propagation::trace_context::TraceContextPropagator"
}

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
/// The sampled flag, and the one that level 2 adds.
const OTHER_FLAGS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03";
const LATER_VERSION: &str = "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";

/// The headers of requests that another propagator might read otherwise.
const PROBES: [&[(&str, &str)]; 8] = [
    &[],
    &[("traceparent", SAMPLED)],
    &[("traceparent", UNSAMPLED), ("tracestate", "a=1,b=2")],
    // Version 0.32 discards these two lists.
    &[("traceparent", SAMPLED), ("tracestate", "a=1, b=2")],
    &[("traceparent", SAMPLED), ("tracestate", "a=1,,b=2")],
    &[
        ("traceparent", OTHER_FLAGS),
        ("tracestate", "malformed,a=1"),
    ],
    &[("traceparent", LATER_VERSION)],
    &[("b3", "0"), ("baggage", "k=v"), ("traceparent", SAMPLED)],
];

/// Whether a propagator reads W3C's headers and no others, and makes of them what [`extract_w3c`] does.
pub(super) fn answers_like_w3c(propagator: &dyn TextMapPropagator) -> bool {
    let fields: BTreeSet<_> = propagator.fields().collect();
    fields == BTreeSet::from(["traceparent", "tracestate"])
        && PROBES.iter().all(|probe| answers_one(propagator, probe))
}

fn answers_one(propagator: &dyn TextMapPropagator, probe: &[(&'static str, &'static str)]) -> bool {
    /// In the current context, as baggage may be.
    #[derive(Debug)]
    struct Kept;

    let headers: HeaderMap = probe
        .iter()
        .map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        })
        .collect();
    let current = Context::new().with_value(Kept);
    let recorder = RecordingExtractor::new(&headers);
    let extracted = propagator.extract_with_context(&current, &recorder);
    let expected = extract_w3c(&headers, &current, Rate::ALL);
    let expected = expected.map_or(current, |caller| caller.context);
    let reads_w3c = |name: &String| ["traceparent", "tracestate"].contains(&name.as_str());
    recorder.into_read().iter().all(reads_w3c)
        && extracted.get::<Kept>().is_some()
        && extracted.span().span_context() == expected.span().span_context()
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use opentelemetry::propagation::text_map_propagator::FieldIter;
    use opentelemetry::propagation::{Extractor, Injector};
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

    use super::*;

    #[test]
    fn a_tracestate_is_parsed_as_by_the_api() {
        for (list, members) in [
            ("a=1", "a=1"),
            ("a=1,b=2", "a=1,b=2"),
            (" a=1 ,\tb=2\t", "a=1,b=2"),
            (",a=1,,b=2,", "a=1,b=2"),
            ("a==1", "a=1"),
            ("a= 1", "a= 1"),
            ("a=", "a="),
            ("=1", "=1"),
            ("a=ä", "a=ä"),
            ("a@vendor=x:y;z", "a@vendor=x:y;z"),
            // Malformed.
            ("a", ""),
            ("a=1,b", ""),
            ("A=1", ""),
            ("a=1=2", ""),
            ("a b=1", ""),
            ("", ""),
            (" , ", ""),
        ] {
            let parsed = parse_tracestate(list);
            assert_eq!(parsed.header(), members, "{list:?}");
            let by_api = TraceState::from_str(list).unwrap_or_default();
            assert_eq!(parsed, by_api, "{list:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_tracestate_is_parsed_as_by_the_api(list in "[a-c@=, \t\u{e4}A0]{0,24}") {
            let by_api = TraceState::from_str(&list).unwrap_or_default();
            proptest::prop_assert_eq!(parse_tracestate(&list), by_api);
        }
    }

    #[test]
    fn sdks_propagator_is_detected() {
        assert!(is_sdks_w3c(&TraceContextPropagator::new()));
        assert!(!is_sdks_w3c(&BaggagePropagator::new()));
    }

    /// Wraps the SDK's propagator, and does one thing differently.
    #[derive(Debug)]
    struct LookAlike {
        inner: TraceContextPropagator,
        difference: Difference,
    }

    #[derive(Clone, Copy, Debug)]
    enum Difference {
        Nothing,
        ReadsAnotherHeader,
        ListsTheKeys,
        IgnoresTracestate,
        SamplesAll,
        KeepsOtherFlags,
        KeepsPartOfTracestate,
        /// As version 0.32 of the API.
        DiscardsTracestateWithSpaces,
        /// As version 0.32 of the API.
        DiscardsTracestateWithEmptyMembers,
        RefusesLaterVersions,
        ForgetsTheContext,
    }

    impl TextMapPropagator for LookAlike {
        fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
            self.inner.inject_context(context, injector);
        }

        fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
            let extracted = self.inner.extract_with_context(context, extractor);
            let caller = extracted.span().span_context().clone();
            // Else any change would make a caller where there is none.
            if !caller.is_valid() {
                return extracted;
            }
            let with = |flags, state| {
                let (trace_id, span_id) = (caller.trace_id(), caller.span_id());
                let changed = SpanContext::new(trace_id, span_id, flags, true, state);
                context.with_remote_span_context(changed)
            };
            match self.difference {
                Difference::Nothing => extracted,
                Difference::ReadsAnotherHeader => {
                    let _ = extractor.get("b3");
                    extracted
                }
                Difference::ListsTheKeys => {
                    let _ = extractor.keys();
                    extracted
                }
                Difference::IgnoresTracestate => with(caller.trace_flags(), TraceState::NONE),
                Difference::SamplesAll => with(TraceFlags::SAMPLED, caller.trace_state().clone()),
                Difference::KeepsOtherFlags => {
                    let flags = extractor
                        .get("traceparent")
                        .and_then(|text| text.get(53..55));
                    let flags = flags.and_then(|flags| u8::from_str_radix(flags, 16).ok());
                    let flags = flags.map_or(caller.trace_flags(), TraceFlags::new);
                    with(flags, caller.trace_state().clone())
                }
                Difference::KeepsPartOfTracestate => {
                    let members = extractor.get("tracestate").unwrap_or_default().split(',');
                    let members = members.filter_map(|member| member.trim().split_once('='));
                    let state = TraceState::from_key_value(members).expect("a list");
                    with(caller.trace_flags(), state)
                }
                Difference::DiscardsTracestateWithSpaces
                | Difference::DiscardsTracestateWithEmptyMembers => {
                    let is_by_space =
                        matches!(self.difference, Difference::DiscardsTracestateWithSpaces);
                    let refused = if is_by_space { ", " } else { ",," };
                    let list = extractor.get("tracestate").unwrap_or_default();
                    let state = if list.contains(refused) {
                        TraceState::NONE
                    } else {
                        caller.trace_state().clone()
                    };
                    with(caller.trace_flags(), state)
                }
                Difference::RefusesLaterVersions => match extractor.get("traceparent") {
                    Some(later) if !later.starts_with("00") => context.clone(),
                    _ => extracted,
                },
                Difference::ForgetsTheContext => {
                    Context::new().with_remote_span_context(caller.clone())
                }
            }
        }

        fn fields(&self) -> FieldIter<'_> {
            self.inner.fields()
        }
    }

    #[test]
    fn propagator_that_behaves_differently_is_not_the_sdks() {
        for (difference, expected) in [
            (Difference::Nothing, true),
            (Difference::ReadsAnotherHeader, false),
            (Difference::ListsTheKeys, false),
            (Difference::IgnoresTracestate, false),
            (Difference::SamplesAll, false),
            (Difference::KeepsOtherFlags, false),
            (Difference::KeepsPartOfTracestate, false),
            (Difference::DiscardsTracestateWithSpaces, false),
            (Difference::DiscardsTracestateWithEmptyMembers, false),
            (Difference::RefusesLaterVersions, false),
            (Difference::ForgetsTheContext, false),
        ] {
            let propagator = LookAlike {
                inner: TraceContextPropagator::new(),
                difference,
            };
            assert_eq!(answers_like_w3c(&propagator), expected, "{difference:?}");
            assert!(!is_sdks_w3c(&propagator), "the type has another name");
        }
    }
}
