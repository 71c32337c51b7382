//! Tests of `Forwarded` (RFC 7239).

use super::ProxyHeaders::Forwarded;
use super::*;

#[test]
fn trusted_element_is_counted_from_the_right() {
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
        assert_eq!(show(&hop), expected, "{trusted} trusted");
    }
    check(
        Forwarded,
        &[
            ("no header", &[], 1, ""),
            ("an empty header", &[("F", b"")], 1, ""),
            ("commas alone", &[("F", b" ,,\t, ")], 1, ""),
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
                "empty elements between others do not count",
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
                "parameters of other elements are not used",
                &[("F", b"for=192.0.2.1;proto=https;host=a, for=192.0.2.2")],
                1,
                "192.0.2.2",
            ),
            (
                "an element of semicolons alone counts, with an empty report",
                &[("F", b"for=192.0.2.1, ;")],
                1,
                "",
            ),
            (
                "the other family is not read",
                &[("For", b"192.0.2.1"), ("Proto", b"https"), ("Host", b"a")],
                1,
                "",
            ),
        ],
    );
}

#[test]
fn malformed_elements_left_of_the_trusted_one_are_ignored() {
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
fn quoted_string_is_unescaped_and_separates_nothing() {
    check(
        Forwarded,
        &[
            (
                "commas and semicolons in quotes do not separate",
                &[("F", b"for=192.0.2.1;host=\"a,b;c=d\"")],
                1,
                "192.0.2.1 host=a,b;c=d",
            ),
            (
                "an escaped quote does not close the string",
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
                "a string of one escaped quote",
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
                "an unopened quote is malformed",
                &[("F", b"host=a;for=192.0.2.1\"")],
                1,
                "",
            ),
            (
                "an escaped closing quote is malformed",
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
                "text after a string is malformed",
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
                "apostrophes do not quote",
                &[("F", b"for='192.0.2.1'")],
                1,
                "",
            ),
            (
                "no element left of an unopened quote is read",
                &[("F", b"for=1.1.1.1"), ("F", b"for=192.0.2.1, host=a\"")],
                2,
                "",
            ),
        ],
    );
}

const PAIRS: &[Case] = &[
    (
        "all parameters",
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
        "an empty host is ignored",
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
        "the same host twice is malformed",
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
        "a malformed element is not replaced by its neighbour",
        &[("F", b"for=192.0.2.1, garbage")],
        1,
        "",
    ),
    (
        "a malformed element right of the trusted one is skipped",
        &[("F", b"for=192.0.2.1, garbage")],
        2,
        "192.0.2.1",
    ),
    (
        "an element beyond ASCII is ignored",
        &[("F", b"for=192.0.2.1;host=\"\xc3\xa4\"")],
        1,
        "",
    ),
    (
        "an element beyond ASCII counts, and other lines are read",
        &[("F", b"for=192.0.2.1"), ("F", b"for=\xe4")],
        2,
        "192.0.2.1",
    ),
];

#[test]
fn pairs_are_read_and_malformed_ones_void_the_element() {
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
        "unknown is not an address, and the other parameters are read",
        &[("F", b"for=unknown;proto=https;host=a")],
        1,
        "proto=https host=a",
    ),
    (
        "an obfuscated identifier is not an address",
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
        "an obfuscated port without a name",
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
        "text after the bracket",
        &[("F", b"for=\"[2001:db8::1]80\"")],
        1,
        "",
    ),
    ("a zone", &[("F", b"for=\"[fe80::1%eth0]\"")], 1, "fe80::1"),
    (
        "a zone, and a port",
        &[("F", b"for=\"[fe80::1%25eth0]:80\"")],
        1,
        "fe80::1 port=80",
    ),
    (
        "a zone without brackets",
        &[("F", b"for=\"fe80::1%eth0\"")],
        1,
        "fe80::1",
    ),
    ("an empty zone", &[("F", b"for=\"[fe80::1%]\"")], 1, ""),
    (
        "a zone behind IPv4",
        &[("F", b"for=\"1.2.3.4%eth0\"")],
        1,
        "",
    ),
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
fn node_is_an_address_with_or_without_a_port() {
    check(Forwarded, NODES);
}

#[test]
fn host_is_copied_only_if_it_has_escapes() {
    for (host, is_copied) in [("a", false), ("\"a,b\"", false), ("\"a\\b\"", true)] {
        let mut headers = HeaderMap::new();
        append(&mut headers, "F", format!("host={host}").as_bytes());
        let host = read_trusted_hop(&headers, 1, Forwarded)
            .host
            .expect("a host");
        assert_eq!(matches!(host, Cow::Owned(_)), is_copied, "{host}");
    }
}
