use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use http::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::FileFailurePersistence;

use super::ProxyHeaders::{Either, Forwarded, XForwarded};
use super::*;

/// The rule; the headers' lines; how many proxies are trusted; what the hop then says, as [`shown`].
type Case = (
    &'static str,
    &'static [(&'static str, &'static [u8])],
    usize,
    &'static str,
);

fn check(which: ProxyHeaders, cases: &[Case]) {
    for (rule, lines, trusted, expected) in cases {
        let mut headers = HeaderMap::new();
        for (name, value) in *lines {
            append(&mut headers, name, value);
        }
        assert_eq!(
            shown(&read_trusted_hop(&headers, *trusted, which)),
            *expected,
            "{rule}"
        );
    }
}

/// `F`, `For`, `Proto` and `Host` stand for the headers' names.
fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    let name = match name {
        "F" => "forwarded".to_owned(),
        _ => format!("x-forwarded-{}", name.to_ascii_lowercase()),
    };
    let name = HeaderName::try_from(name).expect("a name");
    headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
}

/// `address port scheme host`, of which the latter three are marked; nothing for what is not said.
fn shown(hop: &Hop<'_>) -> String {
    let mut out = String::new();
    if let Some((address, port)) = hop.client {
        write!(out, " {address}").expect("a string");
        if let Some(port) = port {
            write!(out, " port={port}").expect("a string");
        }
    }
    if let Some(proto) = hop.proto {
        write!(out, " proto={proto}").expect("a string");
    }
    if let Some(host) = &hop.host {
        write!(out, " host={host}").expect("a string");
    }
    out.trim_start().to_owned()
}

#[test]
fn which_element_of_forwarded_counts() {
    for (trusted, expected) in [
        (0, ""),
        (1, "192.0.2.3"),
        (2, "192.0.2.2 proto=https"),
        (3, "192.0.2.1"),
        (4, "192.0.2.1"),
        (usize::MAX, "192.0.2.1"),
    ] {
        let mut headers = HeaderMap::new();
        let list = b"for=192.0.2.1, for=192.0.2.2;proto=https, for=192.0.2.3";
        append(&mut headers, "F", list);
        let hop = read_trusted_hop(&headers, trusted, Forwarded);
        assert_eq!(shown(&hop), expected, "{trusted} trusted");
    }
    check(
        Forwarded,
        &[
            ("no header says nothing", &[], 1, ""),
            ("an empty header says nothing", &[("F", b"")], 1, ""),
            ("commas alone say nothing", &[("F", b" ,,\t, ")], 1, ""),
            (
                "several lines are one list, in order",
                &[
                    ("F", b"for=192.0.2.1"),
                    ("F", b"for=192.0.2.2,for=192.0.2.3"),
                ],
                3,
                "192.0.2.1",
            ),
            (
                "the last line is the right end",
                &[("F", b"for=192.0.2.1"), ("F", b"for=192.0.2.2")],
                1,
                "192.0.2.2",
            ),
            (
                "empty elements between do not count",
                &[("F", b"for=192.0.2.1,, ,for=192.0.2.2")],
                2,
                "192.0.2.1",
            ),
            (
                "empty elements at the ends do not count",
                &[("F", b",for=192.0.2.1, "), ("F", b""), ("F", b",")],
                1,
                "192.0.2.1",
            ),
            (
                "the elements are not mixed",
                &[("F", b"for=192.0.2.1;proto=https;host=a, for=192.0.2.2")],
                1,
                "192.0.2.2",
            ),
            (
                "an element of semicolons counts and says nothing",
                &[("F", b"for=192.0.2.1, ;")],
                1,
                "",
            ),
            (
                "the other family is not asked",
                &[("For", b"192.0.2.1"), ("Proto", b"https"), ("Host", b"a")],
                1,
                "",
            ),
        ],
    );
}

#[test]
fn what_the_client_wrote_on_the_left_spoils_nothing() {
    check(
        Forwarded,
        &[
            (
                "an unclosed quote",
                &[("F", b"for=\"evil, for=192.0.2.1")],
                1,
                "192.0.2.1",
            ),
            (
                "an unclosed quote before a quoted value",
                &[("F", b"for=1.1.1.1;x=\", for=\"192.0.2.1:80\"")],
                1,
                "192.0.2.1 port=80",
            ),
            (
                "an escaped quote",
                &[("F", b"a=\"\\, for=192.0.2.1")],
                1,
                "192.0.2.1",
            ),
            (
                "an unclosed quote, two proxies",
                &[("F", b"for=\"1.1.1.1, for=192.0.2.1, for=\"[::1]\"")],
                2,
                "192.0.2.1",
            ),
            (
                "an unclosed quote in a line of its own",
                &[("F", b"for=\"1.1.1.1"), ("F", b"for=192.0.2.1")],
                1,
                "192.0.2.1",
            ),
            ("no pair", &[("F", b"evil, for=192.0.2.1")], 1, "192.0.2.1"),
            (
                "bytes beyond ASCII",
                &[("F", b"for=\xff\x80, for=192.0.2.1")],
                1,
                "192.0.2.1",
            ),
            (
                "well-formed elements",
                &[("F", b"for=1.1.1.1;proto=ws;host=evil, for=192.0.2.1")],
                1,
                "192.0.2.1",
            ),
        ],
    );
}

#[test]
fn quoted_strings_of_forwarded() {
    check(
        Forwarded,
        &[
            (
                "commas and semicolons in quotes separate nothing",
                &[("F", b"for=192.0.2.1;host=\"a,b;c=d\"")],
                1,
                "192.0.2.1 host=a,b;c=d",
            ),
            (
                "an escaped quote does not close",
                &[("F", b"for=192.0.2.1;host=\"a,\\\",b\"")],
                1,
                "192.0.2.1 host=a,\",b",
            ),
            (
                "an escaped backslash before the closing quote",
                &[("F", b"host=\"a,\\\\\", for=192.0.2.2;x=\"\\\\\"")],
                2,
                "host=a,\\",
            ),
            (
                "three backslashes escape a quote",
                &[("F", b"for=192.0.2.1;x=\"\\\\\\\",\";host=a")],
                1,
                "192.0.2.1 host=a",
            ),
            (
                "a string of one quote",
                &[("F", b"for=192.0.2.1, x=\"\\\"\";host=\"\\\"\"")],
                1,
                "host=\"",
            ),
            (
                "any character may be escaped",
                &[(
                    "F",
                    b"for=\"192.0.2\\.1\";proto=\"\\HTTPS\";host=\"\\a\\b\"",
                )],
                1,
                "192.0.2.1 proto=https host=ab",
            ),
            (
                "an unclosed quote is malformed",
                &[("F", b"host=a;for=\"192.0.2.1")],
                1,
                "",
            ),
            (
                "a quote that was not opened is malformed",
                &[("F", b"host=a;for=192.0.2.1\"")],
                1,
                "",
            ),
            (
                "a quote whose closing one is escaped is malformed",
                &[("F", b"host=a;for=\"192.0.2.1\\\"")],
                1,
                "",
            ),
            (
                "a quote within a value is malformed",
                &[("F", b"proto=http;host=a\"b\"")],
                1,
                "",
            ),
            (
                "something after a string is malformed",
                &[("F", b"proto=http;host=\"a\"b")],
                1,
                "",
            ),
            (
                "a backslash outside of quotes is malformed",
                &[("F", b"proto=http;host=a\\b")],
                1,
                "",
            ),
            (
                "apostrophes are no quotes",
                &[("F", b"for='192.0.2.1'")],
                1,
                "",
            ),
            (
                "beyond a quote that was not opened nothing counts",
                &[("F", b"for=1.1.1.1"), ("F", b"for=192.0.2.1, host=a\"")],
                2,
                "",
            ),
        ],
    );
}

const PAIRS: &[Case] = &[
    (
        "all of them",
        &[(
            "F",
            b"for=192.0.2.1;by=203.0.113.7;proto=https;host=example.com",
        )],
        1,
        "192.0.2.1 proto=https host=example.com",
    ),
    (
        "names in any case",
        &[("F", b"FOR=192.0.2.1;Proto=http;hOST=a")],
        1,
        "192.0.2.1 proto=http host=a",
    ),
    (
        "whitespace is tolerated",
        &[("F", b" for = 192.0.2.1 ;\tproto =http; host= \"a\" ")],
        1,
        "192.0.2.1 proto=http host=a",
    ),
    (
        "empty pairs are allowed",
        &[("F", b";;for=192.0.2.1; ;proto=http;")],
        1,
        "192.0.2.1 proto=http",
    ),
    (
        "unknown parameters are ignored",
        &[("F", b"for=192.0.2.1;secret=\"a;b\";x=y;x=z")],
        1,
        "192.0.2.1",
    ),
    (
        "an unknown parameter alone",
        &[("F", b"fo=192.0.2.1")],
        1,
        "",
    ),
    (
        "the host keeps its port, quoted or not",
        &[("F", b"host=example.com:8443")],
        1,
        "host=example.com:8443",
    ),
    (
        "an empty host is none",
        &[("F", b"host=\"\";proto=ws")],
        1,
        "proto=ws",
    ),
    (
        "for twice is malformed",
        &[("F", b"for=192.0.2.1;proto=http;For=192.0.2.2")],
        1,
        "",
    ),
    (
        "host twice is malformed, though alike",
        &[("F", b"for=192.0.2.1;host=a;host=a")],
        1,
        "",
    ),
    (
        "proto twice is malformed",
        &[("F", b"for=192.0.2.1;proto=http;proto=https")],
        1,
        "",
    ),
    ("no = is malformed", &[("F", b"proto=http;for")], 1, ""),
    (
        "an address alone is malformed",
        &[("F", b"192.0.2.1")],
        1,
        "",
    ),
    ("no value is malformed", &[("F", b"for=")], 1, ""),
    (
        "no value before others is malformed",
        &[("F", b"for=;proto=http")],
        1,
        "",
    ),
    (
        "no name is malformed",
        &[("F", b"proto=http;=192.0.2.1")],
        1,
        "",
    ),
    (
        "a name with a space is malformed",
        &[("F", b"x y=1;for=192.0.2.1")],
        1,
        "",
    ),
    ("= alone is malformed", &[("F", b"=")], 1, ""),
    (
        "pairs without a semicolon between are malformed",
        &[("F", b"for=192.0.2.1 proto=http")],
        1,
        "",
    ),
    (
        "a malformed element does not make its neighbour count",
        &[("F", b"for=192.0.2.1, garbage")],
        1,
        "",
    ),
    (
        "a malformed element on the right does not matter",
        &[("F", b"for=192.0.2.1, garbage")],
        2,
        "192.0.2.1",
    ),
    (
        "beyond ASCII an element is not believed",
        &[("F", b"for=192.0.2.1;host=\"\xc3\xa4\"")],
        1,
        "",
    ),
    (
        "beyond ASCII an element counts, and other lines are read",
        &[("F", b"for=192.0.2.1"), ("F", b"for=\xe4")],
        2,
        "192.0.2.1",
    ),
];

#[test]
fn pairs_of_forwarded() {
    check(Forwarded, PAIRS);
}

const NODES: &[Case] = &[
    ("IPv4", &[("F", b"for=192.0.2.1")], 1, "192.0.2.1"),
    (
        "IPv4, quoted",
        &[("F", b"for=\"192.0.2.1\"")],
        1,
        "192.0.2.1",
    ),
    (
        "IPv4 and port",
        &[("F", b"for=\"192.0.2.1:4711\"")],
        1,
        "192.0.2.1 port=4711",
    ),
    (
        "IPv4 and port, without quotes",
        &[("F", b"for=192.0.2.1:4711")],
        1,
        "192.0.2.1 port=4711",
    ),
    ("IPv6", &[("F", b"for=\"[2001:db8::1]\"")], 1, "2001:db8::1"),
    (
        "IPv6 and port",
        &[("F", b"For=\"[2001:DB8::1]:4711\"")],
        1,
        "2001:db8::1 port=4711",
    ),
    (
        "IPv6 without quotes",
        &[("F", b"for=[2001:db8::1]:4711")],
        1,
        "2001:db8::1 port=4711",
    ),
    (
        "IPv6 without brackets",
        &[("F", b"for=2001:db8::1")],
        1,
        "2001:db8::1",
    ),
    (
        "IPv4 within IPv6",
        &[("F", b"for=\"[::ffff:192.0.2.1]:80\"")],
        1,
        "192.0.2.1 port=80",
    ),
    (
        "an obfuscated port",
        &[("F", b"for=\"192.0.2.1:_a.b-C_1\"")],
        1,
        "192.0.2.1",
    ),
    (
        "an obfuscated port after IPv6",
        &[("F", b"for=\"[2001:db8::1]:_x\"")],
        1,
        "2001:db8::1",
    ),
    (
        "unknown is no address, and the rest of the element counts",
        &[("F", b"for=unknown;proto=https;host=a")],
        1,
        "proto=https host=a",
    ),
    (
        "an obfuscated identifier is no address",
        &[("F", b"for=_hidden;proto=https")],
        1,
        "proto=https",
    ),
    (
        "unknown with a port",
        &[("F", b"for=\"unknown:80\";host=a")],
        1,
        "host=a",
    ),
    ("an empty string", &[("F", b"for=\"\";host=a")], 1, "host=a"),
    ("a name", &[("F", b"for=example.com;host=a")], 1, "host=a"),
    (
        "the largest port",
        &[("F", b"for=\"192.0.2.1:65535\"")],
        1,
        "192.0.2.1 port=65535",
    ),
    (
        "a port too large",
        &[("F", b"for=\"192.0.2.1:65536\"")],
        1,
        "",
    ),
    (
        "a port of six digits",
        &[("F", b"for=\"192.0.2.1:000080\"")],
        1,
        "",
    ),
    (
        "a port with a sign",
        &[("F", b"for=\"192.0.2.1:+80\"")],
        1,
        "",
    ),
    ("an empty port", &[("F", b"for=\"192.0.2.1:\"")], 1, ""),
    (
        "an obfuscated port of nothing",
        &[("F", b"for=\"192.0.2.1:_\"")],
        1,
        "",
    ),
    (
        "an obfuscated port with a space",
        &[("F", b"for=\"192.0.2.1:_a b\"")],
        1,
        "",
    ),
    ("two ports", &[("F", b"for=\"192.0.2.1:80:80\"")], 1, ""),
    (
        "an unclosed bracket",
        &[("F", b"for=\"[2001:db8::1\"")],
        1,
        "",
    ),
    (
        "an unopened bracket",
        &[("F", b"for=\"2001:db8::1]:80\"")],
        1,
        "",
    ),
    ("IPv4 in brackets", &[("F", b"for=\"[192.0.2.1]\"")], 1, ""),
    (
        "something after the bracket",
        &[("F", b"for=\"[2001:db8::1]80\"")],
        1,
        "",
    ),
    ("a zone", &[("F", b"for=\"[fe80::1%eth0]\"")], 1, ""),
    ("a byte too large", &[("F", b"for=192.0.2.256")], 1, ""),
    (
        "a byte that may be octal",
        &[("F", b"for=192.0.2.010")],
        1,
        "",
    ),
    ("a byte too few", &[("F", b"for=192.0.2")], 1, ""),
];

#[test]
fn nodes_of_forwarded() {
    check(Forwarded, NODES);
}

#[test]
fn the_schemes_that_are_believed() {
    for (said, expected) in [
        ("http", "proto=http"),
        ("https", "proto=https"),
        ("ws", "proto=ws"),
        ("wss", "proto=wss"),
        ("HtTpS", "proto=https"),
        ("ftp", ""),
        ("httpss", ""),
        ("http/1.1", ""),
        ("on", ""),
    ] {
        let mut headers = HeaderMap::new();
        append(&mut headers, "F", format!("proto={said}").as_bytes());
        assert_eq!(
            shown(&read_trusted_hop(&headers, 1, Forwarded)),
            expected,
            "{said}"
        );
        let mut headers = HeaderMap::new();
        append(&mut headers, "Proto", said.as_bytes());
        assert_eq!(
            shown(&read_trusted_hop(&headers, 1, XForwarded)),
            expected,
            "{said}"
        );
    }
}

const X_HEADERS: &[Case] = &[
    (
        "nobody is trusted",
        &[("For", b"192.0.2.1"), ("Host", b"a")],
        0,
        "",
    ),
    ("no header says nothing", &[], 1, ""),
    ("IPv4", &[("For", b"192.0.2.1")], 1, "192.0.2.1"),
    (
        "IPv4 and port",
        &[("For", b"192.0.2.1:80")],
        1,
        "192.0.2.1 port=80",
    ),
    ("IPv6", &[("For", b"2001:db8::1")], 1, "2001:db8::1"),
    (
        "IPv6 in brackets",
        &[("For", b"[2001:db8::1]")],
        1,
        "2001:db8::1",
    ),
    (
        "IPv6 and port",
        &[("For", b"[2001:db8::1]:80")],
        1,
        "2001:db8::1 port=80",
    ),
    (
        "IPv4 within IPv6",
        &[("For", b"::ffff:192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "quotes and whitespace",
        &[("For", b"192.0.2.9,\t \"[2001:db8::1]:80\" ")],
        1,
        "2001:db8::1 port=80",
    ),
    ("one quote", &[("For", b"\"192.0.2.1")], 1, ""),
    ("a quote alone", &[("For", b"\"")], 1, ""),
    ("unknown", &[("For", b"unknown")], 1, ""),
    (
        "a pair as in Forwarded",
        &[("For", b"for=192.0.2.1")],
        1,
        "",
    ),
    ("an obfuscated port", &[("For", b"192.0.2.1:_a")], 1, ""),
    ("a port too large", &[("For", b"192.0.2.1:70000")], 1, ""),
    (
        "two addresses without a comma",
        &[("For", b"192.0.2.1 192.0.2.2")],
        1,
        "",
    ),
    (
        "a quote on the left spoils nothing",
        &[("For", b"\"evil, 192.0.2.1, \"192.0.2.2\"")],
        2,
        "192.0.2.1",
    ),
    (
        "the right end counts",
        &[("For", b"1.1.1.1, 192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "the leftmost if there are fewer",
        &[("For", b"192.0.2.1,192.0.2.2")],
        3,
        "192.0.2.1",
    ),
    (
        "several lines are one list, and empty elements do not count",
        &[("For", b"1.1.1.1, 192.0.2.1,"), ("For", b", 192.0.2.2 ,")],
        2,
        "192.0.2.1",
    ),
    (
        "garbage counts and says nothing",
        &[("For", b"192.0.2.1, garbage"), ("Host", b"a")],
        1,
        "host=a",
    ),
    (
        "beyond ASCII an element is not believed, but counts",
        &[("For", b"192.0.2.1"), ("For", b"\xff"), ("Host", b"\xe4")],
        2,
        "192.0.2.1",
    ),
    (
        "each header is a list of its own",
        &[
            ("For", b"1.1.1.1, 192.0.2.1, 192.0.2.2"),
            ("Proto", b"ws, https, http"),
            ("Host", b"example.com:8443"),
        ],
        2,
        "192.0.2.1 proto=https host=example.com:8443",
    ),
    ("an empty host is none", &[("Host", b" , ")], 1, ""),
    (
        "the other family is not asked",
        &[("F", b"for=192.0.2.1;proto=https;host=a")],
        1,
        "",
    ),
];

#[test]
fn x_forwarded_headers() {
    check(XForwarded, X_HEADERS);
}

const BOTH: &[Case] = &[
    (
        "nobody is trusted",
        &[("F", b"for=192.0.2.1"), ("Host", b"a")],
        0,
        "",
    ),
    ("none is there", &[], 1, ""),
    (
        "Forwarded alone",
        &[("F", b"for=192.0.2.1;proto=http;host=a")],
        1,
        "192.0.2.1 proto=http host=a",
    ),
    (
        "X-Forwarded-For alone",
        &[("For", b"192.0.2.1"), ("Proto", b"http"), ("Host", b"a")],
        1,
        "192.0.2.1 proto=http host=a",
    ),
    (
        "X-Forwarded-Proto and -Host alone",
        &[("Proto", b"http"), ("Host", b"a")],
        1,
        "proto=http host=a",
    ),
    (
        "an empty header is not there",
        &[("F", b", "), ("For", b"192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "an empty X-Forwarded-For is not there",
        &[("F", b"for=192.0.2.1"), ("For", b"")],
        1,
        "192.0.2.1",
    ),
    (
        "two clients are none, and nothing else is believed",
        &[
            ("F", b"for=192.0.2.1;proto=http;host=a"),
            ("For", b"192.0.2.2"),
            ("Proto", b"http"),
            ("Host", b"a"),
        ],
        1,
        "",
    ),
    (
        "the clients that count are compared",
        &[
            ("F", b"for=1.1.1.1, for=192.0.2.1, for=192.0.2.2"),
            ("For", b"192.0.2.1, 192.0.2.3"),
        ],
        2,
        "192.0.2.1",
    ),
    (
        "alike however written",
        &[("F", b"for=\"[::ffff:192.0.2.1]\""), ("For", b"192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "a port that one tells",
        &[("F", b"for=192.0.2.1"), ("For", b"192.0.2.1:80")],
        1,
        "192.0.2.1 port=80",
    ),
    (
        "two ports are two clients",
        &[("F", b"for=\"192.0.2.1:81\""), ("For", b"192.0.2.1:80")],
        1,
        "",
    ),
    (
        "agreed about the client, what one of them says is not believed",
        &[
            ("F", b"for=192.0.2.1;proto=https"),
            ("For", b"192.0.2.1"),
            ("Host", b"a"),
        ],
        1,
        "192.0.2.1",
    ),
    (
        "agreed about the client, a scheme they differ about is none",
        &[
            ("F", b"for=192.0.2.1;proto=ws;host=A"),
            ("For", b"192.0.2.1"),
            ("Proto", b"https"),
            ("Host", b"a"),
        ],
        1,
        "192.0.2.1 host=A",
    ),
    (
        "agreed about the client, a host they differ about is none",
        &[
            ("F", b"for=192.0.2.1;proto=ws;host=a"),
            ("For", b"192.0.2.1"),
            ("Proto", b"WS"),
            ("Host", b"a:80"),
        ],
        1,
        "192.0.2.1 proto=ws",
    ),
    (
        "Forwarded without a client beside X-Forwarded-For",
        &[
            ("F", b"proto=http"),
            ("For", b"192.0.2.1"),
            ("Proto", b"http"),
        ],
        1,
        "",
    ),
    (
        "an unknown client beside X-Forwarded-For",
        &[("F", b"for=unknown"), ("For", b"192.0.2.1")],
        1,
        "",
    ),
    (
        "a malformed Forwarded beside X-Forwarded-For",
        &[("F", b"for=\"192.0.2.1"), ("For", b"192.0.2.1")],
        1,
        "",
    ),
    (
        "Forwarded beside garbage",
        &[("F", b"for=192.0.2.1"), ("For", b"garbage")],
        1,
        "",
    ),
    (
        "to know no client is not to agree about one",
        &[("F", b"for=unknown;proto=http"), ("For", b"unknown")],
        1,
        "",
    ),
    (
        "neither tells a client, and what both say counts",
        &[
            ("F", b"proto=http;host=a"),
            ("Proto", b"http"),
            ("Host", b"b"),
        ],
        1,
        "proto=http",
    ),
    (
        "Forwarded, without X-Forwarded-For, completed",
        &[("F", b"for=192.0.2.1;proto=http"), ("Host", b"a")],
        1,
        "",
    ),
    (
        "Forwarded, without X-Forwarded-For, alike",
        &[("F", b"for=192.0.2.1;proto=http"), ("Proto", b"http")],
        1,
        "",
    ),
    (
        "Forwarded, without X-Forwarded-For, contradicted",
        &[
            ("F", b"for=192.0.2.1;proto=http;host=a"),
            ("Proto", b"https"),
            ("Host", b"b"),
        ],
        1,
        "",
    ),
];

#[test]
fn either_family_or_both() {
    check(Either, BOTH);
}

#[test]
fn only_what_is_escaped_is_copied() {
    for (host, is_copied) in [("a", false), ("\"a,b\"", false), ("\"a\\b\"", true)] {
        let mut headers = HeaderMap::new();
        append(&mut headers, "F", format!("host={host}").as_bytes());
        let host = read_trusted_hop(&headers, 1, Forwarded)
            .host
            .expect("a host");
        assert_eq!(matches!(host, Cow::Owned(_)), is_copied, "{host}");
    }
}

/// What a proxy says, and how it writes it.
#[derive(Clone, Debug)]
struct Said {
    client: Option<Client>,
    proto: Option<&'static str>,
    host: Option<String>,
    other: Option<String>,
    /// Which characters to escape that need not be; begins anew at its end.
    escapes: Vec<bool>,
}

impl Said {
    fn hop(&self) -> Hop<'_> {
        Hop {
            client: self.client,
            proto: self.proto,
            host: self.host.as_deref().map(Cow::Borrowed),
        }
    }

    fn forwarded(&self) -> String {
        let mut pairs = vec!["by=_me".to_owned()];
        if let Some(other) = &self.other {
            pairs.push(format!("other={}", self.quoted(other)));
        }
        if let Some(client) = self.client {
            pairs.push(format!("for={}", self.quoted(&Self::node(client))));
        }
        if let Some(proto) = self.proto {
            pairs.push(format!("proto={proto}"));
        }
        if let Some(host) = &self.host {
            pairs.push(format!("Host={}", self.quoted(host)));
        }
        pairs.join(";")
    }

    fn node((address, port): Client) -> String {
        let address = match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        match port {
            Some(port) => format!("{address}:{port}"),
            None => address,
        }
    }

    fn quoted(&self, text: &str) -> String {
        let mut out = String::from("\"");
        for (character, escape) in text.chars().zip(self.escapes.iter().cycle()) {
            if *escape || matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out + "\""
    }
}

/// A byte that may be in a header, more often one that means something.
fn byte() -> impl Strategy<Value = u8> {
    let special = select(b"\"\"\\\\,;= for1._".to_vec());
    prop_oneof![
        1 => Just(b'\t'),
        4 => b' '..=b'~',
        4 => 0x80..=0xff_u8,
        9 => special,
    ]
}

fn string(least: usize) -> impl Strategy<Value = String> {
    let visible = (b' '..=b'~').prop_map(char::from);
    let special = select(vec!['"', '\\', ',', ';', '=']);
    vec(prop_oneof![visible, special], least..8).prop_map(String::from_iter)
}

fn client() -> impl Strategy<Value = Client> {
    let v4 = any::<[u8; 4]>().prop_map(|bytes| IpAddr::V4(Ipv4Addr::from(bytes)));
    let v6 = any::<[u8; 16]>().prop_map(|bytes| IpAddr::V6(Ipv6Addr::from(bytes)));
    let address = prop_oneof![v4, v6].prop_map(|address| address.to_canonical());
    (address, option::of(any::<u16>()))
}

fn said() -> impl Strategy<Value = Said> {
    (
        option::of(client()),
        option::of(select(vec!["http", "https", "ws", "wss"])),
        option::of(string(1)),
        option::of(string(0)),
        vec(any::<bool>(), 1..6),
    )
        .prop_map(|(client, proto, host, other, escapes)| Said {
            client,
            proto,
            host,
            other,
            escapes,
        })
}

fn config() -> ProptestConfig {
    let persistence = FileFailurePersistence::WithSource("regressions");
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").map_or(2_000, |_| default.cases),
        failure_persistence: Some(Box::new(persistence)),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_on_the_left_the_trusted_elements_say_what_they_say(
        left in vec(byte(), 0..40),
        right in vec(said(), 1..4),
        is_own_line in any::<bool>(),
        is_either in any::<bool>(),
    ) {
        let list = right.iter().map(Said::forwarded).collect::<Vec<_>>().join(", ");
        let mut headers = HeaderMap::new();
        if is_own_line {
            append(&mut headers, "F", &left);
            append(&mut headers, "F", list.as_bytes());
        } else {
            append(&mut headers, "F", &[&left, ", ".as_bytes(), list.as_bytes()].concat());
        }
        let which = if is_either { Either } else { Forwarded };
        for (trusted, said) in (1..).zip(right.iter().rev()) {
            prop_assert_eq!(read_trusted_hop(&headers, trusted, which), said.hop());
        }
    }

    #[test]
    fn whatever_is_on_the_left_the_trusted_addresses_are_read(
        left in vec(byte(), 0..40),
        right in vec(client(), 1..4),
    ) {
        let list = right.iter().map(|client| Said::node(*client)).collect::<Vec<_>>().join(",");
        let mut headers = HeaderMap::new();
        append(&mut headers, "For", &[&left, ",".as_bytes(), list.as_bytes()].concat());
        for (trusted, client) in (1..).zip(right.iter().rev()) {
            prop_assert_eq!(read_trusted_hop(&headers, trusted, XForwarded).client, Some(*client));
        }
    }

    #[test]
    fn no_bytes_panic(
        lines in vec((select(vec!["F", "For", "Proto", "Host"]), vec(byte(), 0..60)), 0..6),
        trusted in prop_oneof![0..4_usize, Just(usize::MAX)],
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in &lines {
            append(&mut headers, name, value);
        }
        for which in [Either, Forwarded, XForwarded] {
            let hop = read_trusted_hop(&headers, trusted, which);
            prop_assert!(hop.host.is_none_or(|host| !host.is_empty()));
        }
    }
}
