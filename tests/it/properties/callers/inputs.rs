//! Random inputs: headers, settings and the context around the layer.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// A trace id that a sample rate of 0.5 drops: the lower half of the id decides.
pub(super) const OTHER_HALF: u128 = 0xf000_0000_0000_00ee;

/// Values of `traceparent`, and whether each is valid.
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

/// The settings of the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Layer {
    Traces,
    /// The tracer's sampler drops it.
    Unsampled,
    /// The layer's own rate is 0.
    SampledOut,
    /// The layer's own rate is 0.5.
    HalfSampled,
    Filtered,
    NoTracer,
}

/// A request, the settings of the layer, and the context around it.
#[expect(clippy::struct_excessive_bools, reason = "independent settings")]
#[derive(Clone, Debug)]
pub(super) struct Input {
    pub(super) traceparent: Vec<(&'static str, bool)>,
    pub(super) tracestate: Vec<&'static str>,
    pub(super) baggage: Vec<&'static str>,
    pub(super) layer: Layer,
    pub(super) is_public: bool,
    /// `propagate_to_inner`.
    pub(super) rewrites_headers: bool,
    /// The propagator reads baggage beside the trace context.
    pub(super) reads_baggage: bool,
    /// Trace id, span id and sampled flag of the span that is current around the layer.
    pub(super) around: Option<(u128, u64, bool)>,
    /// Baggage is current around the layer.
    pub(super) has_own_baggage: bool,
}

pub(super) fn inputs() -> impl Strategy<Value = Input> {
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
    // In a trace of its own, or in the caller's.
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
            |(traceparent, tracestate, baggage, layer, flags, around, own)| Input {
                traceparent,
                tracestate,
                baggage,
                layer,
                is_public: flags.0,
                rewrites_headers: flags.1,
                reads_baggage: flags.2,
                around,
                has_own_baggage: own,
            },
        )
}
