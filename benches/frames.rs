//! What one frame of a long body costs: responses of 10,000 frames are read to their end, the time
//! is for each frame. Rungs: the bare body; through the layer and sampled out; recording; recording
//! an event stream whose terminator is looked for.
//!
//! Only whole responses can be timed, so a request's own cost is in it: a 10,000th part.
//!
//! ```console
//! $ cargo bench --bench frames
//! ```

mod support;

use std::time::Duration;

use criterion::{Criterion, Throughput};
use opentelemetry_sdk::trace::Sampler;
use tower::Layer as _;
use tower_api_span::ApiSpanLayer;

use support::rung::Rung;
use support::services::{DONE, Read, streaming};
use support::{Ends, requests, with_w3c};

const FRAMES: usize = 10_000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for (name, size) in [("16 B", 16), ("256 B", 256), ("16 KiB", 16 * 1_024)] {
        let mut group = criterion.benchmark_group(format!("frames of {name}"));
        group.throughput(Throughput::Elements(FRAMES as u64));
        for rung in &mut ladder(event(size)) {
            group.bench_function(rung.name, |bencher| {
                bencher.iter_custom(|times| rung.time(times));
            });
            rung.check();
        }
        group.finish();
    }
    criterion.final_summary();
}

/// An event of so many bytes.
fn event(size: usize) -> &'static [u8] {
    let (start, end) = ("data: ", "\n\n");
    let data = "x".repeat(size - start.len() - end.len());
    let event = [start, &data, end].concat().into_bytes();
    assert_eq!(event.len(), size);
    event.leak()
}

fn ladder(event: &'static [u8]) -> [Rung; 4] {
    let request = || requests::http(true);
    // The same bytes for all; who looks for the terminator finds it in the last frame.
    let body = |content_type| streaming(content_type, event, FRAMES - 1, Some(DONE));
    let (binary, events) = ("application/octet-stream", "text/event-stream");
    let read = Read {
        data_frames: FRAMES,
        bytes: (FRAMES - 1) * event.len() + DONE.len(),
        trailers: 0,
    };
    let with = |layer: ApiSpanLayer, sampler| {
        let ends = Ends::default();
        let layer = with_w3c(layer).tracer_provider(&ends.provider(sampler));
        (ends, layer)
    };
    let (no_ends, out) = with(ApiSpanLayer::new(), Sampler::AlwaysOff);
    let (ends, on) = with(ApiSpanLayer::new(), Sampler::AlwaysOn);
    let (llm_ends, llm) = with(ApiSpanLayer::llm(), Sampler::AlwaysOn);
    [
        Rung::new("bare", request, body(binary), read),
        Rung::new("not recording", request, out.layer(body(binary)), read).silent(no_ends),
        Rung::new("recording", request, on.layer(body(binary)), read).recording(ends),
        Rung::new(
            "recording, terminator",
            request,
            llm.layer(body(events)),
            read,
        )
        .recording(llm_ends),
    ]
}
