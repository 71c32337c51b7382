//! Log events of requests, from the same summary as their spans.

use std::any::TypeId;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{
    AnyValue, LogRecord, Logger, LoggerProvider, NoopLoggerProvider, Severity,
};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};

use crate::catch_panic::catch_panic;
use crate::middleware::in_context::attached;
use crate::outcome::{Aborted, End, Outcome};
use crate::protocol::grpc::Protocol;
use crate::recording::completion::Completion;
use crate::recording::shared_span::{Slot, ThinSpan};
use crate::semconv as key;
use crate::settings::Settings;
use crate::telemetry::span;

/// Where log events go, if anywhere.
#[derive(Clone, Default)]
pub(crate) struct Loggers(Option<Arc<dyn Emit>>);

impl Drop for Loggers {
    fn drop(&mut self) {
        // A request may be the last to have the settings.
        catch_panic(|| drop(self.0.take()));
    }
}

impl Loggers {
    pub(crate) fn given<P>(provider: &P) -> Self
    where
        P: LoggerProvider,
        P::Logger: Send + Sync + 'static,
    {
        type Noop = <NoopLoggerProvider as LoggerProvider>::Logger;
        if TypeId::of::<P::Logger>() == TypeId::of::<Noop>() {
            return Self(None);
        }
        Self(Some(Arc::new(provider.logger_with_scope(key::scope()))))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Emits what is to be said of a request that is over, with its span's context, and current.
    pub(crate) fn emit(&self, summary: &Completion<'_>, slot: &Arc<dyn Slot>, config: &Settings) {
        let Some(logger) = &self.0 else {
            return;
        };
        let mut events = Vec::new();
        if config.lifecycle_events.are_logged() {
            events.extend(lifecycle(summary, slot.timeline().started()));
        }
        events.extend(exception(summary));
        if events.is_empty() {
            return;
        }
        // Without a span it has no trace, and not that of what happens to be current here.
        let context = if slot.span_context().is_valid() {
            Context::current().with_span(ThinSpan(Arc::clone(slot)))
        } else {
            Context::new()
        };
        attached(Some(&context), || {
            for event in events {
                // One that fails takes no other with it.
                catch_panic(|| logger.emit_event(event, slot.as_ref()));
            }
        });
    }
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Given" } else { "none" })
    }
}

/// A log event to be emitted.
struct LogEvent {
    name: &'static str,
    severity: Severity,
    at: SystemTime,
    attributes: Vec<KeyValue>,
}

/// A logger whose type is forgotten.
trait Emit: Send + Sync {
    fn emit_event(&self, event: LogEvent, slot: &dyn Slot);
}

impl<L: Logger + Send + Sync> Emit for L {
    fn emit_event(&self, event: LogEvent, slot: &dyn Slot) {
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
            record.add_attribute(key, any(value));
        }
        let ids = slot.span_context();
        if ids.is_valid() {
            record.set_trace_context(ids.trace_id(), ids.span_id(), Some(ids.trace_flags()));
        }
        self.emit(record);
    }
}

/// The events of the request's life, in their order.
fn lifecycle(summary: &Completion<'_>, started: SystemTime) -> Vec<LogEvent> {
    let info = |name, at, attributes| LogEvent {
        name,
        severity: Severity::Info,
        at,
        attributes,
    };
    let mut events = vec![info(key::EVENT_ARRIVED, started, Vec::new())];
    let told = summary.told.iter().flat_map(|told| &told.events);
    events.extend(told.filter_map(|event| {
        let name = key::EVENT_HANDOFF_TO_CORE;
        (event.name == name).then(|| info(name, event.at, event.attributes.clone()))
    }));
    let first = key::EVENT_FIRST_RESPONSE_FROM_CORE;
    events.extend(summary.first_response.map(|at| info(first, at, Vec::new())));
    // A handoff may be told when the engine has answered already.
    events.sort_by_key(|event| event.at);
    if let Some(outcome) = &summary.outcome {
        let (name, attributes) = span::terminal_event(outcome.clone());
        events.push(info(name, summary.at, attributes));
    }
    events
}

/// The exception that the request has ended with, if it has: an error that is no mere status. That a
/// client has left is no more than noted.
fn exception(summary: &Completion<'_>) -> Option<LogEvent> {
    let Outcome::Aborted(aborted) = summary.outcome.as_ref()? else {
        return None;
    };
    let Aborted {
        reason,
        error_type,
        message,
    } = aborted;
    let is_left = matches!(summary.end, End::Dropped { .. }) && is_of_leaving(reason);
    let by_verdict = summary.is_by_verdict;
    let severity = match summary.end {
        _ if is_left => Severity::Debug,
        _ if error_type.is_none() => return None,
        // A status tells itself.
        End::Complete { .. } if !by_verdict => return None,
        End::Complete { .. }
        | End::LengthMismatch { .. }
        | End::ServiceError { .. }
        | End::BodyError { .. }
        | End::Dropped { .. }
        | End::Panicked => Severity::Error,
    };
    let kind = summary.error_type_name.filter(|_| !by_verdict);
    let mut attributes = vec![KeyValue::new(key::EXCEPTION_TYPE, kind.unwrap_or(reason))];
    let message = message.clone();
    attributes.extend(message.map(|message| KeyValue::new(key::EXCEPTION_MESSAGE, message)));
    Some(LogEvent {
        // As the metrics have it: what was answered in another language was no call.
        name: match summary.head.protocol {
            Protocol::Http => key::EVENT_HTTP_EXCEPTION,
            Protocol::Grpc | Protocol::GrpcWeb => key::EVENT_RPC_EXCEPTION,
        },
        severity,
        at: summary.at,
        attributes,
    })
}

/// Whether a reason says that somebody has left before the end.
fn is_of_leaving(reason: &str) -> bool {
    [
        crate::outcome::CLIENT_DISCONNECT,
        crate::outcome::GENERATOR_EXIT,
    ]
    .contains(&reason)
}

/// A value of a span's attribute as one of a log's.
fn any(value: Value) -> AnyValue {
    match value {
        Value::Bool(value) => AnyValue::Boolean(value),
        Value::I64(value) => AnyValue::Int(value),
        Value::F64(value) => AnyValue::Double(value),
        Value::String(value) => AnyValue::String(value),
        Value::Array(Array::Bool(values)) => values.into_iter().collect(),
        Value::Array(Array::I64(values)) => values.into_iter().collect(),
        Value::Array(Array::F64(values)) => values.into_iter().collect(),
        Value::Array(Array::String(values)) => values.into_iter().collect(),
        // What the API may think of next.
        other @ (Value::Array(_) | _) => AnyValue::String(StringValue::from(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_of_the_same_type_in_a_log() {
        let list = |values: Vec<AnyValue>| AnyValue::ListAny(Box::new(values));
        for (of_a_span, of_a_log) in [
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
            assert_eq!(any(of_a_span), of_a_log);
        }
    }
}
