//! Log events of requests.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::logs::{LoggerProvider, Severity};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

use crate::catch_panic::catch_panic;
use crate::outcome::lifecycle::{LifecycleEvents, terminal_event};
use crate::outcome::reason::is_disconnect;
use crate::outcome::{Aborted, End, Outcome};
use crate::propagation::current::with_current;
use crate::protocol::grpc::Protocol;
use crate::provider::logger::{EmitEvent, LogEvent, logger_from};
use crate::recording::completion::Completion;
use crate::recording::context_span::ContextSpan;
use crate::recording::shared_span::SharedSpan;
use crate::semconv as key;

/// Where log events are emitted, if anywhere.
#[derive(Clone, Default)]
pub(crate) struct Loggers(Option<Arc<dyn EmitEvent>>);

impl Drop for Loggers {
    fn drop(&mut self) {
        // A request may be the last to hold the settings.
        catch_panic(|| drop(self.0.take()));
    }
}

impl Loggers {
    pub(crate) fn given<P>(provider: &P) -> Self
    where
        P: LoggerProvider,
        P::Logger: Send + Sync + 'static,
    {
        Self(logger_from(provider))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Emits the log events of a request that has ended, with its span's context current.
    pub(crate) fn emit(
        &self,
        completion: &Completion<'_>,
        span: &Arc<SharedSpan>,
        lifecycle_events: LifecycleEvents,
    ) {
        let Some(logger) = &self.0 else {
            return;
        };
        let mut events = Vec::new();
        if lifecycle_events.is_logged() {
            events.extend(lifecycle(completion, span.clock().started()));
        }
        events.extend(exception(completion));
        if events.is_empty() {
            return;
        }
        // Without a span the events have no trace, rather than that of a span which happens to be
        // current here.
        let context = if span.span_context().is_valid() {
            Context::current().with_span(ContextSpan(Arc::clone(span)))
        } else {
            Context::new()
        };
        with_current(&context, || {
            for event in events {
                // One that panics affects no other.
                catch_panic(|| logger.emit_event(event, span.span_context()));
            }
        });
    }
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Given" } else { "none" })
    }
}

/// Returns the lifecycle events, in the order of their times.
fn lifecycle(completion: &Completion<'_>, started: SystemTime) -> Vec<LogEvent> {
    let info = |name, at, attributes| LogEvent {
        name,
        severity: Severity::Info,
        at,
        attributes,
    };
    let mut events = vec![info(key::EVENT_ARRIVED, started, Vec::new())];
    let recorded = completion.buffer.iter().flat_map(|buffer| &buffer.events);
    events.extend(recorded.filter_map(|event| {
        let name = key::EVENT_HANDOFF_TO_CORE;
        (event.name == name).then(|| info(name, event.at, event.attributes.clone()))
    }));
    let first = key::EVENT_FIRST_RESPONSE_FROM_CORE;
    events.extend(
        completion
            .first_response
            .map(|at| info(first, at, Vec::new())),
    );
    // The handler may record its handoff after the engine has answered.
    events.sort_by_key(|event| event.at);
    if let Some(outcome) = &completion.outcome {
        let (name, attributes) = terminal_event(outcome.clone());
        events.push(info(name, completion.at, attributes));
    }
    events
}

/// Returns the exception that the request ended with, if it did: an error that is more than a status. A
/// client that left is reported with severity DEBUG.
fn exception(completion: &Completion<'_>) -> Option<LogEvent> {
    let Outcome::Aborted(aborted) = completion.outcome.as_ref()? else {
        return None;
    };
    let severity = exception_severity(completion, aborted)?;
    let Aborted {
        reason, message, ..
    } = aborted;
    // The type of a boxed error may be unknown where its kind is not.
    let kind = || completion.end.error_type().cloned();
    let type_name = completion.error_type_name.map(Cow::Borrowed).or_else(kind);
    let type_name = type_name
        .filter(|_| !completion.is_outcome_from_verdict)
        .unwrap_or(Cow::Borrowed(reason));
    let mut attributes = vec![KeyValue::new(key::EXCEPTION_TYPE, type_name)];
    let message = message.clone();
    attributes.extend(message.map(|message| KeyValue::new(key::EXCEPTION_MESSAGE, message)));
    Some(LogEvent {
        name: match completion.head.protocol {
            Protocol::Http => key::EVENT_HTTP_EXCEPTION,
            Protocol::Grpc | Protocol::GrpcWeb => key::EVENT_RPC_EXCEPTION,
        },
        severity,
        at: completion.at,
        attributes,
    })
}

fn exception_severity(completion: &Completion<'_>, aborted: &Aborted) -> Option<Severity> {
    match completion.end {
        End::Dropped { .. } if is_disconnect(aborted.reason) => Some(Severity::Debug),
        _ if aborted.error_type.is_none() => None,
        // A status is in the span already.
        End::Complete { .. } if !completion.is_outcome_from_verdict => None,
        End::Complete { .. }
        | End::LengthMismatch { .. }
        | End::ServiceError { .. }
        | End::BodyError { .. }
        | End::Dropped { .. }
        | End::Panicked => Some(Severity::Error),
    }
}
