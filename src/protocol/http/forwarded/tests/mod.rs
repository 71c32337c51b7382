//! Tests of reading trusted hops: one file for each family, for both at once, and properties.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::net::IpAddr;

use http::{HeaderName, HeaderValue};

use super::*;

mod either;
mod properties;
mod rfc7239;
mod x_forwarded;

/// The rule, the header lines, the number of trusted proxies, and the expected report as [`show`]
/// formats it.
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
            show(&read_trusted_hop(&headers, *trusted, which)),
            *expected,
            "{rule}"
        );
    }
}

/// Appends a header. `F` is `Forwarded`; `For`, `Proto` and `Host` are `X-Forwarded-*`.
fn append(headers: &mut HeaderMap, name: &str, value: &[u8]) {
    let name = match name {
        "F" => "forwarded".to_owned(),
        _ => format!("x-forwarded-{}", name.to_ascii_lowercase()),
    };
    let name = HeaderName::try_from(name).expect("a name");
    headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
}

/// Formats a report as `address port=… proto=… host=…`, without what is absent.
fn show(hop: &Hop<'_>) -> String {
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
fn scheme_is_http_https_ws_or_wss_in_any_case() {
    for (scheme, expected) in [
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
        append(&mut headers, "F", format!("proto={scheme}").as_bytes());
        assert_eq!(
            show(&read_trusted_hop(&headers, 1, ProxyHeaders::Forwarded)),
            expected,
            "{scheme}"
        );
        let mut headers = HeaderMap::new();
        append(&mut headers, "Proto", scheme.as_bytes());
        assert_eq!(
            show(&read_trusted_hop(&headers, 1, ProxyHeaders::XForwarded)),
            expected,
            "{scheme}"
        );
    }
}
