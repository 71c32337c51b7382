//! What comes: headers, settings and surroundings.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A trace that a rate of a half does not keep: it goes by the lower half of the id.
pub(super) const OTHER_HALF: u128 = 0xf000_0000_0000_00ee;

/// What callers send as `traceparent`, and whether it is one.
const TRACEPARENTS: [(&str, bool); 15] = [
    (
        "00-000000000000000000000000000000aa-00000000000000bb-01",
        true,
    ),
    (
        "00-0000000000000000f0000000000000ee-00000000000000bb-01",
        true,
    ),
    (
        "00-000000000000000000000000000000aa-00000000000000bb-00",
        true,
    ),
    (
        "00-000000000000000000000000000000aa-00000000000000bb-03",
        true,
    ),
    (
        "00-000000000000000000000000000000cc-00000000000000dd-01",
        true,
    ),
    (
        "cc-000000000000000000000000000000aa-00000000000000bb-01-more",
        true,
    ),
    (
        "cc-000000000000000000000000000000aa-00000000000000bb-01",
        true,
    ),
    (
        "cc-000000000000000000000000000000aa-00000000000000bb-01.more",
        false,
    ),
    (
        "ff-000000000000000000000000000000aa-00000000000000bb-01",
        false,
    ),
    (
        "00-000000000000000000000000000000AA-00000000000000bb-01",
        false,
    ),
    (
        "00-00000000000000000000000000000000-00000000000000bb-01",
        false,
    ),
    (
        "00-000000000000000000000000000000aa-0000000000000000-01",
        false,
    ),
    (
        "00-000000000000000000000000000000aa-00000000000000bb-01-more",
        false,
    ),
    ("00-aa-bb-01", false),
    ("", false),
];

/// How the layer is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layer {
    Traces,
    /// The tracer's sampler says no.
    Unsampled,
    /// The layer's own rate is 0.
    SampledOut,
    /// The layer's own rate is a half.
    HalfSampled,
    Filtered,
    NoTracer,
}

/// What comes, from where, and to whom.
#[expect(
    clippy::struct_excessive_bools,
    reason = "settings that have nothing to do with each other"
)]
#[derive(Clone, Debug)]
pub(super) struct Arrival {
    pub(super) traceparent: Vec<(&'static str, bool)>,
    pub(super) tracestate: Vec<&'static str>,
    pub(super) baggage: Vec<&'static str>,
    pub(super) layer: Layer,
    pub(super) is_public: bool,
    pub(super) is_rewritten: bool,
    /// The propagator knows of baggage, and not of traces alone.
    pub(super) knows_baggage: bool,
    /// Trace, span and flag of what is current around the layer.
    pub(super) around: Option<(u128, u64, bool)>,
    /// Baggage is current around the layer.
    pub(super) has_own_baggage: bool,
}

pub(super) fn arrivals() -> impl Strategy<Value = Arrival> {
    let layer = select(vec![
        Layer::Traces,
        Layer::Traces,
        Layer::Unsampled,
        Layer::SampledOut,
        Layer::HalfSampled,
        Layer::Filtered,
        Layer::NoTracer,
    ]);
    let traceparent = prop_oneof![
        4 => select(&TRACEPARENTS[..]).prop_map(|one| vec![one]),
        1 => vec(select(&TRACEPARENTS[..]), 0..3),
    ];
    // In a trace of their own, or in that of callers.
    let around = select(vec![
        (0x77, 0x88, true),
        (0x77, 0x88, false),
        (0xaa, 0x99, true),
        (0xaa, 0xbb, false),
        (OTHER_HALF, 0x99, true),
    ]);
    (
        traceparent,
        vec(select(vec!["a=1", "b=2", "no pair"]), 0..3),
        vec(select(vec!["k=1", "l=2"]), 0..3),
        layer,
        (any::<bool>(), any::<bool>(), any::<bool>()),
        option::weighted(0.4, around),
        any::<bool>(),
    )
        .prop_map(
            |(traceparent, tracestate, baggage, layer, flags, around, own)| Arrival {
                traceparent,
                tracestate,
                baggage,
                layer,
                is_public: flags.0,
                is_rewritten: flags.1,
                knows_baggage: flags.2,
                around,
                has_own_baggage: own,
            },
        )
}
