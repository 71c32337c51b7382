//! Emits the log events of requests.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::KeyValue;
use opentelemetry::logs::{LoggerProvider, Severity};

use crate::catch_panic::catch_panic;
use crate::outcome::lifecycle::{LifecycleEvents, terminal_event};
use crate::outcome::reason::is_disconnect;
use crate::outcome::{Aborted, End, Outcome};
use crate::protocol::grpc::Protocol;
use crate::provider::logger::{EmitEvent, LogEvent, logger_from};
use crate::recording::ended_request::EndedRequest;
use crate::recording::shared_span::SharedSpan;
use crate::semconv as key;

/// The logger of a layer, if there is one.
#[derive(Clone, Default)]
pub(crate) struct Loggers(Option<Arc<dyn EmitEvent>>);

impl Drop for Loggers {
    fn drop(&mut self) {
        // A request may drop the last logger, whose destructor may panic.
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

    /// Emits the log events of a request that has ended. Log processors read its context, which is current.
    pub(crate) fn emit(
        &self,
        ended: &EndedRequest<'_>,
        span: &SharedSpan,
        lifecycle_events: LifecycleEvents,
    ) {
        let Some(logger) = &self.0 else {
            return;
        };
        let mut events = Vec::new();
        if lifecycle_events.is_logged() {
            events.extend(lifecycle(ended, span.clock().started()));
        }
        events.extend(exception(ended));
        for event in events {
            // If one event panics, the others are still emitted.
            catch_panic(|| logger.emit_event(event, span.span_context()));
        }
    }
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "Given" } else { "none" })
    }
}

/// Returns the lifecycle events, in the order of their times.
fn lifecycle(ended: &EndedRequest<'_>, started: SystemTime) -> Vec<LogEvent> {
    let info = |name, at, attributes| LogEvent {
        name,
        severity: Severity::Info,
        at,
        attributes,
    };
    let mut events = vec![info(key::EVENT_ARRIVED, started, Vec::new())];
    let recorded = ended.buffer.iter().flat_map(|buffer| &buffer.events);
    events.extend(recorded.filter_map(|event| {
        let name = key::EVENT_HANDOFF_TO_CORE;
        (event.name == name).then(|| info(name, event.at, event.attributes.clone()))
    }));
    let first = key::EVENT_FIRST_RESPONSE_FROM_CORE;
    events.extend(ended.first_response.map(|at| info(first, at, Vec::new())));
    // The handler may record its handoff after the engine has answered.
    events.sort_by_key(|event| event.at);
    if let Some(outcome) = &ended.completion.outcome {
        let (name, attributes) = terminal_event(outcome.clone());
        events.push(info(name, ended.at, attributes));
    }
    events
}

/// Returns the exception that the request ended with, if it did: an error that is more than a status. A
/// client that disconnected is reported with severity DEBUG.
fn exception(ended: &EndedRequest<'_>) -> Option<LogEvent> {
    let Outcome::Aborted(aborted) = ended.completion.outcome.as_ref()? else {
        return None;
    };
    let severity = exception_severity(ended, aborted)?;
    let Aborted {
        reason, message, ..
    } = aborted;
    // The type of a boxed error may be unknown where its kind is not.
    let kind = || ended.completion.end.error_kind().cloned();
    let type_name = ended.error_type_name.map(Cow::Borrowed).or_else(kind);
    let type_name = type_name
        .filter(|_| !is_from_verdict(ended))
        .unwrap_or(Cow::Borrowed(reason));
    let mut attributes = vec![KeyValue::new(key::EXCEPTION_TYPE, type_name)];
    let message = message.clone();
    attributes.extend(message.map(|message| KeyValue::new(key::EXCEPTION_MESSAGE, message)));
    Some(LogEvent {
        name: match ended.completion.protocol {
            Protocol::Http => key::EVENT_HTTP_EXCEPTION,
            Protocol::Grpc | Protocol::GrpcWeb => key::EVENT_RPC_EXCEPTION,
        },
        severity,
        at: ended.at,
        attributes,
    })
}

/// Whether a verdict decided the outcome, and not the end.
fn is_from_verdict(ended: &EndedRequest<'_>) -> bool {
    let completion = &ended.completion;
    completion.verdict.is_some() && !matches!(completion.end, End::Panicked)
}

fn exception_severity(ended: &EndedRequest<'_>, aborted: &Aborted) -> Option<Severity> {
    match ended.completion.end {
        End::Dropped { .. } if is_disconnect(aborted.reason) => Some(Severity::Debug),
        _ if aborted.error_type.is_none() => None,
        // A status is in the span already.
        End::Complete { .. } if !is_from_verdict(ended) => None,
        End::Complete { .. }
        | End::LengthMismatch { .. }
        | End::Truncated
        | End::ServiceError { .. }
        | End::BodyError { .. }
        | End::Dropped { .. }
        | End::Panicked => Some(Severity::Error),
    }
}
