//! A log processor that refuses all events: the layer calls the API's `event_enabled`, not its substitute for an API
//! without it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::Severity;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use tower_api_span::ApiSpanLayer;

use crate::{send, serve};

/// Counts the events that it receives.
#[derive(Debug)]
struct Processor {
    is_enabled: bool,
    received: Arc<AtomicUsize>,
}

impl LogProcessor for Processor {
    fn emit(&self, _: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.received.fetch_add(1, Ordering::SeqCst);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn event_enabled(&self, _: Severity, _: &str, _: Option<&str>) -> bool {
        self.is_enabled
    }
}

/// Checks that the event of a failure is emitted only if the processor accepts it.
pub(crate) async fn check() {
    for (is_enabled, expected) in [(true, 1), (false, 0)] {
        let received = Arc::new(AtomicUsize::new(0));
        let processor = Processor {
            is_enabled,
            received: Arc::clone(&received),
        };
        let provider = SdkLoggerProvider::builder()
            .with_log_processor(processor)
            .build();
        let port = serve(ApiSpanLayer::new().logger_provider(&provider)).await;
        send(port, "/fails", "", 500).await;
        let received = received.load(Ordering::SeqCst);
        assert_eq!(received, expected, "is_enabled: {is_enabled}");
    }
}
