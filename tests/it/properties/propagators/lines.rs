//! Random header lines: callers in each format, and what is left of them after a few changes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// A header line: name and value.
pub(super) type Line = (&'static str, String);

/// Trace ids; the last ones are short, zero, or in capitals.
const TRACES: [&str; 6] = [
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "5bf92f3577b34da6a3ce929d0e0e4736",
    "00000000000000000000000000000077",
    "a3ce929d0e0e4736",
    "00000000000000000000000000000000",
    "4BF92F3577B34DA6A3CE929D0E0E4736",
];

const SPANS: [&str; 5] = [
    "00f067aa0ba902b7",
    "00f067aa0ba902b8",
    "00000000000000b7",
    "0000000000000000",
    "00F067AA0BA902B7",
];

/// The lines of a request: those of up to three callers, then changed.
pub(super) fn lines() -> impl Strategy<Value = Vec<Line>> {
    let changed = prop_oneof![2 => Just(Vec::new()), 1 => vec(changes(), 1..4)];
    (vec(callers(), 0..4), changed).prop_map(|(callers, changes)| {
        let mut lines = callers.concat();
        for change in changes {
            change.apply(&mut lines);
        }
        lines
    })
}

fn ids() -> impl Strategy<Value = (&'static str, &'static str)> {
    // Mostly the valid ones.
    let trace = prop_oneof![6 => select(&TRACES[..3]), 1 => select(&TRACES[3..])];
    let span = prop_oneof![6 => select(&SPANS[..3]), 1 => select(&SPANS[3..])];
    (trace, span)
}

/// Returns the lines of a caller in one format.
fn callers() -> impl Strategy<Value = Vec<Line>> {
    prop_oneof![
        4 => w3c(),
        3 => b3(),
        3 => multi(),
        3 => uber(),
        3 => xray(),
        2 => others(),
    ]
}

fn w3c() -> BoxedStrategy<Vec<Line>> {
    let version = select(vec!["00", "00", "00", "cc", "ff", "Cc"]);
    let flags = select(vec!["01", "01", "00", "03", "01-more", "1", "0G"]);
    let states = vec![
        "a=1",
        "b=2",
        "a=1,b=2",
        "a=1, b=2 ,",
        "",
        "no pair",
        "a=1,a=2",
    ];
    let many = (30..36_usize).prop_map(|count| {
        let members = (0..count).map(|number| format!("k{number}=1"));
        members.collect::<Vec<_>>().join(",")
    });
    let state = prop_oneof![6 => select(states).prop_map(str::to_owned), 1 => many];
    let baggage = select(vec!["k=v", "l=w;p=1", "k=v,l=w", "", "no pair", "k=%20"]);
    (ids(), version, flags, vec(state, 0..3), vec(baggage, 0..3))
        .prop_map(|((trace, span), version, flags, states, baggage)| {
            let traceparent = format!("{version}-{trace}-{span}-{flags}");
            let states = states.into_iter().map(|state| ("tracestate", state));
            let baggage = baggage.into_iter().map(|line| ("baggage", line.to_owned()));
            let lines = [("traceparent", traceparent)].into_iter();
            lines.chain(states).chain(baggage).collect()
        })
        .boxed()
}

fn b3() -> BoxedStrategy<Vec<Line>> {
    let flags = select(vec![
        "-1",
        "-1",
        "-0",
        "",
        "-d",
        "-9",
        "-1-00f067aa0ba902b9",
    ]);
    let alone = select(vec!["0", "1", "d", "nonsense"]);
    let ids = (ids(), flags).prop_map(|((trace, span), flags)| format!("{trace}-{span}{flags}"));
    prop_oneof![8 => ids, 1 => alone.prop_map(str::to_owned)]
        .prop_map(|value| vec![("b3", value)])
        .boxed()
}

fn multi() -> BoxedStrategy<Vec<Line>> {
    let more = select(vec![
        ("x-b3-sampled", "1"),
        ("x-b3-sampled", "0"),
        ("x-b3-sampled", "true"),
        ("x-b3-sampled", "yes"),
        ("x-b3-flags", "1"),
        ("x-b3-parentspanid", "00f067aa0ba902b9"),
    ]);
    (ids(), vec(more, 0..3))
        .prop_map(|((trace, span), more)| {
            let ids = [("x-b3-traceid", trace), ("x-b3-spanid", span)];
            let lines = ids.into_iter().chain(more);
            lines
                .map(|(name, value)| (name, value.to_owned()))
                .collect()
        })
        .boxed()
}

fn uber() -> BoxedStrategy<Vec<Line>> {
    let name = select(vec!["uber-trace-id", "uber-trace-id", "x-trace"]);
    let flags = select(vec!["1", "1", "0", "3", "x", ""]);
    let colon = select(vec![":", ":", "%3A"]);
    let baggage = select(vec![None, None, Some("uberctx-k"), Some("x-ctx-k")]);
    (name, ids(), flags, colon, baggage)
        .prop_map(|(name, (trace, span), flags, colon, baggage)| {
            let value = [trace, span, "0", flags].join(colon);
            let baggage = baggage.map(|name| (name, "v".to_owned()));
            [(name, value)].into_iter().chain(baggage).collect()
        })
        .boxed()
}

fn xray() -> BoxedStrategy<Vec<Line>> {
    let name = select(vec![
        "x-amzn-trace-id",
        "x-amzn-trace-id",
        "_x_amzn_trace_id",
    ]);
    let more = select(vec![
        ";Sampled=1",
        ";Sampled=0",
        ";Sampled=?",
        "",
        ";Sampled=1;Lineage=a87bd80c:1|68fd508a:5",
    ]);
    (name, ids(), more, prop::bool::weighted(0.8), any::<bool>())
        .prop_map(|(name, (trace, span), more, has_parent, is_parent_first)| {
            let split = trace.len().min(8);
            let root = format!("Root=1-{}-{}", &trace[..split], &trace[split..]);
            let parent = format!("Parent={span}");
            let value = match (has_parent, is_parent_first) {
                (false, _) => root,
                (true, false) => format!("{root};{parent}"),
                (true, true) => format!("{parent};{root}"),
            };
            vec![(name, value + more)]
        })
        .boxed()
}

fn others() -> BoxedStrategy<Vec<Line>> {
    let line = select(vec![
        (
            "x-cloud-trace-context",
            "4bf92f3577b34da6a3ce929d0e0e4736/1;o=1",
        ),
        ("x-datadog-trace-id", "1"),
        ("x-datadog-parent-id", "2"),
        ("accept", "*/*"),
        ("baggage", "k=v"),
        ("tracestate", "a=1"),
    ]);
    vec(line, 1..3)
        .prop_map(|lines| {
            let lines = lines.into_iter();
            lines
                .map(|(name, value)| (name, value.to_owned()))
                .collect()
        })
        .boxed()
}

/// A change of the lines.
#[derive(Clone, Debug)]
enum Change {
    Truncate(Index, Index),
    Replace(Index, Index, char),
    Insert(Index, Index, char),
    Capitals(Index),
    Repeat(Index),
    Remove(Index),
    /// A line gets the value of another.
    Forge(Index, Index),
}

fn changes() -> impl Strategy<Value = Change> {
    let character = || select("0af1zA-:;=,%._d".chars().collect::<Vec<_>>());
    let place = any::<Index>;
    prop_oneof![
        2 => (place(), place()).prop_map(|(line, at)| Change::Truncate(line, at)),
        3 => (place(), place(), character()).prop_map(|(line, at, to)| Change::Replace(line, at, to)),
        2 => (place(), place(), character()).prop_map(|(line, at, it)| Change::Insert(line, at, it)),
        1 => place().prop_map(Change::Capitals),
        3 => place().prop_map(Change::Repeat),
        2 => place().prop_map(Change::Remove),
        1 => (place(), place()).prop_map(|(line, other)| Change::Forge(line, other)),
    ]
}

impl Change {
    fn apply(&self, lines: &mut Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        let count = lines.len();
        match self {
            Self::Truncate(line, at) => {
                let (_, value) = &mut lines[line.index(count)];
                value.truncate(at.index(value.len() + 1));
            }
            Self::Replace(line, at, to) => {
                let (_, value) = &mut lines[line.index(count)];
                if !value.is_empty() {
                    let at = at.index(value.len());
                    value.replace_range(at..=at, &to.to_string());
                }
            }
            Self::Insert(line, at, it) => {
                let (_, value) = &mut lines[line.index(count)];
                value.insert(at.index(value.len() + 1), *it);
            }
            Self::Capitals(line) => lines[line.index(count)].1.make_ascii_uppercase(),
            Self::Repeat(line) => lines.push(lines[line.index(count)].clone()),
            Self::Remove(line) => {
                lines.remove(line.index(count));
            }
            Self::Forge(line, other) => {
                let value = lines[other.index(count)].1.clone();
                lines[line.index(count)].1 = value;
            }
        }
    }
}
