//! The span of a call to the upstream.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use opentelemetry::trace::{SpanKind, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use crate::upstream::CallError;
use crate::usage::Usage;

/// An open CLIENT span. If it is dropped, the call is cancelled.
pub(crate) struct CoreSpan {
    context: Context,
    end: &'static str,
}

impl CoreSpan {
    /// Starts the span, as a child of `parent`.
    pub(crate) fn start(tracer: &SdkTracer, parent: &Context, request: &Request<Body>) -> Self {
        let uri = request.uri();
        let mut attributes = vec![
            KeyValue::new("http.request.method", request.method().to_string()),
            KeyValue::new("server.address", uri.host().unwrap_or_default().to_owned()),
            // Without the query, which may contain a key.
            KeyValue::new("url.path", uri.path().to_owned()),
        ];
        let port = i64::from(uri.port_u16().unwrap_or(80));
        attributes.push(KeyValue::new("server.port", port));
        let span = tracer
            .span_builder("llm_core")
            .with_kind(SpanKind::Client)
            .with_attributes(attributes)
            .start_with_context(tracer, parent);
        Self {
            context: parent.with_span(span),
            end: "cancelled",
        }
    }

    /// Returns the context of the span, to send to the upstream.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn record_head(&self, status: StatusCode) {
        let code = i64::from(status.as_u16());
        self.set("http.response.status_code", code);
        if status.is_client_error() || status.is_server_error() {
            self.set("error.type", code.to_string());
            self.context.span().set_status(Status::error(""));
        }
    }

    pub(crate) fn record_usage(&self, usage: Usage) {
        if let Some(tokens) = usage.input_tokens {
            self.set("gen_ai.usage.input_tokens", tokens);
        }
        if let Some(tokens) = usage.output_tokens {
            self.set("gen_ai.usage.output_tokens", tokens);
        }
    }

    /// Ends the span: there is no response. Returns the error.
    pub(crate) fn fail(self, error: CallError) -> CallError {
        if let Some(reason) = error.reason() {
            self.set("error.type", reason);
            self.end_with_error(error.to_string());
        }
        error
    }

    /// Ends the span: the body is complete.
    pub(crate) fn complete(mut self) {
        self.end = "complete";
    }

    /// Ends the span: the body has failed.
    pub(crate) fn end_with_error(mut self, message: String) {
        self.context.span().set_status(Status::error(message));
        self.end = "failed";
    }

    fn set(&self, key: &'static str, value: impl Into<opentelemetry::Value>) {
        let attribute = KeyValue::new(key, value);
        self.context.span().set_attribute(attribute);
    }
}

impl Drop for CoreSpan {
    fn drop(&mut self) {
        self.set("upstream.end", self.end);
        self.context.span().end();
    }
}
