//! Gets loggers from a provider, and emits log events.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider, Severity};
use opentelemetry::trace::SpanContext;
use opentelemetry::{Array, KeyValue, StringValue, Value};

use crate::provider::noop::is_noop_logger;
use crate::semconv as key;

/// A log event to be emitted.
pub(crate) struct LogEvent {
    pub(crate) name: &'static str,
    pub(crate) severity: Severity,
    pub(crate) at: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
}

/// A logger whose type is erased.
pub(crate) trait EmitEvent: Send + Sync {
    /// Emits an event, with the trace and span id of `span_context` if they are valid.
    fn emit_event(&self, event: LogEvent, span_context: &SpanContext);
}

/// Returns the logger of a provider, unless it is the API's no-op.
pub(crate) fn logger_from<P>(provider: &P) -> Option<Arc<dyn EmitEvent>>
where
    P: LoggerProvider,
    P::Logger: Send + Sync + 'static,
{
    if is_noop_logger::<P::Logger>() {
        return None;
    }
    Some(Arc::new(provider.logger_with_scope(key::scope())))
}

/// In version 0.31 of the API, `Logger` has `event_enabled` only with the feature `spec_unstable_logs_enabled`. Without
/// it, no processor refuses events. Where `Logger` has the method, a call on `&L` finds that first, because this one
/// takes `&&L`.
trait EventEnabled {
    #[allow(dead_code, reason = "unused where `Logger` has the method")]
    fn event_enabled(&self, _: Severity, _: &str, _: Option<&str>) -> bool {
        true
    }
}

impl<L: Logger> EventEnabled for &L {}

impl<L: Logger + Send + Sync> EmitEvent for L {
    fn emit_event(&self, event: LogEvent, span_context: &SpanContext) {
        let LogEvent {
            name,
            severity,
            at,
            attributes,
        } = event;
        if !self.event_enabled(severity, key::SCOPE_NAME, Some(name)) {
            return;
        }
        let mut record = self.create_log_record();
        record.set_event_name(name);
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_timestamp(at);
        record.set_observed_timestamp(SystemTime::now());
        for KeyValue { key, value, .. } in attributes {
            record.add_attribute(key, to_any_value(value));
        }
        if span_context.is_valid() {
            record.set_trace_context(
                span_context.trace_id(),
                span_context.span_id(),
                Some(span_context.trace_flags()),
            );
        }
        self.emit(record);
    }
}

/// Converts the value of a span's attribute to one of a log record's.
fn to_any_value(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Boolean(value),
        Value::I64(value) => AnyValue::Int(value),
        Value::F64(value) => AnyValue::Double(value),
        Value::String(value) => AnyValue::String(value),
        Value::Array(Array::Bool(values)) => values.into_iter().collect(),
        Value::Array(Array::I64(values)) => values.into_iter().collect(),
        Value::Array(Array::F64(values)) => values.into_iter().collect(),
        Value::Array(Array::String(values)) => values.into_iter().collect(),
        // Both enums are non-exhaustive.
        other @ (Value::Array(_) | _) => AnyValue::String(StringValue::from(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_its_type_in_a_log_record() {
        let list = |values: Vec<AnyValue>| AnyValue::ListAny(Box::new(values));
        for (value, expected) in [
            (Value::Bool(true), AnyValue::Boolean(true)),
            (Value::I64(-7), AnyValue::Int(-7)),
            (Value::F64(0.5), AnyValue::Double(0.5)),
            (Value::from("a"), AnyValue::from("a")),
            (
                Value::Array(vec![true, false].into()),
                list(vec![true.into(), false.into()]),
            ),
            (
                Value::Array(vec![1, 2].into()),
                list(vec![1.into(), 2.into()]),
            ),
            (
                Value::Array(vec![0.5, 2.0].into()),
                list(vec![0.5.into(), 2.0.into()]),
            ),
            (
                Value::Array(vec![StringValue::from("a")].into()),
                list(vec!["a".into()]),
            ),
        ] {
            assert_eq!(to_any_value(value), expected);
        }
    }
}
