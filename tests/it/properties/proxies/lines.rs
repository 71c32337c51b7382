//! Random header lines: well-formed and malformed elements, and separators.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::Lines;

pub(super) fn all_lines() -> impl Strategy<Value = Lines> {
    (
        lines(forwarded()),
        lines(nodes()),
        lines(protos()),
        lines(hosts()),
    )
        .prop_map(|(forwarded, nodes, protos, hosts)| [forwarded, nodes, protos, hosts])
}

/// Returns lists of elements, well-formed and malformed, with any separators.
fn lines(element: impl Strategy<Value = String> + 'static) -> impl Strategy<Value = Vec<Bytes>> {
    let soup = vec(select(&SOUP[..]), 0..8).prop_map(|soup| soup.concat());
    let element = prop_oneof![
        6 => element.prop_map(String::into_bytes),
        2 => soup.prop_map(String::into_bytes),
        // Not text.
        1 => select(vec![&b"\xff"[..], b"\xe4,", b"for=\"\xff\"", b"\t"]).prop_map(<[u8]>::to_vec),
    ];
    let between = select(vec![",", ", ", " ,\t", ",,"]);
    vec(vec((element, between), 1..4), 0..3).prop_map(|lines| {
        let lines = lines.into_iter().map(|elements| {
            let mut line = Vec::new();
            for (nr, (element, between)) in elements.into_iter().enumerate() {
                if nr > 0 {
                    line.extend_from_slice(between.as_bytes());
                }
                line.extend(element);
            }
            Bytes::from(line)
        });
        lines.collect()
    })
}

const SOUP: [&str; 20] = [
    "for=",
    "FOR =",
    "proto=",
    "host=",
    "x=",
    "\"",
    "\"",
    "\\",
    "\\\"",
    ",",
    ";",
    "=",
    " ",
    "\t",
    "192.0.2.1",
    "[2001:db8::1]",
    ":80",
    "https",
    "a.example",
    "_hidden",
];

fn forwarded() -> impl Strategy<Value = String> {
    let node = prop_oneof![
        nodes().prop_map(|node| format!("for={node}")),
        nodes().prop_map(|node| format!("For=\"{node}\"")),
    ];
    let proto = prop_oneof![
        protos().prop_map(|proto| format!("proto={proto}")),
        protos().prop_map(|proto| format!("proto=\"{proto}\"")),
    ];
    let host = prop_oneof![
        hosts().prop_map(|host| format!("host={host}")),
        hosts().prop_map(|host| format!("Host = \"{host}\"")),
    ];
    let other = select(vec![
        "by=_me",
        "x=\"a, b\"",
        "x=\"\\\"\"",
        "x=\"a\\\\\"",
        "",
        "by",
    ]);
    let pair = prop_oneof![
        3 => node,
        2 => proto,
        2 => host,
        1 => other.prop_map(str::to_owned),
    ];
    let between = select(vec![";", "; ", " ;"]);
    (vec(pair, 1..4), between).prop_map(|(pairs, between)| pairs.join(between))
}

fn nodes() -> impl Strategy<Value = String> {
    let node = select(vec![
        "192.0.2.1",
        "192.0.2.2:80",
        "192.0.2.2:8080",
        "192.0.2.3:",
        "192.0.2.3:_port",
        "192.0.2.3:99999",
        "192.0.2.3:+80",
        "2001:db8::1",
        "[2001:db8::1]",
        "[2001:db8::1]:443",
        "[2001:db8::1]443",
        "[::ffff:192.0.2.1]",
        "[192.0.2.1]",
        "unknown",
        "_hidden",
        "192.0.2",
        "\"192.0.2.1\"",
        "192\\.0.2.1",
    ]);
    node.prop_map(str::to_owned)
}

fn protos() -> impl Strategy<Value = String> {
    select(vec![
        "https",
        "HTTPS",
        "http",
        "wss",
        "ftp",
        "",
        "\"https\"",
    ])
    .prop_map(str::to_owned)
}

fn hosts() -> impl Strategy<Value = String> {
    select(vec![
        "a.example",
        "A.example",
        "a.example:80",
        "b.example:99999",
        "b.example:x",
        "b.example:",
        "[2001:db8::2]:80",
        "[2001:db8::2]",
        "[no]:80",
        "me@c.example",
        ":80",
        "",
        "a b",
        "c\\.example",
    ])
    .prop_map(str::to_owned)
}
