//! Request headers to the caller's context.
//!
//! The propagator is the given one, else the global one, and parses what it likes; the extractor
//! it reads through is strict where the stock W3C propagator of opentelemetry 0.33 is not:
//!
//! * a `traceparent` that is malformed by W3C Trace Context (level 2, section 3.2), or there more
//!   than once, is hidden together with its `tracestate`, so that a new trace starts;
//! * several lines of `tracestate` or `baggage` are joined with commas, where the propagator would
//!   see the first alone.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceId};
use opentelemetry::{Context, global};
use opentelemetry_http::HeaderInjector;

use crate::contain::contain;
use crate::sampling::Rate;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Where the propagator comes from.
#[derive(Clone, Default)]
pub(crate) enum Propagation {
    /// The process-wide one, asked for anew by each request.
    #[default]
    Global,
    /// The layer's own.
    Given(Arc<dyn TextMapPropagator + Send + Sync>),
}

impl Propagation {
    /// The context that came with a request, on top of `current`: baggage and suppression in
    /// `current` flow on. `None` if no header of the propagator's came, or if it panics.
    ///
    /// A W3C parent that `rate` does not keep comes without its sampled flag.
    pub(crate) fn extract(
        &self,
        headers: &HeaderMap,
        current: &Context,
        rate: Rate,
    ) -> Option<Extracted> {
        if headers.is_empty() {
            return None;
        }
        contain(|| self.with(|propagator| extract(propagator, headers, current, rate))).flatten()
    }

    /// Writes `context` into `headers` in place of what they say of another. Baggage is the caller's
    /// own and stays as it came. If nothing can be written, the headers stay as they are.
    pub(crate) fn replace(&self, context: &Context, headers: &mut HeaderMap) {
        let mut written = self.written(context);
        if headers.contains_key(BAGGAGE) {
            written.remove(BAGGAGE);
        }
        if written.is_empty() {
            return;
        }
        contain(|| {
            self.with(|propagator| {
                for field in propagator.fields().filter(|field| *field != BAGGAGE) {
                    headers.remove(field);
                }
            });
        });
        headers.remove(TRACESTATE);
        headers.extend(written);
    }

    /// Writes `context` into `headers`.
    pub(crate) fn inject(&self, context: &Context, headers: &mut HeaderMap) {
        headers.extend(self.written(context));
    }

    /// What says `context`, by the propagator or, where the global one writes nothing because none is
    /// set, as W3C has it. Nothing if the propagator panics.
    fn written(&self, context: &Context) -> HeaderMap {
        let written = contain(|| {
            self.with(|propagator| {
                let mut written = HeaderMap::new();
                propagator.inject_context(context, &mut NoEmpty(HeaderInjector(&mut written)));
                written
            })
        });
        let mut written = written.unwrap_or_default();
        if written.is_empty() && matches!(self, Self::Global) {
            inject_w3c(context.span().span_context(), &mut written);
        }
        written
    }

    fn with<T>(&self, f: impl FnMut(&dyn TextMapPropagator) -> T) -> T {
        match self {
            Self::Global => global::get_text_map_propagator(f),
            Self::Given(propagator) => {
                let mut f = f;
                f(propagator.as_ref())
            }
        }
    }
}

impl fmt::Debug for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "Global",
            Self::Given(_) => "Given",
        })
    }
}

/// Writes `traceparent` and, unless it is empty, `tracestate`.
fn inject_w3c(span_context: &SpanContext, headers: &mut HeaderMap) {
    if !span_context.is_valid() {
        return;
    }
    let (trace_id, span_id) = (span_context.trace_id(), span_context.span_id());
    let flags = span_context.trace_flags() & TraceFlags::SAMPLED;
    let traceparent = format!("00-{trace_id}-{span_id}-{:02x}", flags.to_u8());
    let mut injector = NoEmpty(HeaderInjector(headers));
    injector.set(TRACEPARENT, traceparent);
    injector.set(TRACESTATE, span_context.trace_state().header());
}

/// What came with a request.
pub(crate) struct Extracted {
    pub(crate) context: Context,
    /// The caller's sampled flag was taken away, because of the rate.
    pub(crate) is_sampled_out: bool,
}

fn extract(
    propagator: &dyn TextMapPropagator,
    headers: &HeaderMap,
    current: &Context,
    rate: Rate,
) -> Option<Extracted> {
    if !propagator.fields().any(|field| headers.contains_key(field)) {
        return None;
    }
    let headers = StrictHeaders::new(headers, current.span().span_context(), rate);
    let extracted = propagator.extract_with_context(current, &headers);
    let context = with_nearest_span(extracted, current);
    // Whether the propagator took the parent that lost its flag, and not one of another format.
    let parent = context.span().span_context().clone();
    Some(Extracted {
        is_sampled_out: headers.unsampled.is_some() && parent.is_valid() && !parent.is_sampled(),
        context,
    })
}

/// Leaves out what is empty: the stock propagator writes a `tracestate` of nothing.
struct NoEmpty<'a>(HeaderInjector<'a>);

impl Injector for NoEmpty<'_> {
    fn set(&mut self, key: &str, value: String) {
        if !value.is_empty() {
            self.0.set(key, value);
        }
    }
}

/// Where the current span is in the caller's trace already, as with two layers stacked, it is nearer
/// to this request than the caller is.
fn with_nearest_span(extracted: Context, current: &Context) -> Context {
    let span = current.span();
    let (nearer, caller) = (span.span_context(), extracted.span().span_context().clone());
    let is_same_trace = nearer.is_valid() && nearer.trace_id() == caller.trace_id();
    if is_same_trace && nearer.span_id() != caller.span_id() {
        extracted.with_remote_span_context(nearer.clone())
    } else {
        extracted
    }
}

/// Headers as a propagator may see them.
struct StrictHeaders<'a> {
    headers: &'a HeaderMap,
    /// The `traceparent`, if it is there once, well-formed, and not of the trace that the current
    /// span is in already.
    traceparent: Option<&'a str>,
    /// The same in version 00 and without the sampled flag, if it is sampled and the rate does not
    /// keep it.
    unsampled: Option<[u8; LENGTH]>,
    tracestate: Option<Cow<'a, str>>,
    baggage: Option<Cow<'a, str>>,
}

impl<'a> StrictHeaders<'a> {
    fn new(headers: &'a HeaderMap, current: &SpanContext, rate: Rate) -> Self {
        // Hidden where `with_nearest_span` would undo it, so that the current span stays itself.
        let traceparent = once(headers, TRACEPARENT).filter(|value| {
            trace_id(value).is_some_and(|trace_id| {
                !current.is_valid() || TraceId::from_hex(trace_id) != Ok(current.trace_id())
            })
        });
        Self {
            headers,
            traceparent,
            unsampled: traceparent
                .filter(|_| !rate.keeps_all())
                .and_then(|traceparent| unsampled(traceparent, rate)),
            tracestate: traceparent.and_then(|_| joined(headers, TRACESTATE)),
            baggage: joined(headers, BAGGAGE),
        }
    }
}

impl Extractor for StrictHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if key.eq_ignore_ascii_case(TRACEPARENT) {
            match &self.unsampled {
                Some(unsampled) => std::str::from_utf8(unsampled).ok(),
                None => self.traceparent,
            }
        } else if key.eq_ignore_ascii_case(TRACESTATE) {
            self.tracestate.as_deref()
        } else if key.eq_ignore_ascii_case(BAGGAGE) {
            self.baggage.as_deref()
        } else {
            self.headers.get(key)?.to_str().ok()
        }
    }

    fn get_all(&self, key: &str) -> Option<Vec<&str>> {
        if [TRACEPARENT, TRACESTATE, BAGGAGE]
            .iter()
            .any(|own| key.eq_ignore_ascii_case(own))
        {
            return self.get(key).map(|value| vec![value]);
        }
        let values = self.headers.get_all(key).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        (!values.is_empty()).then_some(values)
    }

    fn keys(&self) -> Vec<&str> {
        self.headers
            .keys()
            .map(http::HeaderName::as_str)
            .filter(|key| self.get(key).is_some())
            .collect()
    }
}

/// The value of a header that is there exactly once.
fn once<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    }
}

/// The values of a header that is a list, as one.
fn joined<'a>(headers: &'a HeaderMap, name: &str) -> Option<Cow<'a, str>> {
    let mut values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let first = Cow::Borrowed(values.next()?);
    Some(values.fold(first, |joined, more| joined + "," + more))
}

/// Length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// A well-formed `traceparent` without its sampled flag, if it has it and the rate does not keep its
/// trace.
fn unsampled(traceparent: &str, rate: Rate) -> Option<[u8; LENGTH]> {
    let mut unsampled = *traceparent.as_bytes().first_chunk::<LENGTH>()?;
    let is_sampled = u8::from_str_radix(&traceparent[53..LENGTH], 16).ok()? & 1 == 1;
    let trace_id = TraceId::from_hex(&traceparent[3..35]).ok()?;
    if !is_sampled || rate.keeps(trace_id) {
        return None;
    }
    unsampled[..2].copy_from_slice(b"00");
    unsampled[53..].copy_from_slice(b"00");
    Some(unsampled)
}

/// The trace id in a well-formed `traceparent`.
fn trace_id(traceparent: &str) -> Option<&str> {
    let bytes = traceparent.as_bytes();
    let is_hex = |bytes: &[u8]| {
        bytes
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_zero = |bytes: &[u8]| bytes.iter().all(|byte| *byte == b'0');
    let (head, rest) = bytes.split_at_checked(LENGTH)?;
    let (version, trace_id, parent_id, flags) =
        (&head[..2], &head[3..35], &head[36..52], &head[53..]);
    let well_formed = [head[2], head[35], head[52]] == *b"---"
        && [version, trace_id, parent_id, flags]
            .into_iter()
            .all(is_hex)
        && version != b"ff"
        && !is_zero(trace_id)
        && !is_zero(parent_id)
        // Version 00 ends here; a later one may go on after a dash.
        && (rest.is_empty() || (version != b"00" && rest[0] == b'-'));
    well_formed.then(|| &traceparent[3..35])
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use opentelemetry::baggage::BaggageExt;
    use opentelemetry::propagation::TextMapCompositePropagator;
    use opentelemetry::propagation::text_map_propagator::FieldIter;
    use opentelemetry::trace::{SpanId, TraceState};
    use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_str(value).expect("a value"));
        }
        headers
    }

    fn w3c() -> Propagation {
        Propagation::Given(Arc::new(TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(BaggagePropagator::new()),
        ])))
    }

    impl Propagation {
        fn extract_all(&self, headers: &HeaderMap, current: &Context) -> Option<Context> {
            let extracted = self.extract(headers, current, Rate::ALL)?;
            assert!(!extracted.is_sampled_out);
            Some(extracted.context)
        }
    }

    fn extracted(lines: &[(&'static str, &str)]) -> Option<SpanContext> {
        let context = w3c().extract_all(&headers(lines), &Context::new())?;
        context
            .has_active_span()
            .then(|| context.span().span_context().clone())
    }

    #[test]
    fn a_well_formed_traceparent_is_the_parent() {
        let parent = extracted(&[("traceparent", VALID)]).expect("a parent");
        assert_eq!(parent.trace_id().to_string(), TRACE);
        assert!(parent.is_sampled() && parent.is_remote());
    }

    #[test]
    fn a_later_version_may_go_on() {
        for (rule, value, taken) in [
            (
                "longer, after a dash",
                format!("01{}-extra", &VALID[2..]),
                true,
            ),
            ("as long as version 00", format!("cc{}", &VALID[2..]), true),
            (
                "longer without a dash",
                format!("01{}extra", &VALID[2..]),
                false,
            ),
        ] {
            assert_eq!(
                extracted(&[("traceparent", &value)]).is_some(),
                taken,
                "{rule}: {value}"
            );
        }
    }

    #[test]
    fn a_malformed_traceparent_starts_a_new_trace() {
        let (trace, span) = (TRACE, "00f067aa0ba902b7");
        for (rule, value) in [
            ("empty", String::new()),
            ("no fields", "nonsense".to_owned()),
            ("version ff", format!("ff-{trace}-{span}-01")),
            ("version of one digit", format!("0-{trace}-{span}-01")),
            ("version no number", format!("0x-{trace}-{span}-01")),
            ("version with a sign", format!("+0-{trace}-{span}-01")),
            ("trace id of zeroes", format!("00-{:032}-{span}-01", 0)),
            (
                "trace id too short",
                format!("00-{}-{span}-01", &trace[1..]),
            ),
            ("trace id too long", format!("00-0{trace}-{span}-01")),
            (
                "trace id in capitals",
                format!("00-{}-{span}-01", trace.to_uppercase()),
            ),
            ("span id of zeroes", format!("00-{trace}-{:016}-01", 0)),
            ("span id too short", format!("00-{trace}-{}-01", &span[1..])),
            (
                "span id in capitals",
                format!("00-{trace}-{}-01", span.to_uppercase()),
            ),
            ("flags of one digit", format!("00-{trace}-{span}-1")),
            ("flags no number", format!("00-{trace}-{span}-0x")),
            ("no flags", format!("00-{trace}-{span}")),
            ("version 00 that goes on", format!("{VALID}-extra")),
            ("a trailing dash", format!("{VALID}-")),
            ("a space before", format!(" {VALID}")),
            ("a space after", format!("{VALID} ")),
            ("two in one line", format!("{VALID},{VALID}")),
            ("another separator", VALID.replace('-', "_")),
        ] {
            assert_eq!(
                extracted(&[("traceparent", &value), ("tracestate", "a=1")]),
                None,
                "{rule}: {value}"
            );
        }
    }

    #[test]
    fn a_repeated_traceparent_starts_a_new_trace() {
        assert_eq!(
            extracted(&[("traceparent", VALID), ("traceparent", VALID)]),
            None
        );
    }

    #[test]
    fn several_lines_of_tracestate_are_one() {
        let parent = extracted(&[
            ("tracestate", "a=1"),
            ("traceparent", VALID),
            ("tracestate", "b=2,c=3"),
        ])
        .expect("a parent");
        assert_eq!(parent.trace_state().header(), "a=1,b=2,c=3");
    }

    #[test]
    fn several_lines_of_baggage_are_one_and_flow_on_without_a_parent() {
        let headers = headers(&[("baggage", "a=1"), ("baggage", "b=2")]);
        let context = w3c()
            .extract_all(&headers, &Context::new())
            .expect("baggage");
        assert!(!context.has_active_span());
        assert_eq!(
            context.baggage().get("a").map(ToString::to_string),
            Some("1".to_owned())
        );
        assert_eq!(
            context.baggage().get("b").map(ToString::to_string),
            Some("2".to_owned())
        );
    }

    #[test]
    fn what_is_in_the_current_context_flows_on() {
        #[derive(Debug, PartialEq)]
        struct Mine(u8);
        let current = Context::new()
            .with_value(Mine(7))
            .with_telemetry_suppressed();
        let context = w3c()
            .extract_all(&headers(&[("traceparent", VALID)]), &current)
            .expect("a parent");
        assert_eq!(context.get(), Some(&Mine(7)));
        assert!(context.is_telemetry_suppressed());
    }

    #[test]
    fn a_current_span_of_the_callers_trace_stays_the_parent() {
        let span_context = |trace: &str| {
            SpanContext::new(
                TraceId::from_hex(trace).expect("a trace id"),
                SpanId::from_hex("1111111111111111").expect("a span id"),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            )
        };
        for (rule, trace, parent) in [
            ("the caller's trace", TRACE, "1111111111111111"),
            (
                "another trace",
                "11111111111111111111111111111111",
                "00f067aa0ba902b7",
            ),
        ] {
            let current = Context::new().with_remote_span_context(span_context(trace));
            let context = w3c()
                .extract_all(
                    &headers(&[("traceparent", VALID), ("baggage", "a=1")]),
                    &current,
                )
                .expect("a context");
            assert_eq!(
                context.span().span_context().span_id().to_string(),
                parent,
                "{rule}"
            );
            assert_eq!(context.baggage().len(), 1, "{rule}");
        }
    }

    #[test]
    fn without_a_header_of_the_propagators_there_is_nothing_to_extract() {
        assert!(
            w3c()
                .extract_all(&HeaderMap::new(), &Context::new())
                .is_none()
        );
        assert!(
            w3c()
                .extract_all(&headers(&[("accept", "*/*")]), &Context::new())
                .is_none()
        );
    }

    #[test]
    fn a_propagator_that_panics_extracts_and_injects_nothing() {
        #[derive(Debug)]
        struct Panics;
        impl TextMapPropagator for Panics {
            fn inject_context(&self, _: &Context, _: &mut dyn Injector) {
                panic!("inject");
            }
            fn extract_with_context(&self, _: &Context, _: &dyn Extractor) -> Context {
                panic!("extract");
            }
            fn fields(&self) -> FieldIter<'_> {
                panic!("fields");
            }
        }
        let propagation = Propagation::Given(Arc::new(Panics));
        let mut headers = headers(&[("traceparent", VALID)]);
        assert!(propagation.extract_all(&headers, &Context::new()).is_none());
        propagation.inject(&Context::new(), &mut headers);
        assert_eq!(headers.len(), 1);
    }

    #[test]
    fn a_propagator_of_another_format_sees_its_headers_and_no_malformed_traceparent() {
        #[derive(Debug)]
        struct Sees(std::sync::Mutex<Vec<String>>, Vec<String>);
        impl TextMapPropagator for Sees {
            fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}
            fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
                assert_eq!(extractor.get("b3"), Some("0"));
                assert_eq!(extractor.get("absent"), None);
                let keys = extractor.keys().into_iter().map(str::to_owned);
                self.0.lock().expect("not poisoned").extend(keys);
                cx.clone()
            }
            fn fields(&self) -> FieldIter<'_> {
                FieldIter::new(&self.1)
            }
        }
        let sees = Arc::new(Sees(std::sync::Mutex::default(), vec!["b3".to_owned()]));
        let context = Propagation::Given(sees.clone()).extract_all(
            &headers(&[("b3", "0"), ("traceparent", "malformed")]),
            &Context::new(),
        );
        assert!(context.is_some());
        assert_eq!(*sees.0.lock().expect("not poisoned"), ["b3"]);
    }

    /// A propagator of one header, `trace-span`.
    #[derive(Debug)]
    struct OneHeader(Vec<String>);

    impl TextMapPropagator for OneHeader {
        fn inject_context(&self, _: &Context, _: &mut dyn Injector) {}

        fn extract_with_context(&self, cx: &Context, extractor: &dyn Extractor) -> Context {
            assert_eq!(extractor.get_all("b3").map(|all| all.len()), Some(2));
            assert_eq!(extractor.get_all("absent"), None);
            assert_eq!(extractor.get_all("tracestate"), None);
            let (trace, span) = extractor
                .get("b3")
                .and_then(|b3| b3.split_once('-'))
                .expect("b3");
            cx.with_remote_span_context(SpanContext::new(
                TraceId::from_hex(trace).expect("a trace id"),
                SpanId::from_hex(span).expect("a span id"),
                TraceFlags::SAMPLED,
                true,
                TraceState::NONE,
            ))
        }

        fn fields(&self) -> FieldIter<'_> {
            FieldIter::new(&self.0)
        }
    }

    #[test]
    fn a_propagator_of_another_format_sees_all_lines_and_the_nearest_span_is_the_parent() {
        let propagation = Propagation::Given(Arc::new(OneHeader(vec!["b3".to_owned()])));
        let b3 = format!("{TRACE}-00f067aa0ba902b7");
        let headers = headers(&[("b3", &b3), ("b3", "more"), ("tracestate", "a=1")]);
        let extract = |current: &Context| {
            let context = propagation
                .extract_all(&headers, current)
                .expect("a context");
            context.span().span_context().span_id().to_string()
        };
        assert_eq!(extract(&Context::new()), "00f067aa0ba902b7");
        for (trace, parent) in [
            (TRACE, "1111111111111111"),
            (&TRACE.replace('4', "5"), "00f067aa0ba902b7"),
        ] {
            let nearer = SpanContext::new(
                TraceId::from_hex(trace).expect("a trace id"),
                SpanId::from_hex("1111111111111111").expect("a span id"),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            );
            assert_eq!(
                extract(&Context::new().with_remote_span_context(nearer)),
                parent
            );
        }
    }

    #[test]
    fn a_parent_that_the_rate_does_not_keep_comes_without_its_flag() {
        let unsampled = VALID.replace("-01", "-00");
        for (rule, value, rate, is_sampled_out, is_sampled) in [
            ("kept", VALID, 1.0, false, true),
            ("not kept", VALID, 0.0, true, false),
            ("unsampled anyway", &unsampled, 0.0, false, false),
            (
                "a later version",
                &format!("01{}-extra", &VALID[2..]),
                0.0,
                true,
                false,
            ),
        ] {
            let headers = headers(&[("traceparent", value), ("tracestate", "a=1")]);
            let extracted = w3c()
                .extract(&headers, &Context::new(), Rate::new(rate))
                .expect("a parent");
            let span = extracted.context.span();
            let caller = span.span_context();
            assert_eq!(extracted.is_sampled_out, is_sampled_out, "{rule}");
            assert_eq!(caller.is_sampled(), is_sampled, "{rule}");
            assert_eq!(caller.trace_id().to_string(), TRACE, "{rule}");
            assert_eq!(caller.trace_state().header(), "a=1", "{rule}");
        }
    }

    #[test]
    fn headers_are_replaced_whole_and_nothing_empty_is_written() {
        let from = headers(&[("traceparent", VALID)]);
        let context = w3c().extract_all(&from, &Context::new()).expect("a parent");
        let mut to = headers(&[
            ("traceparent", "another"),
            ("traceparent", "and another"),
            ("tracestate", "of=another"),
            ("baggage", "of=another"),
            ("accept", "*/*"),
        ]);
        w3c().replace(&context, &mut to);
        let expected = [
            ("accept", "*/*"),
            ("traceparent", VALID),
            ("baggage", "of=another"),
        ];
        assert_eq!(to, headers(&expected));
        w3c().inject(&context, &mut to);
        assert!(!to.contains_key("tracestate"));
    }

    #[test]
    fn where_no_global_propagator_is_set_w3c_is_written() {
        for value in [VALID, &VALID.replace("-01", "-00")] {
            let from = headers(&[("traceparent", value), ("tracestate", "a=1")]);
            let context = w3c().extract_all(&from, &Context::new()).expect("a parent");
            let mut to = HeaderMap::new();
            Propagation::Global.inject(&context, &mut to);
            assert_eq!(to, from);
        }
        let mut to = HeaderMap::new();
        Propagation::Global.inject(&Context::new(), &mut to);
        assert!(to.is_empty());
    }

    #[test]
    fn a_parent_that_the_propagator_does_not_take_is_not_sampled_out_by() {
        let baggage = Propagation::Given(Arc::new(BaggagePropagator::new()));
        let headers = headers(&[("traceparent", VALID), ("baggage", "a=1")]);
        let extracted = baggage
            .extract(&headers, &Context::new(), Rate::new(0.0))
            .expect("baggage");
        assert!(!extracted.is_sampled_out && !extracted.context.has_active_span());
    }

    #[test]
    fn what_can_not_be_written_leaves_the_headers_as_they_are() {
        let context = w3c()
            .extract_all(&headers(&[("traceparent", VALID)]), &Context::new())
            .expect("a parent");
        let came = headers(&[("traceparent", "theirs"), ("baggage", "t=YQ==;p=%C3%A9")]);
        let mut to = came.clone();
        Propagation::Given(Arc::new(BaggagePropagator::new())).replace(&context, &mut to);
        assert_eq!(to, came);
        // The global one is not set: W3C is written, and the baggage stays as it came.
        Propagation::Global.replace(&context, &mut to);
        assert_eq!(
            to,
            headers(&[("traceparent", VALID), ("baggage", "t=YQ==;p=%C3%A9")])
        );
    }
}
