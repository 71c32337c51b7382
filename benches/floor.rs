//! Compares recording with the floor: the same work written by hand, without a layer. Both extract the
//! caller's context, start a span, attach its context, record eleven attributes and two events, and end it.
//!
//! ```console
//! $ cargo bench --bench floor
//! ```

mod support;

use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use tower::Layer as _;
use tower_api_span::ApiSpanLayer;

use support::handwritten::handwritten_sender;
use support::rung::Rung;
use support::services::{Read, whole};
use support::{Ends, requests, with_w3c};

fn main() {
    let (floor, recording) = (recorded_span(floor), recorded_span(recording));
    assert_eq!(floor, recording, "both do the same work");
    assert_eq!((floor.attributes.len(), floor.events.len()), (11, 2));

    let mut criterion = support::criterion();
    let with_ends = |rung: fn(&SdkTracerProvider) -> Rung| {
        let ends = Ends::default();
        rung(&ends.provider(Sampler::AlwaysOn)).expects_one_span(ends)
    };
    let request = || requests::http(true);
    let mut rungs = [
        Rung::new("bare", request, whole(), Read::WHOLE),
        with_ends(self::floor),
        with_ends(self::recording),
    ];
    let mut group = criterion.benchmark_group("floor");
    for rung in &mut rungs {
        rung.bench(&mut group);
    }
    group.finish();
    criterion.final_summary();
    let [bare, floor, recording] = &rungs;
    let ratios_to = |other| (floor.ratio(other), recording.ratio(other));
    if let ((Some(floor_to_bare), Some(recording_to_bare)), (_, Some(to_floor))) =
        (ratios_to(bare), ratios_to(floor))
    {
        println!("floor: {floor_to_bare:.1} times the bare service");
        println!(
            "recording: {recording_to_bare:.1} times the bare service, {to_floor:.2} times the floor"
        );
    }
}

fn floor(provider: &SdkTracerProvider) -> Rung {
    let send = handwritten_sender(whole(), provider);
    Rung::from_sender("floor", || requests::http(true), send, Read::WHOLE)
}

fn recording(provider: &SdkTracerProvider) -> Rung {
    let layer = with_w3c(ApiSpanLayer::new()).tracer_provider(provider);
    let service = layer.layer(whole());
    Rung::new("recording", || requests::http(true), service, Read::WHOLE)
}

/// The data of a span that is the same in every run.
#[derive(Debug, PartialEq)]
struct StableSpan {
    name: String,
    parent: String,
    attributes: Vec<String>,
    events: Vec<String>,
}

fn recorded_span(rung: fn(&SdkTracerProvider) -> Rung) -> StableSpan {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    rung(&provider).send_one(|send| send());
    let spans = exporter.get_finished_spans().expect("spans");
    let [span] = &spans[..] else {
        panic!("one span: {spans:?}");
    };
    let attribute = |attribute: &opentelemetry::KeyValue| match attribute.key.as_str() {
        key @ ("api.time_to_head" | "api.time_to_first_byte") => key.to_owned(),
        key => format!("{key}={}", attribute.value),
    };
    let mut attributes: Vec<_> = span.attributes.iter().map(attribute).collect();
    attributes.sort();
    StableSpan {
        name: span.name.to_string(),
        parent: span.parent_span_id.to_string(),
        attributes,
        events: span
            .events
            .iter()
            .map(|event| event.name.to_string())
            .collect(),
    }
}
