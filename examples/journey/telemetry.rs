//! Where the spans of the served application go: to stdout, or to a collector.

use std::env;
use std::fmt::Debug;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry_otlp::SpanExporter as OtlpExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Runtime;

use crate::complain;
use crate::drawing::{events, tone};
use crate::spans::EndedSpan;
use crate::style::Style;
use crate::timeline::millis;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// A provider, and what is needed to shut it down.
pub(crate) struct Telemetry {
    pub(crate) provider: SdkTracerProvider,
    has_failed: Arc<AtomicBool>,
    /// The exporter's own, because it has work to do when the server's is gone.
    _runtime: Option<Runtime>,
}

impl Telemetry {
    /// Exports to the collector that the environment names, or else to stdout.
    ///
    /// # Errors
    ///
    /// A sentence, if the environment names a collector that there cannot be.
    pub(crate) fn from_env() -> Result<Self, String> {
        let builder = SdkTracerProvider::builder();
        let has_failed = Arc::new(AtomicBool::new(false));
        let Some(endpoint) = env::var(ENDPOINT).ok().filter(|value| !value.is_empty()) else {
            let lines = Lines(Style::of_stdout());
            return Ok(Self {
                provider: builder.with_simple_exporter(lines).build(),
                has_failed,
                _runtime: None,
            });
        };
        let runtime = Runtime::new().map_err(|error| error.to_string())?;
        let otlp = {
            let _entered = runtime.enter();
            OtlpExporter::builder().with_tonic().build()
        };
        let otlp = otlp.map_err(|error| {
            format!("{ENDPOINT}={endpoint:?}: {error}; give one such as http://127.0.0.1:4317")
        })?;
        let exporter = Reporting {
            exporter: otlp,
            endpoint,
            has_failed: Arc::clone(&has_failed),
        };
        let resource = Resource::builder().with_service_name("journey").build();
        Ok(Self {
            provider: builder
                .with_batch_exporter(exporter)
                .with_resource(resource)
                .build(),
            has_failed,
            _runtime: Some(runtime),
        })
    }

    /// Exports what is left; true if all spans have been. If not, the user has been told.
    pub(crate) fn shutdown(self) -> bool {
        let shut_down = self.provider.shutdown();
        let has_failed = self.has_failed.load(Ordering::SeqCst);
        if let Err(error) = &shut_down
            && !has_failed
        {
            complain(&format!("the last spans may be lost: {error}"));
        }
        shut_down.is_ok() && !has_failed
    }
}

/// Prints a line a span.
#[derive(Debug)]
struct Lines(Style);

impl SpanExporter for Lines {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let mut stdout = io::stdout().lock();
        for span in batch {
            // Requests go on, also where nobody reads on.
            let _ = writeln!(stdout, "{}", self.line(&EndedSpan::read(&span)));
        }
        Ok(())
    }
}

impl Lines {
    fn line(&self, span: &EndedSpan) -> String {
        let took = millis(span.duration());
        if !span.is_request {
            return format!("{took:>9} ms  {}, child of {}", span.name, span.parent_id);
        }
        let says = format!("{} {}", span.outcome, span.status);
        let says = self.0.paint(tone(span), &says);
        let code = span.code.as_deref().unwrap_or("no code");
        let events = events(span, &[]).join(", ");
        format!("{took:>9} ms  {}  {says}  {code}  {events}", span.asked)
    }
}

/// An exporter whose first failure is told to the user: the SDK tells it to `tracing` only.
#[derive(Debug)]
struct Reporting<E> {
    exporter: E,
    endpoint: String,
    has_failed: Arc<AtomicBool>,
}

impl<E: SpanExporter> SpanExporter for Reporting<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        if let Err(error) = &exported
            && !self.has_failed.swap(true, Ordering::SeqCst)
        {
            complain(&format!(
                "spans are lost, {} does not take them: {error}; start a collector there, or unset \
                 {ENDPOINT} to see spans here",
                self.endpoint,
            ));
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
