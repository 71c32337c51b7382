//! Tests of the response headers that carry the trace.

use opentelemetry::trace::{SpanId, TraceFlags, TraceId, TraceState};

use super::*;

const IDS: &str = "00-0000000000000000000000000000000a-000000000000000b-01";

fn write(headers: TraceHeaders, existing: &[(&'static str, &'static str)]) -> Vec<String> {
    let (trace_id, span_id) = (TraceId::from(10), SpanId::from(11));
    let flags = TraceFlags::SAMPLED;
    let span_context = SpanContext::new(trace_id, span_id, flags, false, TraceState::NONE);
    let mut all = HeaderMap::new();
    for (name, value) in existing {
        all.append(*name, HeaderValue::from_static(value));
    }
    headers.write(&span_context, &mut all);
    let text = |value: &HeaderValue| value.to_str().expect("text").to_owned();
    let mut all: Vec<_> = all
        .iter()
        .map(|(name, value)| format!("{name}: {}", text(value)))
        .collect();
    all.sort();
    all
}

#[test]
fn enabled_headers_are_written_unless_the_handler_set_them() {
    let none = TraceHeaders::default();
    let both = TraceHeaders {
        traceresponse: true,
        server_timing: true,
        exposed: false,
    };
    let exposed = TraceHeaders {
        exposed: true,
        ..both
    };
    let response = format!("traceresponse: {IDS}");
    let timing = format!("server-timing: traceparent;desc=\"{IDS}\"");
    let (response, timing) = (response.as_str(), timing.as_str());
    for (rule, headers, existing, expected) in [
        ("disabled", none, &[][..], &[][..]),
        (
            "exposed alone",
            TraceHeaders {
                exposed: true,
                ..none
            },
            &[],
            &[],
        ),
        ("both", both, &[], &[timing, response]),
        (
            "exposed",
            exposed,
            &[],
            &[
                "access-control-expose-headers: server-timing",
                "access-control-expose-headers: traceresponse",
                timing,
                response,
            ],
        ),
        (
            "the handler's own headers stay, and are not exposed",
            exposed,
            &[
                ("traceresponse", "mine"),
                ("server-timing", "traceparent;desc=mine"),
            ],
            &[
                "server-timing: traceparent;desc=mine",
                "traceresponse: mine",
            ],
        ),
        (
            "the handler's Server-Timing stays",
            both,
            &[("server-timing", "db;dur=53, cache")],
            &["server-timing: db;dur=53, cache", timing, response],
        ),
        (
            "exposed already",
            exposed,
            &[(
                "access-control-expose-headers",
                "X-A, TraceResponse, Server-Timing",
            )],
            &[
                "access-control-expose-headers: X-A, TraceResponse, Server-Timing",
                timing,
                response,
            ],
        ),
        (
            "a star does not expose with credentials",
            exposed,
            &[("access-control-expose-headers", "*")],
            &[
                "access-control-expose-headers: *",
                "access-control-expose-headers: server-timing",
                "access-control-expose-headers: traceresponse",
                timing,
                response,
            ],
        ),
    ] {
        assert_eq!(write(headers, existing), expected, "{rule}");
    }
}

#[test]
fn item_within_quotes_does_not_count() {
    let timing_alone = TraceHeaders {
        server_timing: true,
        ..TraceHeaders::default()
    };
    let added = format!("server-timing: traceparent;desc=\"{IDS}\"");
    for (rule, existing, has_item) in [
        ("in quotes", r#"db;desc="a, traceparent, b""#, false),
        ("after quotes", r#"db;desc="a", traceparent"#, true),
        (
            "an escaped quote does not close",
            r#"db;desc="\", traceparent, b""#,
            false,
        ),
        (
            "a backslash outside quotes does not escape",
            r"db\, traceparent;desc=mine",
            true,
        ),
    ] {
        let mut expected = vec![format!("server-timing: {existing}")];
        expected.extend((!has_item).then(|| added.clone()));
        let existing = [("server-timing", existing)];
        assert_eq!(write(timing_alone, &existing), expected, "{rule}");
    }
}

#[test]
fn invalid_span_context_writes_no_header() {
    let both = TraceHeaders {
        traceresponse: true,
        server_timing: true,
        exposed: true,
    };
    let mut headers = HeaderMap::new();
    both.write(&SpanContext::NONE, &mut headers);
    assert!(headers.is_empty());
}
