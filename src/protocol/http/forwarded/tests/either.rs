//! Tests of `ProxyHeaders::Either`: one family, or both and their equal values.

use super::ProxyHeaders::Either;
use super::*;

const BOTH: &[Case] = &[
    (
        "no proxy is trusted",
        &[("F", b"for=192.0.2.1"), ("Host", b"a")],
        0,
        "",
    ),
    ("no header", &[], 1, ""),
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
        "an empty Forwarded counts as absent",
        &[("F", b", "), ("For", b"192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "an empty X-Forwarded-For counts as absent",
        &[("F", b"for=192.0.2.1"), ("For", b"")],
        1,
        "192.0.2.1",
    ),
    (
        "different clients void the whole report",
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
        "the trusted elements are compared",
        &[
            ("F", b"for=1.1.1.1, for=192.0.2.1, for=192.0.2.2"),
            ("For", b"192.0.2.1, 192.0.2.3"),
        ],
        2,
        "192.0.2.1",
    ),
    (
        "equal addresses in different notations",
        &[("F", b"for=\"[::ffff:192.0.2.1]\""), ("For", b"192.0.2.1")],
        1,
        "192.0.2.1",
    ),
    (
        "a port in one family alone",
        &[("F", b"for=192.0.2.1"), ("For", b"192.0.2.1:80")],
        1,
        "192.0.2.1 port=80",
    ),
    (
        "different ports are different clients",
        &[("F", b"for=\"192.0.2.1:81\""), ("For", b"192.0.2.1:80")],
        1,
        "",
    ),
    (
        "the same client; a scheme or host in one family alone is ignored",
        &[
            ("F", b"for=192.0.2.1;proto=https"),
            ("For", b"192.0.2.1"),
            ("Host", b"a"),
        ],
        1,
        "192.0.2.1",
    ),
    (
        "the same client; different schemes are ignored",
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
        "the same client; different hosts are ignored",
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
        "Forwarded beside a malformed X-Forwarded-For",
        &[("F", b"for=192.0.2.1"), ("For", b"garbage")],
        1,
        "",
    ),
    (
        "an unknown client in both is no agreement",
        &[("F", b"for=unknown;proto=http"), ("For", b"unknown")],
        1,
        "",
    ),
    (
        "no client in either: equal values count",
        &[
            ("F", b"proto=http;host=a"),
            ("Proto", b"http"),
            ("Host", b"b"),
        ],
        1,
        "proto=http",
    ),
    (
        "a client in Forwarded, a host in X-Forwarded-Host",
        &[("F", b"for=192.0.2.1;proto=http"), ("Host", b"a")],
        1,
        "",
    ),
    (
        "a client in Forwarded, the same scheme in X-Forwarded-Proto",
        &[("F", b"for=192.0.2.1;proto=http"), ("Proto", b"http")],
        1,
        "",
    ),
    (
        "a client in Forwarded, another scheme and host in X-Forwarded-*",
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
fn equal_values_of_both_families_count() {
    check(Either, BOTH);
}
