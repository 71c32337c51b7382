//! Response headers that return the trace to the caller. Pure.

use http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::SpanContext;

use crate::propagation::traceparent::format_traceparent;

const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The headers that are written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TraceHeaders {
    pub(crate) traceresponse: bool,
    pub(crate) server_timing: bool,
    /// Whether they are listed in `Access-Control-Expose-Headers`.
    pub(crate) exposed: bool,
}

impl TraceHeaders {
    /// Whether any header is written.
    pub(crate) fn is_enabled(self) -> bool {
        self.traceresponse || self.server_timing
    }

    /// Writes the headers, except those that the handler has set.
    pub(crate) fn write(self, span_context: &SpanContext, headers: &mut HeaderMap) {
        if !span_context.is_valid() {
            return;
        }
        let traceparent = format_traceparent(span_context);
        if self.traceresponse
            && !headers.contains_key(TRACERESPONSE)
            && let Ok(value) = HeaderValue::from_str(&traceparent)
        {
            // A full map drops the header.
            let _ = headers.try_insert(TRACERESPONSE, value);
            self.expose(&TRACERESPONSE, headers);
        }
        if self.server_timing
            && !has_item(headers, &SERVER_TIMING, "traceparent")
            && let Ok(value) = HeaderValue::try_from(format!("traceparent;desc=\"{traceparent}\""))
        {
            // Appended, so that the handler's metrics stay.
            let _ = headers.try_append(SERVER_TIMING, value);
            self.expose(&SERVER_TIMING, headers);
        }
    }

    fn expose(self, name: &HeaderName, headers: &mut HeaderMap) {
        // `*` does not count: with credentials it is a literal name (Fetch, "CORS protocol").
        let is_exposed = has_item(headers, &ACCESS_CONTROL_EXPOSE_HEADERS, name.as_str());
        if self.exposed
            && !is_exposed
            && let Ok(value) = HeaderValue::from_str(name.as_str())
        {
            let _ = headers.try_append(ACCESS_CONTROL_EXPOSE_HEADERS, value);
        }
    }
}

/// Whether a comma-separated header has an item of this name, with any parameters.
fn has_item(headers: &HeaderMap, name: &HeaderName, item: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut texts = values.filter_map(|value| value.to_str().ok());
    texts.any(|text| {
        let mut is_quoted = false;
        let mut is_escaped = false;
        // Commas in quotes do not separate.
        let mut items = text.split(|character| {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                _ => return character == ',' && !is_quoted,
            }
            false
        });
        items.any(|found| {
            let found = found.split(';').next().unwrap_or_default();
            found.trim().eq_ignore_ascii_case(item)
        })
    })
}

#[cfg(test)]
mod tests {
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
}
