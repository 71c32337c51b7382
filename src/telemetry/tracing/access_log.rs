//! Writes the access log.

use std::borrow::Cow;
use std::time::Duration;

use http::request;
use opentelemetry::trace::{TraceContextExt, TraceId};
use tracing::Level;
use tracing::dispatcher::{Dispatch, get_default, with_default};

use super::LOG_TARGET;
use crate::catch_panic::catch_panic;
use crate::outcome::completion::RequestPath;
use crate::outcome::reason::is_disconnect;
use crate::outcome::{Completion, Outcome};
use crate::propagation::current::current;
use crate::protocol::grpc::{GrpcCode, Protocol};
use crate::recording::request_tracer::muted;
use crate::settings::Settings;
use crate::settings::tracing::AccessLog;
use crate::text::truncate;

/// What the lines of one request share.
#[derive(Debug)]
pub(crate) struct RequestLog {
    client_address: Option<String>,
    /// The subscriber at the arrival. Another thread, on which the request may end, may have another.
    subscriber: Dispatch,
}

/// Whether the request is logged: if there is a log, a subscriber, and no filter that refuses it. The subscriber is not
/// asked whether it wants a line: behind a filter, a layer would then lose the next event (tokio-rs/tracing#2519).
#[inline]
pub(crate) fn is_wanted(settings: &Settings, parts: &request::Parts) -> bool {
    settings.tracing.is_read() && is_logged(settings, parts)
}

#[inline(never)]
fn is_logged(settings: &Settings, parts: &request::Parts) -> bool {
    let Some(log) = &settings.tracing.access_log else {
        return false;
    };
    let answer = log.filter.call(|filter| filter(parts));
    answer.is_none_or(|answer| answer.unwrap_or(true))
}

impl RequestLog {
    pub(crate) fn new(client_address: Option<String>) -> Self {
        Self {
            client_address,
            subscriber: get_default(Clone::clone),
        }
    }

    /// Writes the line of a request that has arrived, if the settings ask for it. The context of the request's span is
    /// current.
    pub(crate) fn write_start(
        &self,
        settings: &Settings,
        parts: &request::Parts,
        path: Option<&RequestPath>,
    ) {
        let Some(log) = settings
            .tracing
            .access_log
            .as_ref()
            .filter(|log| log.has_start)
        else {
            return;
        };
        let ids = current().span().span_context().clone();
        let query = redacted_query(log, settings, path);
        self.write(|| {
            tracing::info!(
                target: LOG_TARGET,
                method = truncate(parts.method.as_str()),
                path = path.map(|path| truncate(path.path())),
                query = query.as_deref(),
                version = ?parts.version,
                client_address = self.client_address.as_deref(),
                trace_id = ids.is_valid().then(|| display(ids.trace_id())),
                span_id = ids.is_valid().then(|| display(ids.span_id())),
                "request started"
            );
        });
    }

    /// Writes the line of a request that has ended.
    pub(crate) fn write_end(&self, completion: &Completion, settings: &Settings) {
        let Some(log) = &settings.tracing.access_log else {
            return;
        };
        let level = log.level.call(|level| level(completion));
        let level = level.and_then(Result::ok);
        let level = level.unwrap_or_else(|| default_level(completion));
        let query = redacted_query(log, settings, completion.path.as_ref());
        let client_address = self.client_address.as_deref();
        self.write(|| write(level, completion, query.as_deref(), client_address));
    }

    /// Calls `f`, which writes a line. That is no event of the SERVER span, which has all of it already.
    fn write(&self, f: impl FnOnce()) {
        catch_panic(|| with_default(&self.subscriber, || muted(f)));
    }
}

/// Writes a line. The texts are written as such, so that a subscriber escapes what a client has sent.
fn write(level: Level, completion: &Completion, query: Option<&str>, client_address: Option<&str>) {
    let (outcome, aborted) = match &completion.outcome {
        None => (None, None),
        Some(Outcome::Departed) => (Some("DEPARTED"), None),
        Some(Outcome::Aborted(aborted)) => (Some("ABORTED"), Some(aborted)),
    };
    let grpc_status = match completion.protocol {
        Protocol::Http => None,
        Protocol::Grpc | Protocol::GrpcWeb => completion.end.grpc_code(),
    };
    let has_ids = completion.trace_id != TraceId::INVALID;
    /// The level of an event is constant.
    macro_rules! event {
        ($level:ident) => {
            tracing::event!(
                target: LOG_TARGET,
                Level::$level,
                method = truncate(completion.method.as_str()),
                path = completion.path().map(truncate),
                query,
                route = completion.route(),
                version = ?completion.version,
                status = completion.status.map(|status| status.as_u16()),
                grpc_status = grpc_status.map(GrpcCode::as_str),
                outcome,
                reason = aborted.map(|aborted| aborted.reason),
                error_type = aborted.and_then(|aborted| aborted.error_type.as_deref()),
                error = aborted.and_then(|aborted| aborted.message.as_deref()),
                duration_ms = milliseconds(completion.duration),
                time_to_head_ms = completion.time_to_head.map(milliseconds),
                request_bytes = completion.request_bytes,
                response_bytes = completion.response_bytes,
                client_address,
                trace_id = has_ids.then(|| display(completion.trace_id)),
                span_id = has_ids.then(|| display(completion.span_id)),
                "request completed"
            )
        };
    }
    match level {
        Level::ERROR => event!(ERROR),
        Level::WARN => event!(WARN),
        Level::INFO => event!(INFO),
        Level::DEBUG => event!(DEBUG),
        _ => event!(TRACE),
    }
}

/// Returns the query, if the settings ask for it.
fn redacted_query<'a>(
    log: &AccessLog,
    settings: &Settings,
    path: Option<&'a RequestPath>,
) -> Option<Cow<'a, str>> {
    let query = path.filter(|_| log.has_query)?.query()?;
    Some(settings.sensitive_parameters.redact(query))
}

/// Returns the level of a line, unless the settings choose it.
fn default_level(completion: &Completion) -> Level {
    match &completion.outcome {
        Some(Outcome::Departed) => Level::INFO,
        Some(Outcome::Aborted(aborted)) if aborted.error_type.is_none() => Level::WARN,
        Some(Outcome::Aborted(aborted)) if is_disconnect(aborted.reason) => Level::WARN,
        Some(Outcome::Aborted(_)) | None => Level::ERROR,
    }
}

/// Returns a time in milliseconds, to the microsecond.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1_000_000.0).round() / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_milliseconds_to_the_microsecond() {
        for (nanoseconds, expected) in [
            (0, "0"),
            (1_499, "0.001"),
            (1_500_000, "1.5"),
            (2_000_000_000, "2000"),
        ] {
            let time = milliseconds(Duration::from_nanos(nanoseconds));
            assert_eq!(time.to_string(), expected);
        }
    }
}
