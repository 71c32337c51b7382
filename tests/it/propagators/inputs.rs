//! The headers of callers, in each format and its variants.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The headers of a request.
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) headers: HeaderMap,
    /// The headers from which the bare propagator extracts what the layer must find. They differ from `headers`
    /// where the layer is stricter than the SDK.
    pub(crate) as_the_sdk_should_read: HeaderMap,
}

pub(crate) fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let value = HeaderValue::from_str(value).expect("a value");
        headers.append(HeaderName::from_static(name), value);
    }
    headers
}

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const B3: &str = "4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7";
const UBER: &str = "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0";
const XRAY: &str = "Root=1-4bf92f35-77b34da6a3ce929d0e0e4736;Parent=00f067aa0ba902b7";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Returns the members `k1=1,k2=2,…`.
pub(crate) fn members(count: usize) -> String {
    let members = (1..=count).map(|number| format!("k{number}={number}"));
    members.collect::<Vec<_>>().join(",")
}

pub(crate) fn inputs() -> Vec<Input> {
    let mut inputs = Vec::new();
    for (name, lines) in b3_inputs().into_iter().chain(other_inputs()) {
        inputs.push(Input {
            name,
            headers: headers(&lines_of(&lines)),
            as_the_sdk_should_read: headers(&lines_of(&lines)),
        });
    }
    for (name, lines, read) in strict_inputs() {
        inputs.push(Input {
            name,
            headers: headers(&lines_of(&lines)),
            as_the_sdk_should_read: headers(&lines_of(&read)),
        });
    }
    inputs
}

type Lines = Vec<(&'static str, String)>;

fn lines_of(lines: &Lines) -> Vec<(&'static str, &str)> {
    lines
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect()
}

fn multi(more: &[(&'static str, &str)]) -> Lines {
    let ids = [("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN)];
    let lines = ids.iter().chain(more);
    lines
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

fn one(name: &'static str, value: impl Into<String>) -> Lines {
    vec![(name, value.into())]
}

fn b3_inputs() -> Vec<(&'static str, Lines)> {
    vec![
        ("b3", one("b3", format!("{B3}-1"))),
        ("b3, not sampled", one("b3", format!("{B3}-0"))),
        ("b3, sampling deferred", one("b3", B3)),
        ("b3, debug", one("b3", format!("{B3}-d"))),
        ("b3, parent", one("b3", format!("{B3}-1-00f067aa0ba902b8"))),
        ("b3, unknown flag", one("b3", format!("{B3}-9"))),
        ("b3, short id", one("b3", format!("{}-1", &B3[16..]))),
        ("b3, capitals", one("b3", B3.to_uppercase() + "-1")),
        ("b3, malformed", one("b3", "nonsense")),
        ("b3, flag alone", one("b3", "0")),
        (
            "b3, twice",
            vec![
                ("b3", format!("{B3}-1")),
                ("b3", format!("{}-1", B3.replace('4', "5"))),
            ],
        ),
        ("x-b3", multi(&[("x-b3-sampled", "1")])),
        ("x-b3, not sampled", multi(&[("x-b3-sampled", "0")])),
        ("x-b3, true", multi(&[("x-b3-sampled", "true")])),
        ("x-b3, unknown flag", multi(&[("x-b3-sampled", "yes")])),
        ("x-b3, sampling deferred", multi(&[])),
        ("x-b3, debug", multi(&[("x-b3-flags", "1")])),
        (
            "x-b3, parent",
            multi(&[
                ("x-b3-sampled", "1"),
                ("x-b3-parentspanid", "00f067aa0ba902b8"),
            ]),
        ),
        ("x-b3, trace id alone", one("x-b3-traceid", TRACE)),
        ("x-b3, flag alone", one("x-b3-sampled", "0")),
        (
            "x-b3, capitals",
            vec![
                ("x-b3-traceid", TRACE.to_uppercase()),
                ("x-b3-spanid", SPAN.to_uppercase()),
            ],
        ),
        (
            "x-b3, short id",
            vec![
                ("x-b3-traceid", TRACE[16..].to_owned()),
                ("x-b3-spanid", SPAN.to_owned()),
            ],
        ),
        (
            "b3 and x-b3, different",
            [multi(&[]), one("b3", B3.replace('4', "5") + "-1")].concat(),
        ),
        (
            "b3 malformed, x-b3",
            [multi(&[("x-b3-sampled", "1")]), one("b3", "nonsense")].concat(),
        ),
    ]
}

fn other_inputs() -> Vec<(&'static str, Lines)> {
    let uber = |flags: &str| one("uber-trace-id", format!("{UBER}:{flags}"));
    let xray = |more: &str| one("x-amzn-trace-id", format!("{XRAY}{more}"));
    let w3c = |flags: &str| one("traceparent", format!("{}{flags}", &TRACEPARENT[..53]));
    vec![
        ("no headers", vec![]),
        ("other headers", one("accept", "*/*")),
        ("uber", uber("1")),
        ("uber, not sampled", uber("0")),
        ("uber, debug", uber("3")),
        ("uber, malformed flags", uber("x")),
        (
            "uber, encoded",
            one("uber-trace-id", UBER.replace(':', "%3A") + "%3A1"),
        ),
        ("uber, short ids", one("uber-trace-id", "ab:cd:0:1")),
        (
            "uber, capitals",
            one("uber-trace-id", UBER.to_uppercase() + ":1"),
        ),
        ("uber, malformed", one("uber-trace-id", "nonsense")),
        ("uber, baggage", [uber("1"), one("uberctx-k", "v")].concat()),
        ("uberctx alone", one("uberctx-k", "v")),
        ("x-trace", one("x-trace", format!("{UBER}:1"))),
        ("x-ray", xray(";Sampled=1")),
        ("x-ray, not sampled", xray(";Sampled=0")),
        ("x-ray, asked for", xray(";Sampled=?")),
        ("x-ray, sampling deferred", xray("")),
        (
            "x-ray, more fields",
            xray(";Sampled=1;Lineage=a87bd80c:1|68fd508a:5"),
        ),
        (
            "x-ray, order",
            one("x-amzn-trace-id", format!("Sampled=1;{XRAY}")),
        ),
        (
            "x-ray, capitals",
            one("x-amzn-trace-id", XRAY.to_uppercase()),
        ),
        (
            "x-ray of a load balancer",
            one("x-amzn-trace-id", &XRAY[..40]),
        ),
        ("x-ray, malformed", one("x-amzn-trace-id", "Root=1-2")),
        (
            "x-ray of a function",
            one("_x_amzn_trace_id", format!("{XRAY};Sampled=1")),
        ),
        ("w3c", w3c("01")),
        ("w3c, not sampled", w3c("00")),
        ("w3c, random", w3c("03")),
        (
            "w3c, state",
            [w3c("01"), one("tracestate", "a=1,b=2")].concat(),
        ),
        (
            "w3c, 32 members",
            [w3c("01"), one("tracestate", members(32))].concat(),
        ),
        (
            "w3c, malformed state",
            [w3c("01"), one("tracestate", "a")].concat(),
        ),
        (
            "w3c, baggage",
            [w3c("01"), one("baggage", "k=v,l=w;p=1")].concat(),
        ),
        ("baggage alone", one("baggage", "k=v")),
        ("state alone", one("tracestate", "a=1")),
        (
            "cloud",
            one(
                "x-cloud-trace-context",
                "4bf92f3577b34da6a3ce929d0e0e4736/1;o=1",
            ),
        ),
        (
            "datadog",
            [
                one("x-datadog-trace-id", "1"),
                one("x-datadog-parent-id", "2"),
            ]
            .concat(),
        ),
        (
            "all, of different callers",
            [
                w3c("01"),
                one("b3", B3.replace('4', "5") + "-1"),
                one("uber-trace-id", UBER.replace('4', "6") + ":1"),
                one(
                    "x-amzn-trace-id",
                    XRAY.replace("a3ce", "a7ce") + ";Sampled=1",
                ),
                one("baggage", "k=v"),
            ]
            .concat(),
        ),
    ]
}

/// Headers that the layer reads more strictly than the SDK: with those that the SDK should have been given.
fn strict_inputs() -> Vec<(&'static str, Lines, Lines)> {
    let traceparent = || one("traceparent", TRACEPARENT);
    let with = |state: String| [traceparent(), one("tracestate", state)].concat();
    let b3 = || one("b3", B3.replace('4', "5") + "-1");
    vec![
        ("w3c twice", [traceparent(), traceparent()].concat(), vec![]),
        (
            "w3c twice, b3",
            [traceparent(), traceparent(), b3()].concat(),
            b3(),
        ),
        (
            "w3c, capitals in the version",
            one("traceparent", TRACEPARENT.replacen("00", "Cc", 1)),
            vec![],
        ),
        (
            "w3c, one digit of flags",
            one("traceparent", &TRACEPARENT[..54]),
            vec![],
        ),
        (
            "w3c, malformed, and b3",
            [one("traceparent", "nonsense"), b3()].concat(),
            b3(),
        ),
        (
            "w3c, lines of state",
            [
                traceparent(),
                one("tracestate", "a=1"),
                one("tracestate", "b=2"),
            ]
            .concat(),
            with("a=1,b=2".to_owned()),
        ),
        ("w3c, 33 members", with(members(33)), traceparent()),
        ("w3c, 300 members", with(members(300)), traceparent()),
        (
            "w3c, 33 members in two lines",
            [with(members(32)), one("tracestate", "a=1")].concat(),
            traceparent(),
        ),
        (
            "w3c, 32 members, and empty ones between them",
            with(members(32).replace(',', ", ,")),
            with(members(32)),
        ),
        (
            "w3c, 32 members in a line, and an empty line",
            [with(members(32)), one("tracestate", "")].concat(),
            with(members(32)),
        ),
        (
            "baggage in two lines",
            [one("baggage", "k=v"), one("baggage", "l=w")].concat(),
            one("baggage", "k=v,l=w"),
        ),
    ]
}
