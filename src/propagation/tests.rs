//! Tests of extracting, replacing and injecting a context.

use http::{HeaderName, HeaderValue};
use opentelemetry::KeyValue;
use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{Extractor, TextMapCompositePropagator};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::trace::{TraceFlags, TraceState};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};

use super::strict_headers::StrictHeaders;
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
fn well_formed_traceparent_is_the_parent() {
    let parent = extracted(&[("traceparent", VALID)]).expect("a parent");
    assert_eq!(parent.trace_id().to_string(), TRACE);
    assert!(parent.is_sampled() && parent.is_remote());
}

#[test]
fn later_version_may_continue_after_a_dash() {
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
fn later_version_that_continues_beyond_ascii_is_ignored() {
    let value = format!("01{}-\u{e9}", &VALID[2..]);
    let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
    let headers = HeaderMap::from_iter([(HeaderName::from_static("traceparent"), value)]);
    for (path, propagation) in [
        (
            "read by the layer",
            Propagation::given(TraceContextPropagator::new()),
        ),
        (
            "read by the propagator",
            Propagation::Given(Arc::new(TraceContextPropagator::new())),
        ),
    ] {
        let extracted = propagation.extract(&headers, &Context::new(), Rate::ALL);
        let parent = extracted.map(|extracted| extracted.context);
        let is_taken = parent.is_some_and(|parent| parent.span().span_context().is_valid());
        assert!(!is_taken, "{path}");
    }
}

#[test]
fn malformed_traceparent_starts_a_new_trace() {
    let (trace, span) = (TRACE, "00f067aa0ba902b7");
    for (rule, value) in [
        ("empty", String::new()),
        ("not a traceparent", "nonsense".to_owned()),
        ("version ff", format!("ff-{trace}-{span}-01")),
        ("version of one digit", format!("0-{trace}-{span}-01")),
        (
            "version that is not hexadecimal",
            format!("0x-{trace}-{span}-01"),
        ),
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
        (
            "flags that are not hexadecimal",
            format!("00-{trace}-{span}-0x"),
        ),
        ("no flags", format!("00-{trace}-{span}")),
        ("version 00 that continues", format!("{VALID}-extra")),
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
fn repeated_traceparent_starts_a_new_trace() {
    assert_eq!(
        extracted(&[("traceparent", VALID), ("traceparent", VALID)]),
        None
    );
}

#[test]
fn several_lines_of_tracestate_are_joined() {
    let parent = extracted(&[
        ("tracestate", "a=1"),
        ("traceparent", VALID),
        ("tracestate", "b=2,c=3"),
    ])
    .expect("a parent");
    assert_eq!(parent.trace_state().header(), "a=1,b=2,c=3");
}

#[test]
fn several_lines_of_baggage_are_joined_also_without_a_parent() {
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
fn values_of_the_current_context_are_kept() {
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
fn current_span_in_the_callers_trace_stays_the_parent() {
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
fn request_without_the_propagators_headers_extracts_nothing() {
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
fn panicking_propagator_extracts_and_injects_nothing() {
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
fn propagator_of_another_format_sees_its_headers_and_no_malformed_traceparent() {
    #[derive(Debug)]
    struct Records(std::sync::Mutex<Vec<String>>, Vec<String>);
    impl TextMapPropagator for Records {
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
    let records = Arc::new(Records(std::sync::Mutex::default(), vec!["b3".to_owned()]));
    let context = Propagation::Given(records.clone()).extract_all(
        &headers(&[("b3", "0"), ("traceparent", "malformed")]),
        &Context::new(),
    );
    assert!(context.is_some());
    assert_eq!(*records.0.lock().expect("not poisoned"), ["b3"]);
}

/// A propagator that reads `trace-span` from header `b3`.
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
fn propagator_of_another_format_sees_all_lines_and_the_nearest_span_is_the_parent() {
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
fn parent_that_the_rate_does_not_keep_loses_its_sampled_flag() {
    let unsampled = VALID.replace("-01", "-00");
    for (rule, value, rate, is_sampled_out, is_sampled) in [
        ("kept", VALID, 1.0, false, true),
        ("not kept", VALID, 0.0, true, false),
        ("not sampled by the caller", &unsampled, 0.0, false, false),
        (
            "a later version",
            &format!("01{}-extra", &VALID[2..]),
            0.0,
            true,
            false,
        ),
    ] {
        let headers = headers(&[("traceparent", value), ("tracestate", "a=1")]);
        let extracted = Propagation::given(TraceContextPropagator::new())
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
fn replaced_headers_leave_no_line_of_the_old_context_and_no_empty_value() {
    let from = headers(&[("traceparent", VALID)]);
    let context = w3c().extract_all(&from, &Context::new()).expect("a parent");
    let mut to = headers(&[
        ("traceparent", "another"),
        ("traceparent", "and another"),
        ("tracestate", "of=another"),
        ("baggage", "of=another"),
        ("accept", "*/*"),
    ]);
    w3c().replace(&context, &mut to, Baggage::FromCaller);
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
fn unset_global_propagator_injects_w3c_headers() {
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
fn parent_that_the_propagator_ignores_does_not_sample_out() {
    let baggage = Propagation::Given(Arc::new(BaggagePropagator::new()));
    let headers = headers(&[("traceparent", VALID), ("baggage", "a=1")]);
    let extracted = baggage
        .extract(&headers, &Context::new(), Rate::new(0.0))
        .expect("baggage");
    assert!(!extracted.is_sampled_out && !extracted.context.has_active_span());
}

#[test]
fn propagator_that_writes_nothing_leaves_the_headers_unchanged() {
    let context = w3c()
        .extract_all(&headers(&[("traceparent", VALID)]), &Context::new())
        .expect("a parent");
    let original = headers(&[("traceparent", "theirs"), ("baggage", "t=YQ==;p=%C3%A9")]);
    let mut to = original.clone();
    Propagation::Given(Arc::new(BaggagePropagator::new())).replace(
        &context,
        &mut to,
        Baggage::FromCaller,
    );
    assert_eq!(to, original);
    // The global propagator is not set: W3C's headers are written, and the baggage is unchanged.
    Propagation::Global.replace(&context, &mut to, Baggage::FromCaller);
    assert_eq!(
        to,
        headers(&[("traceparent", VALID), ("baggage", "t=YQ==;p=%C3%A9")])
    );
}

#[test]
fn callers_baggage_is_kept_unchanged_and_own_baggage_written_without_it() {
    let parent = w3c()
        .extract_all(&headers(&[("traceparent", VALID)]), &Context::new())
        .expect("a parent");
    let context = parent.with_baggage([opentelemetry::KeyValue::new("mine", "2")]);
    for (received, expected) in [
        (&[("baggage", "t=YQ==;p=%C3%A9")][..], "t=YQ==;p=%C3%A9"),
        (&[], "mine=2"),
    ] {
        let mut to = headers(received);
        w3c().replace(&context, &mut to, Baggage::FromCaller);
        let written: Vec<_> = to.get_all("baggage").iter().collect();
        assert_eq!(written, [expected]);
    }
}

#[test]
fn untrusted_baggage_is_removed_from_replaced_headers() {
    let from = headers(&[("traceparent", VALID)]);
    let context = w3c().extract_all(&from, &Context::new()).expect("a parent");
    let mut to = headers(&[("baggage", "evil=1"), ("traceparent", "theirs")]);
    w3c().replace(&context, &mut to, Baggage::FromContext);
    assert_eq!(to, from);
    let own = context.with_baggage([opentelemetry::KeyValue::new("mine", "2")]);
    let mut to = headers(&[("baggage", "evil=1")]);
    w3c().replace(&own, &mut to, Baggage::FromContext);
    assert_eq!(to["baggage"], "mine=2");
}

/// Checks that the extraction without the SDK's propagator gives the same contexts.
#[test]
fn sdks_propagator_and_its_replacement_extract_the_same_context() {
    let own = Propagation::given(TraceContextPropagator::new());
    assert!(matches!(own, Propagation::GivenW3c(_)));
    // In a composite propagator the SDK's propagator is called itself.
    let stock = TextMapCompositePropagator::new(vec![Box::new(TraceContextPropagator::new())]);
    let stock = Propagation::given(stock);
    assert!(matches!(stock, Propagation::Given(_)));

    let valid = VALID.to_owned();
    let mut traceparents = vec![
        String::new(),
        valid.clone(),
        valid.replace("-01", "-00"),
        valid.replace("-01", "-03"),
        valid.replace("-01", "-ff"),
        valid.replace("00-", "01-"),
        valid.replace("00-", "ff-"),
        format!("{valid}-"),
        format!("{valid}-00"),
        format!("{}-more", valid.replace("00-", "cc-")),
        format!(" {valid}"),
    ];
    for at in 0..valid.len() {
        for with in ["0", "g", "A", "-", "é"] {
            let mut changed = valid.clone();
            changed.replace_range(at..=at, with);
            traceparents.push(changed);
        }
        traceparents.push(valid[..at].to_owned());
    }
    let states: [&[&str]; 6] = [
        &[],
        &["a=1"],
        &["a=1", "b=2"],
        &[""],
        &["no state"],
        &["a=1,,b=2"],
    ];
    let currents = [Context::new(), {
        let from = headers(&[("traceparent", &valid.replace("00f067aa", "11f067aa"))]);
        let nearer = w3c().extract_all(&from, &Context::new()).expect("a parent");
        nearer.with_baggage([opentelemetry::KeyValue::new("mine", "1")])
    }];
    let mut read = 0;
    for traceparent in &traceparents {
        for state in states {
            let mut lines = HeaderMap::new();
            let value = HeaderValue::from_bytes(traceparent.as_bytes()).expect("a value");
            lines.append("traceparent", value);
            for state in state {
                lines.append("tracestate", HeaderValue::from_str(state).expect("a value"));
            }
            for (current, rate) in currents.iter().zip([1.0, 0.0]).chain([(&currents[0], 0.0)]) {
                let of = |propagation: &Propagation| {
                    let rate = Rate::new(rate);
                    let extracted = propagation.extract(&lines, current, rate);
                    let mut is_sampled_out =
                        extracted.as_ref().is_some_and(|all| all.is_sampled_out);
                    // No extracted context means the same as the current context.
                    let mut context = extracted.map_or_else(|| current.clone(), |all| all.context);
                    // The rate is applied to other propagators' callers later.
                    let is_called = context.span().span_context().is_remote();
                    if let Some(unsampled) = rate.sample_out(&context).filter(|_| is_called) {
                        (context, is_sampled_out) = (unsampled, true);
                    }
                    let span = context.span().span_context().clone();
                    (span, is_sampled_out, context.baggage().len())
                };
                assert_eq!(of(&own), of(&stock), "{traceparent} {state:?} {rate}");
                read += usize::from(of(&own).0.is_valid());
            }
        }
    }
    assert!(read > 100, "{read} contexts were extracted");
}

#[test]
fn a_propagator_that_finds_no_header_and_adds_nothing_has_found_no_caller() {
    let current = Context::new().with_baggage([KeyValue::new("of", "the process")]);
    for propagation in [
        w3c(),
        Propagation::Given(Arc::new(BaggagePropagator::new())),
    ] {
        let found = propagation.extract_all(&HeaderMap::new(), &current);
        assert!(found.is_none(), "{propagation:?}");
    }
}

#[test]
fn the_rules_of_trace_context_hold_for_a_key_in_any_case() {
    for key in ["traceparent", "Traceparent", "TRACEPARENT"] {
        let once = headers(&[("traceparent", VALID)]);
        assert_eq!(StrictHeaders::new(&once).get(key), Some(VALID), "{key}");
        let twice = headers(&[("traceparent", VALID), ("traceparent", VALID)]);
        assert_eq!(StrictHeaders::new(&twice).get(key), None, "{key}");
    }
}
