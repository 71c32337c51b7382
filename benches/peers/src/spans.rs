//! Counts the spans, and keeps one on request.

use std::cell::RefCell;
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

/// A span processor, or the exporter of the batch processor, that counts.
#[derive(Clone, Debug, Default)]
pub struct Spans(Arc<Kept>);

#[derive(Debug, Default)]
struct Kept {
    ended: AtomicU64,
    /// Whether the exporter's thread is pinned to the second CPU.
    pinned: bool,
    keeping: AtomicBool,
    last: Mutex<Option<SpanData>>,
}

impl Spans {
    /// Pins the calling thread to the first CPU, and later the batch processor's thread to the second.
    pub fn pinned() -> Self {
        machine::pin_to_cpu(0);
        let pinned = true;
        Self(Arc::new(Kept {
            pinned,
            ..Kept::default()
        }))
    }

    /// Returns a provider whose spans are counted when they end.
    pub fn counted(&self) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_span_processor(self.clone())
            .build()
    }

    /// Returns a provider whose spans are counted and dropped by the batch processor's thread. The queue has
    /// room for all spans of a round: dropped spans would cost less and distort the figures.
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

    /// Returns the last span that ended while `work` ran.
    pub fn last_ended_during(&self, work: impl FnOnce()) -> Option<SpanData> {
        self.0.keeping.store(true, Relaxed);
        work();
        self.0.keeping.store(false, Relaxed);
        self.0.last.lock().expect("the lock is not poisoned").take()
    }
}

impl SpanProcessor for Spans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.ended.fetch_add(1, Relaxed);
        if self.0.keeping.load(Relaxed) {
            *self.0.last.lock().expect("the lock is not poisoned") = Some(span);
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
            machine::pin_to_cpu(1);
        }
        Ok(())
    }
}

/// A span processor that shares nothing between threads while spans end: each thread counts its own.
#[derive(Clone, Debug, Default)]
pub struct CountedByThread(Arc<AtomicU64>);

thread_local! {
    /// The spans that ended on this thread. The total counts them when the thread ends.
    static COUNT: RefCell<Option<ThreadCount>> = const { RefCell::new(None) };
}

struct ThreadCount {
    ended: u64,
    total: Arc<AtomicU64>,
}

impl Drop for ThreadCount {
    fn drop(&mut self) {
        self.total.fetch_add(self.ended, Relaxed);
    }
}

impl CountedByThread {
    pub fn provider(&self) -> SdkTracerProvider {
        SdkTracerProvider::builder()
            .with_span_processor(self.clone())
            .build()
    }

    /// Returns the number of spans that ended on threads that have ended.
    pub fn ended(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl SpanProcessor for CountedByThread {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, _: SpanData) {
        COUNT.with_borrow_mut(|count| {
            let here = count.get_or_insert_with(|| ThreadCount {
                ended: 0,
                total: self.0.clone(),
            });
            here.ended += 1;
        });
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
