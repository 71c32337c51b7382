//! The processors that record the spans and the log events.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::records::{IN_CALLERS_TRACE, Records, WRONG_OUTCOME};
use super::requests::{Kind, callers_trace};
use crate::tag::NUMBER;

/// Records the spans of one provider.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) number: usize,
    pub(super) records: Arc<Records>,
}

#[derive(Debug)]
pub(super) struct SharedReceiver(pub(super) Arc<Receiver>);

impl SharedReceiver {
    /// Returns the number of the span's request.
    fn request(span: &SpanData) -> Option<u64> {
        let mut attributes = span.attributes.iter();
        let number = attributes.find(|attribute| attribute.key.as_str() == NUMBER)?;
        let Value::I64(number) = number.value else {
            return None;
        };
        u64::try_from(number).ok()
    }
}

impl SpanProcessor for SharedReceiver {
    fn on_start(&self, span: &mut Span, _: &Context) {
        let data = span.exported_data();
        let number = data.as_ref().and_then(Self::request);
        let Receiver {
            number: provider,
            records,
        } = &*self.0;
        if let Some(number) = number {
            records.of(number).start(*provider);
        }
    }

    fn on_end(&self, span: SpanData) {
        let Some(number) = Self::request(&span) else {
            return;
        };
        let Receiver {
            number: provider,
            records,
        } = &*self.0;
        let record = records.of(number);
        record.arrive(*provider);
        let trace = u128::from_be_bytes(span.span_context.trace_id().to_bytes());
        if trace == callers_trace(number) {
            record.add(IN_CALLERS_TRACE);
        }
        let mut attributes = span.attributes.iter();
        let outcome = attributes.find(|attribute| attribute.key.as_str() == "api.outcome");
        let outcome = outcome.map(|outcome| outcome.value.as_str());
        if outcome.as_deref() != Some(Kind::new(number).outcome()) {
            record.add(WRONG_OUTCOME);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Returns a logger provider that counts the log events. The API has no global one, so it is given and stays.
pub(crate) fn log_provider(records: &Arc<Records>) -> SdkLoggerProvider {
    let processor = Events(Arc::clone(records));
    let builder = SdkLoggerProvider::builder();
    builder.with_log_processor(processor).build()
}

#[derive(Debug)]
struct Events(Arc<Records>);

impl LogProcessor for Events {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.0.log_events.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
