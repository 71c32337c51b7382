//! What recording costs beside the same work written by hand, without a layer: the caller's context
//! by the SDK's propagator, a span of eleven attributes and two events, its context attached, its end.
//!
//! ```console
//! $ cargo bench --bench floor
//! ```

mod support;

use opentelemetry_sdk::trace::{InMemorySpanExporter, Sampler, SdkTracerProvider};
use tower::Layer as _;
use tower_api_span::ApiSpanLayer;

use support::by_hand::by_hand;
use support::rung::Rung;
use support::services::{Read, whole};
use support::{Ends, requests, with_w3c};

fn main() {
    let (floor, recording) = (spans_of(floor), spans_of(recording));
    assert_eq!(floor, recording, "both do the same work");
    assert_eq!((floor.attributes.len(), floor.events.len()), (11, 2));

    let mut criterion = support::criterion();
    let counted = |rung: fn(&SdkTracerProvider) -> Rung| {
        let ends = Ends::default();
        rung(&ends.provider(Sampler::AlwaysOn)).recording(ends)
    };
    let request = || requests::http(true);
    let mut rungs = [
        Rung::new("bare", request, whole(), Read::WHOLE),
        counted(self::floor),
        counted(self::recording),
    ];
    let mut group = criterion.benchmark_group("floor");
    for rung in &mut rungs {
        rung.bench(&mut group);
    }
    group.finish();
    criterion.final_summary();
    let [bare, floor, recording] = &rungs;
    let of = |bare| (floor.ratio(bare), recording.ratio(bare));
    if let ((Some(floor_of_bare), Some(recording_of_bare)), (_, Some(of_floor))) =
        (of(bare), of(floor))
    {
        println!("floor: {floor_of_bare:.1} times the bare service");
        println!(
            "recording: {recording_of_bare:.1} times the bare service, {of_floor:.2} times the floor"
        );
    }
}

fn floor(provider: &SdkTracerProvider) -> Rung {
    let send = by_hand(whole(), provider);
    Rung::sending("floor", || requests::http(true), send, Read::WHOLE)
}

fn recording(provider: &SdkTracerProvider) -> Rung {
    let layer = with_w3c(ApiSpanLayer::new()).tracer_provider(provider);
    let service = layer.layer(whole());
    Rung::new("recording", || requests::http(true), service, Read::WHOLE)
}

/// What a span says, without what differs from run to run.
#[derive(Debug, PartialEq)]
struct Said {
    name: String,
    parent: String,
    attributes: Vec<String>,
    events: Vec<String>,
}

fn spans_of(rung: fn(&SdkTracerProvider) -> Rung) -> Said {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    rung(&provider).once(|send| send());
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
    Said {
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
