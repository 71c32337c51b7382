//! Parses the values of one element: scheme, address, port.

use std::net::{IpAddr, Ipv6Addr};

use crate::protocol::digits::parse_decimal;
use crate::protocol::http::authority::without_zone;

/// Returns an element as text if it has only visible ASCII characters, spaces and tabs.
pub(super) fn visible_text(element: &[u8]) -> Option<&str> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    element
        .iter()
        .all(is_text)
        .then(|| std::str::from_utf8(element).ok())?
}

/// Parses a scheme, in any case.
pub(super) fn parse_proto(text: &str) -> Option<&'static str> {
    ["http", "https", "ws", "wss"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(text))
}

/// Parses an address, and returns it with the text after the colon that follows it. IPv6 may be in brackets. It must
/// be if a port follows. Its zone is removed.
pub(super) fn parse_node(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':')?),
        };
        (IpAddr::V6(without_zone(address).parse().ok()?), port)
    } else if let Ok(address) = text.parse() {
        (address, None)
    } else if let Ok(address) = without_zone(text).parse::<Ipv6Addr>() {
        (IpAddr::V6(address), None)
    } else {
        let (address, port) = text.split_once(':')?;
        (IpAddr::V4(address.parse().ok()?), Some(port))
    };
    Some((address.to_canonical(), port))
}

/// Parses a port of one to five digits.
pub(super) fn parse_port(port: &str) -> Option<u16> {
    (port.len() <= 5).then(|| parse_decimal(port))?
}
