//! The allocator bench. A program has one global allocator, so there is one program per allocator.
//!
//! One thread allocates a span and another frees it, the thread of the SDK's batch processor: allocators
//! differ most in that. The exporter only counts, so that no encoding is timed. Rungs take turns, and the best
//! turn counts. Compare ratios within a run.

use std::time::Duration;

use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter,
};
use tower::Layer as _;
use tower_api_span::ApiSpanLayer;

use super::handwritten::handwritten_sender;
use super::rung::Rung;
use super::services::{Read, whole};
use super::{Ends, is_list, is_test, requests, with_w3c};

/// The number of requests in a turn. All their spans fit into the queue: a span that does not fit is dropped
/// on the request's thread.
const TURN: usize = 4_096;
const TURNS: usize = 200;

#[derive(Debug)]
struct Counting(Ends);

impl SpanExporter for Counting {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.add(batch.len());
        Ok(())
    }
}

pub(crate) fn main(allocator: &str) {
    if is_list() {
        return;
    }
    let request = || requests::http(true);
    let (floor_ends, floor_provider) = exporting();
    let (ends, provider) = exporting();
    let layer = with_w3c(ApiSpanLayer::new()).tracer_provider(&provider);
    let floor = handwritten_sender(whole(), &floor_provider);
    let mut rungs = [
        Rung::new("bare", request, whole(), Read::WHOLE),
        Rung::from_sender("floor", request, floor, Read::WHOLE).expects_one_span(floor_ends),
        Rung::new("recording", request, layer.layer(whole()), Read::WHOLE).expects_one_span(ends),
    ];
    for _ in 0..if is_test() { 1 } else { TURNS } {
        for rung in &mut rungs {
            rung.time(TURN as u64);
            // Not timed. It empties the queue before the next rung.
            for provider in [&floor_provider, &provider] {
                provider.force_flush().expect("exported");
            }
            rung.check();
        }
    }
    println!("| {allocator}, batch processor | ns per request | ratio to bare |\n|---|---|---|");
    for rung in &rungs {
        let nanoseconds = rung.best().map(|seconds| seconds * 1e9);
        let (Some(nanoseconds), Some(ratio)) = (nanoseconds, rung.ratio(&rungs[0])) else {
            continue;
        };
        println!("| {} | {nanoseconds:.0} | {ratio:.1} |", rung.name);
    }
}

/// Returns a provider with the batch processor, and the counter of its exported spans.
fn exporting() -> (Ends, SdkTracerProvider) {
    let ends = Ends::default();
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(2 * TURN)
        .with_scheduled_delay(Duration::from_millis(50))
        .build();
    let processor = BatchSpanProcessor::builder(Counting(ends.clone()))
        .with_batch_config(config)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .build();
    (ends, provider)
}
