//! Reads `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.

use std::borrow::Cow;

use http::HeaderMap;
use memchr::memrchr;

use super::hop::{Client, Hop};
use super::list;
use super::value::{parse_node, parse_port, parse_proto, visible_text};

const FOR: &str = "x-forwarded-for";
const PROTO: &str = "x-forwarded-proto";
const HOST: &str = "x-forwarded-host";

/// Reads the trusted element of each header. Each header is a list of its own.
pub(super) fn read(headers: &HeaderMap, trusted: usize) -> Hop<'_> {
    let text = |name| {
        let element = trusted_element(headers, name, trusted).and_then(visible_text)?;
        Some(unquote(element)).filter(|text| !text.is_empty())
    };
    Hop {
        client: text(FOR).and_then(parse_client),
        proto: text(PROTO).and_then(parse_proto),
        host: text(HOST).map(Cow::Borrowed),
    }
}

/// Whether any of the headers has an element.
pub(super) fn is_present(headers: &HeaderMap, trusted: usize) -> bool {
    [FOR, PROTO, HOST]
        .iter()
        .any(|name| trusted_element(headers, name, trusted).is_some())
}

/// Returns the trusted element of a header. Every comma separates, even within quotes, because no value in these lists
/// may contain one.
fn trusted_element<'a>(headers: &'a HeaderMap, name: &str, trusted: usize) -> Option<&'a [u8]> {
    list::trusted_element(headers, name, trusted, |list| Ok(memrchr(b',', list)))
}

/// Removes the quotes around a value. Proxies that also write `Forwarded` put them there.
fn unquote(text: &str) -> &str {
    let unquoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    unquoted.map_or(text, str::trim_ascii)
}

/// Parses an address.
fn parse_client(text: &str) -> Option<Client> {
    let (address, port) = parse_node(text)?;
    match port {
        Some(port) => Some((address, Some(parse_port(port)?))),
        None => Some((address, None)),
    }
}
