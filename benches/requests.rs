//! Measures one request: its time, with criterion, and its allocations, which are the same in every run.
//!
//! Each request is served and its body read to its end; building it is not timed. Rungs: the bare service; the
//! layer without a provider; filtered; sampled out; recording; recording with a handler that uses its handle;
//! an event stream of 20 events and `[DONE]`; a gRPC response with trailers. All of them run with the HTTP
//! and the LLM preset, with and without a caller, and with the HTTP preset for a request such as browsers send.
//!
//! The table at the end has each rung's best time as a ratio to its bare rung. On a busy machine the ratio
//! varies by a fifth. All rungs run with the counting allocator.
//!
//! ```console
//! $ cargo bench --bench requests
//! $ cargo bench --bench requests -- --test # only checks the assertions
//! ```

mod real_request;
mod support;

use std::rc::Rc;

use opentelemetry_sdk::trace::Sampler;
use tower::Layer as _;
use tower_api_span::ApiSpanLayer;

use real_request::RealRequest;
use support::rung::Rung;
use support::services::Read;
use support::{Ends, is_list, requests, services, with_w3c};

/// A rung, and the index of its bare rung.
type Step = (Rung, usize);

fn main() {
    let mut criterion = support::criterion();
    let mut ladders = Vec::new();
    for (preset, layer) in [
        ("HTTP", ApiSpanLayer::new as fn() -> ApiSpanLayer),
        ("LLM", ApiSpanLayer::llm),
    ] {
        for kind in [Kind::NoCaller, Kind::Caller, Kind::Real] {
            if kind == Kind::Real && preset != "HTTP" {
                continue;
            }
            let name = format!("{preset}, {}", kind.name());
            let mut ladder = ladder(layer, kind);
            let mut group = criterion.benchmark_group(&name);
            for (rung, _) in &mut ladder {
                rung.bench(&mut group);
            }
            group.finish();
            ladders.push((name, ladder));
        }
    }
    criterion.final_summary();
    if is_list() {
        return;
    }
    println!(
        "| preset, request | rung | allocations | beyond the bare rung | time, ratio to the bare rung |"
    );
    println!("|---|---|---|---|---|");
    for (name, mut ladder) in ladders {
        let counted: Vec<_> = ladder
            .iter_mut()
            .map(|(rung, _)| allocations(rung))
            .collect();
        for ((rung, bare), here) in ladder.iter().zip(&counted) {
            let beyond = here - counted[*bare];
            let ratio = rung
                .ratio(&ladder[*bare].0)
                .map_or("–".to_owned(), |ratio| format!("{ratio:.1}"));
            println!("| {name} | {} | {here} | {beyond} | {ratio} |", rung.name);
        }
    }
}

/// The request of a ladder.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    NoCaller,
    Caller,
    Real,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::NoCaller => "no caller",
            Self::Caller => "a caller",
            Self::Real => "a real request",
        }
    }
}

fn allocations(rung: &mut Rung) -> u64 {
    // The first request of a thread initializes thread-locals.
    rung.send_one(|send| send());
    let counted = rung.send_one(|send| allocation_counter::measure(send));
    rung.check();
    counted.count_total
}

fn ladder(layer: fn() -> ApiSpanLayer, kind: Kind) -> Vec<Step> {
    let has_caller = kind != Kind::NoCaller;
    let real = (kind == Kind::Real).then(RealRequest::new).map(Rc::new);
    let http = move || match &real {
        Some(real) => real.build(()),
        None => requests::http(has_caller),
    };
    let grpc = move || requests::grpc(has_caller);
    let layer = || with_w3c(layer());
    // Each rung counts its own spans.
    let with = |sampler| {
        let ends = Ends::default();
        let layer = layer().tracer_provider(&ends.provider(sampler));
        (ends, layer)
    };
    let whole = |name, layer: &ApiSpanLayer| {
        Rung::new(
            name,
            http.clone(),
            layer.layer(services::whole()),
            Read::WHOLE,
        )
    };
    let bare = [
        Rung::new("bare", http.clone(), services::whole(), Read::WHOLE),
        Rung::new(
            "bare event stream",
            http.clone(),
            services::events(),
            Read::EVENTS,
        ),
        Rung::new("bare gRPC", grpc, services::grpc(), Read::GRPC),
    ];
    let mut steps: Vec<Step> = bare.into_iter().zip(0..).collect();
    steps.push((whole("no provider", &layer()), 0));

    let (ends, on) = with(Sampler::AlwaysOn);
    let filtered = on.filter(|_| false);
    steps.push((whole("filtered", &filtered).expects_no_span(ends), 0));

    let (ends, out) = with(Sampler::AlwaysOff);
    steps.push((whole("sampled out", &out).expects_no_span(ends), 0));

    let (ends, on) = with(Sampler::AlwaysOn);
    steps.push((whole("recording", &on).expects_one_span(ends), 0));

    let (ends, on) = with(Sampler::AlwaysOn);
    let using_handle = on.layer(services::using_handle());
    let rung = Rung::new(
        "recording, handle used",
        http.clone(),
        using_handle,
        Read::WHOLE,
    );
    steps.push((rung.expects_one_span(ends), 0));

    let (ends, on) = with(Sampler::AlwaysOn);
    let events = on.layer(services::events());
    let rung = Rung::new(
        "recording, event stream",
        http.clone(),
        events,
        Read::EVENTS,
    );
    steps.push((rung.expects_one_span(ends), 1));

    let (ends, on) = with(Sampler::AlwaysOn);
    let call = on.layer(services::grpc());
    let rung = Rung::new("recording, gRPC", grpc, call, Read::GRPC);
    steps.push((rung.expects_one_span(ends), 2));
    steps
}
