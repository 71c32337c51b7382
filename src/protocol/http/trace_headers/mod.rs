//! Response headers that return the trace to the caller. Pure.

use http::header::ACCESS_CONTROL_EXPOSE_HEADERS;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::SpanContext;

use crate::propagation::traceparent::format_traceparent;

const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The settings for the response's trace headers.
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
            // If the map is full, the header is dropped.
            let _ = headers.try_insert(TRACERESPONSE, value);
            self.expose(&TRACERESPONSE, headers);
        }
        if self.server_timing
            && !has_item(headers, &SERVER_TIMING, "traceparent")
            && let Ok(value) = HeaderValue::try_from(format!("traceparent;desc=\"{traceparent}\""))
        {
            // The header is appended, so that the handler's metrics stay.
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
        // A comma in quotes does not separate items.
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
mod tests;
