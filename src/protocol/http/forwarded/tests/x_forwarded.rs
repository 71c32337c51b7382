//! Tests of `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.

use super::ProxyHeaders::XForwarded;
use super::*;

const X_HEADERS: &[Case] = &[
    (
        "no proxy is trusted",
        &[("For", b"192.0.2.1"), ("Host", b"a")],
        0,
        "",
    ),
    ("no header", &[], 1, ""),
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
    (
        "quotes around each value",
        &[
            ("For", b"\"192.0.2.1:80\""),
            ("Proto", b"http, \"HTTPS\""),
            ("Host", b"\"example.com:8443\""),
        ],
        1,
        "192.0.2.1 port=80 proto=https host=example.com:8443",
    ),
    (
        "empty quotes",
        &[("For", b"\"\""), ("Proto", b"\"\""), ("Host", b"\" \"")],
        1,
        "",
    ),
    ("one quote before a scheme", &[("Proto", b"\"https")], 1, ""),
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
        "a quote on the left is ignored",
        &[("For", b"\"evil, 192.0.2.1, \"192.0.2.2\"")],
        2,
        "192.0.2.1",
    ),
    (
        "the rightmost element is read",
        &[("For", b"1.1.1.1, 192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "the leftmost element is read if there are fewer",
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
        "a malformed element counts, without a client",
        &[("For", b"192.0.2.1, garbage"), ("Host", b"a")],
        1,
        "host=a",
    ),
    (
        "an element beyond ASCII counts, but is ignored",
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
    ("an empty host is ignored", &[("Host", b" , ")], 1, ""),
    (
        "the other family is not read",
        &[("F", b"for=192.0.2.1;proto=https;host=a")],
        1,
        "",
    ),
];

#[test]
fn trusted_element_of_each_list_is_read() {
    check(XForwarded, X_HEADERS);
}
