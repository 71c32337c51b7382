//! Splits the instructions of a real request by what the request has, and by whose code they are. Without valgrind the
//! bench is skipped with a message.
//!
//! The price of a part is what a request with it costs more than one without it. The bare service's own difference is
//! subtracted. The layer is `ApiSpanLayer::new()` with a global provider and propagator.
//!
//! A third table has the floors: what the API and the SDK cost without any layer.
//!
//! Inlined code is found by its source file, which needs line tables. `--docs` also writes the tables into
//! `docs/guide/performance.md`.
//!
//! ```console
//! $ CARGO_PROFILE_BENCH_DEBUG=line-tables-only cargo bench --bench parts
//! $ CARGO_PROFILE_BENCH_DEBUG=line-tables-only cargo bench --bench parts -- --docs
//! ```

#[path = "../callgrind/mod.rs"]
mod callgrind;
#[path = "../docs/mod.rs"]
mod docs;
mod floors;
mod profile;
#[path = "../real_request/mod.rs"]
mod real_request;
#[path = "../support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::process::ExitCode;

use http::HeaderName;
use opentelemetry::global::{set_text_map_propagator, set_tracer_provider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::Sampler;
use tower::Layer as _;
use tower_api_span::{ApiSpanLayer, LifecycleEvents};

use floors::FLOORS;
use profile::Profile;
use real_request::RealRequest;
use support::Ends;
use support::rung::Rung;
use support::services::{Read, whole};

/// The number of requests in the shorter run.
const N: u64 = 1_000;

/// Removes a part from the request.
type Remove = fn(&mut RealRequest);

/// The events are removed by a setting.
const PARTS: [(&str, Remove); 8] = [
    ("the query, of 119 bytes", |real| {
        real.target = real.target.split('?').next().expect("a path");
    }),
    ("`tracestate`, of two members", |real| {
        remove(real, "tracestate");
    }),
    ("`traceparent` and `tracestate`", |real| {
        remove(real, "tracestate");
        remove(real, "traceparent");
    }),
    ("the route", |real| real.route = None),
    ("the peer's address and port", |real| real.peer = None),
    ("`user-agent`", |real| remove(real, "user-agent")),
    ("`host`", |real| remove(real, "host")),
    ("the two lifecycle events", |_| {}),
];

fn remove(real: &mut RealRequest, name: &'static str) {
    let removed = real.headers.remove(HeaderName::from_static(name));
    assert!(removed.is_some(), "the request has {name}");
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, run, what, part, times] = &arguments[..]
        && run == "--run"
    {
        let times = times.parse().expect("a number");
        match FLOORS.iter().find(|(floor, _)| floor == part) {
            Some((_, calls)) => calls(times),
            None => send(what == "bare", part, times),
        }
        return ExitCode::SUCCESS;
    }
    if !callgrind::is_available() {
        println!("parts: SKIPPED: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    let Some(owners) = owners() else {
        println!(
            "parts: set CARGO_PROFILE_BENCH_DEBUG=line-tables-only, see benches/parts/main.rs"
        );
        return ExitCode::FAILURE;
    };
    let tables = format!("{}\n{}\n{owners}", prices(), floors());
    println!("{tables}\n{}", docs::caption());
    if arguments.iter().any(|argument| argument == "--docs")
        && let Err(error) = docs::write("benches/parts", &tables)
    {
        println!("parts: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Returns the table of what each part costs.
fn prices() -> String {
    let beyond_bare = |part: &str| {
        let count = |layer| callgrind::per_operation(&[layer, part], N);
        count("layer") - count("bare")
    };
    let all = beyond_bare("");
    let mut table =
        format!("| part of the real request | instructions |\n|---|---|\n| all | {all} |\n");
    for (part, _) in PARTS {
        let price = all.saturating_sub(beyond_bare(part));
        let _ = writeln!(table, "| {part} | {price} |");
    }
    table
}

/// Returns the table of what the API and the SDK cost alone.
fn floors() -> String {
    let mut table =
        "| what the API and the SDK need alone for | instructions |\n|---|---|\n".to_owned();
    for (floor, _) in FLOORS {
        let count = callgrind::per_operation(&["floor", floor], N);
        let _ = writeln!(table, "| {floor} | {count} |");
    }
    table
}

/// Returns the table of whose code the instructions are. Returns `None` without line tables.
fn owners() -> Option<String> {
    let with = Profile::of(&["layer", ""], N);
    if !with.owners.contains_key("this crate: exchange") {
        return None;
    }
    let bare = Profile::of(&["bare", ""], N);
    let mut owners: Vec<_> = with
        .owners
        .into_iter()
        .map(|(owner, count)| {
            let bare = bare.owners.get(&owner).copied().unwrap_or_default();
            (owner, count.saturating_sub(bare))
        })
        .collect();
    owners.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let sum: u64 = owners.iter().map(|(_, count)| count).sum();
    let mut table = "| code, real request | instructions | share |\n|---|---|---|\n".to_owned();
    for (owner, count) in owners {
        let share = (count * 100 + sum / 2) / sum;
        if share > 0 {
            let _ = writeln!(table, "| {owner} | {count} | {share} % |");
        }
    }
    let kib = |bytes: u64| bytes.div_ceil(1_024);
    let _ = writeln!(
        table,
        "\nEach request executes {} KiB of code, and without the layer {} KiB, in whole cache lines of 64 bytes.",
        kib(with.code),
        kib(bare.code)
    );
    Some(table)
}

/// Sends requests without a part. Runs under callgrind.
fn send(is_bare: bool, part: &str, times: u64) {
    let mut real = RealRequest::new();
    let found = PARTS.iter().find(|(name, _)| *name == part);
    assert!(found.is_some() || part.is_empty(), "unknown part: {part}");
    if let Some((_, without)) = found {
        without(&mut real);
    }
    let request = move || real.build(());
    let mut rung = if is_bare {
        Rung::new("bare", request, whole(), Read::WHOLE)
    } else {
        let ends = Ends::default();
        set_text_map_propagator(TraceContextPropagator::new());
        set_tracer_provider(ends.provider(Sampler::AlwaysOn));
        let mut layer = ApiSpanLayer::new();
        if part.contains("events") {
            layer = layer.lifecycle_events(LifecycleEvents::Off);
        }
        let service = layer.layer(whole());
        Rung::new("layer", request, service, Read::WHOLE).expects_one_span(ends)
    };
    for _ in 0..times {
        rung.send_one(|send| send());
    }
    rung.check();
}
