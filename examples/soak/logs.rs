//! Counts the log events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};

/// A logger provider that counts events and keeps none.
#[derive(Clone)]
pub(crate) struct Logs {
    pub(crate) provider: SdkLoggerProvider,
    events: Count,
}

#[derive(Clone, Debug, Default)]
struct Count(Arc<AtomicU64>);

impl Logs {
    pub(crate) fn new() -> Self {
        let events = Count::default();
        let builder = SdkLoggerProvider::builder();
        Self {
            provider: builder.with_log_processor(events.clone()).build(),
            events,
        }
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.0.load(Ordering::Relaxed)
    }
}

impl LogProcessor for Count {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
