//! Measures the time per frame of a long body: responses of 10,000 frames are read to their end. Rungs: the
//! bare body; the layer, sampled out; recording; recording an event stream with terminator detection.
//!
//! Only whole responses can be timed, so each frame includes a 10,000th of the request's own cost.
//!
//! ```console
//! $ cargo bench --bench frames
//! ```

mod support;

use criterion::Throughput;
use opentelemetry_sdk::trace::Sampler;
use tower::Layer as _;
use tower_api_span::ApiSpanLayer;

use support::rung::Rung;
use support::services::{DONE, Read, streaming};
use support::{Ends, is_list, is_test, requests, with_w3c};

const FRAMES: u16 = 10_000;

fn main() {
    let mut criterion = support::criterion();
    let mut ladders = Vec::new();
    for (name, size) in [("16 B", 16), ("256 B", 256), ("16 KiB", 16 * 1_024)] {
        let mut group = criterion.benchmark_group(format!("frames of {name}"));
        group.throughput(Throughput::Elements(FRAMES.into()));
        let mut rungs = ladder(event(size));
        for rung in &mut rungs {
            rung.bench(&mut group);
        }
        group.finish();
        ladders.push((name, rungs));
    }
    criterion.final_summary();
    if is_test() || is_list() {
        return;
    }
    println!("| frame size | rung | best ns per frame | ratio to bare |\n|---|---|---|---|");
    for (name, rungs) in ladders {
        for rung in &rungs {
            let (Some(best), Some(ratio)) = (rung.best(), rung.ratio(&rungs[0])) else {
                continue;
            };
            let per_frame = best * 1e9 / f64::from(FRAMES);
            println!("| {name} | {} | {per_frame:.1} | {ratio:.1} |", rung.name);
        }
    }
}

/// Returns an event of `size` bytes.
fn event(size: usize) -> &'static [u8] {
    let (start, end) = ("data: ", "\n\n");
    let data = "x".repeat(size - start.len() - end.len());
    let event = [start, &data, end].concat().into_bytes();
    assert_eq!(event.len(), size);
    event.leak()
}

fn ladder(event: &'static [u8]) -> [Rung; 4] {
    let request = || requests::http(true);
    let frames = usize::from(FRAMES);
    // All rungs read the same bytes. The last frame is the terminator.
    let body = |content_type| streaming(content_type, event, frames - 1, Some(DONE));
    let (binary, events) = ("application/octet-stream", "text/event-stream");
    let read = Read {
        data_frames: frames,
        bytes: (frames - 1) * event.len() + DONE.len(),
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
        Rung::new("not recording", request, out.layer(body(binary)), read).expects_no_span(no_ends),
        Rung::new("recording", request, on.layer(body(binary)), read).expects_one_span(ends),
        Rung::new(
            "recording, terminator",
            request,
            llm.layer(body(events)),
            read,
        )
        .expects_one_span(llm_ends),
    ]
}
