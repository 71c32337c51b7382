//! Where the spans go: they are counted, and one can be looked at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, Span, SpanData, SpanExporter,
    SpanProcessor,
};

use crate::machine;

/// A processor, or the exporter behind the batch processor, that counts.
#[derive(Clone, Debug, Default)]
pub struct Spans(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    ended: AtomicU64,
    /// Whether the exporter's thread keeps away from the first CPU.
    pinned: bool,
    keeping: AtomicBool,
    last: Mutex<Option<SpanData>>,
}

impl Spans {
    /// The calling thread stays on the first CPU, and the batch processor's will on the second.
    pub fn pinned() -> Self {
        machine::stay_on_cpu(0);
        let pinned = true;
        Self(Arc::new(Kept {
            pinned,
            ..Kept::default()
        }))
    }

    /// A provider whose spans are counted here, as they end.
    pub fn counted(&self) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_span_processor(self.clone())
            .build()
    }

    /// A provider whose spans are counted here by the thread of the batch processor, which drops
    /// them, too. The queue is long enough for all spans of a round: a span that finds no room costs
    /// nothing, and would make a table of how many were lost.
    pub fn batched(&self) -> SdkTracerProvider {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(1 << 17)
            .build();
        let batches = BatchSpanProcessor::builder(self.clone()).with_batch_config(config);
        SdkTracerProvider::builder()
            .with_span_processor(batches.build())
            .build()
    }

    pub fn ended(&self) -> u64 {
        self.0.ended.load(Relaxed)
    }

    /// The last span that ended while `work` ran.
    pub fn seen(&self, work: impl FnOnce()) -> Option<SpanData> {
        self.0.keeping.store(true, Relaxed);
        work();
        self.0.keeping.store(false, Relaxed);
        self.0
            .last
            .lock()
            .expect("nothing panics with the lock")
            .take()
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.ended.fetch_add(1, Relaxed);
        if self.0.keeping.load(Relaxed) {
            *self.0.last.lock().expect("nothing panics with the lock") = Some(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanExporter for Spans {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if self.0.ended.fetch_add(batch.len() as u64, Relaxed) == 0 && self.0.pinned {
            machine::stay_on_cpu(1);
        }
        Ok(())
    }
}
