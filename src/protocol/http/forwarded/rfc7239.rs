//! Reads `Forwarded` (RFC 7239).

use std::borrow::Cow;

use http::HeaderMap;
use http::header::FORWARDED;

use super::hop::{Client, Hop};
use super::list;
use super::value::{parse_node, parse_port, parse_proto, visible_text};

/// Reads the trusted element. `None` if the header is absent or empty; a malformed element gives an
/// empty report.
pub(super) fn read(headers: &HeaderMap, trusted: usize) -> Option<Hop<'_>> {
    let last_comma = list::last_unquoted_comma;
    let element = list::trusted_element(headers, FORWARDED.as_str(), trusted, last_comma)?;
    let element = visible_text(element).and_then(parse_element);
    let element = element.unwrap_or_default();
    Some(Hop {
        client: element.node.and_then(|raw| parse_client(&unescape(raw))),
        proto: element.proto.and_then(|raw| parse_proto(&unescape(raw))),
        host: element.host.map(unescape).filter(|host| !host.is_empty()),
    })
}

/// The parameters that are used, with their escapes.
#[derive(Default)]
struct Element<'a> {
    node: Option<&'a str>,
    proto: Option<&'a str>,
    host: Option<&'a str>,
}

/// Parses an element. `None` if it is malformed.
fn parse_element(text: &str) -> Option<Element<'_>> {
    let mut element = Element::default();
    let mut rest = text;
    while !rest.is_empty() {
        // The grammar allows empty pairs.
        if let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_ascii_start();
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_ascii_end();
        let (value, after) = split_value(after.trim_ascii_start())?;
        rest = after.trim_ascii_start();
        if !is_token(name) || !(rest.is_empty() || rest.starts_with(';')) {
            return None;
        }
        let parameter = if name.eq_ignore_ascii_case("for") {
            &mut element.node
        } else if name.eq_ignore_ascii_case("proto") {
            &mut element.proto
        } else if name.eq_ignore_ascii_case("host") {
            &mut element.host
        } else {
            continue;
        };
        if parameter.replace(value).is_some() {
            return None;
        }
    }
    Some(element)
}

/// Splits the value at the start of `text`, without its quotes, from what follows.
///
/// An unquoted value may be more than a token, because proxies forget the quotes around `[::1]` or
/// `a:80`.
fn split_value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
        let is_well_formed = !value.is_empty() && !value.contains(['"', '\\']);
        return is_well_formed.then_some((value, rest));
    };
    let mut at = 0;
    loop {
        at += quoted.get(at..)?.find(['"', '\\'])?;
        if quoted[at..].starts_with('"') {
            return Some((&quoted[..at], &quoted[at + 1..]));
        }
        at += 2;
    }
}

/// Removes the backslashes that escape. Allocates only if there are any.
fn unescape(raw: &str) -> Cow<'_, str> {
    let mut out = Cow::Borrowed("");
    let mut rest = raw;
    while let Some((plain, escaped)) = rest.split_once('\\') {
        let (one, after) = escaped.split_at(escaped.len().min(1));
        out += plain;
        out += one;
        rest = after;
    }
    out + rest
}

/// Parses a node that is an address, and not `unknown` or an obfuscated identifier.
fn parse_client(text: &str) -> Option<Client> {
    let (address, port) = parse_node(text)?;
    match port {
        Some(port) if !is_obfuscated(port) => Some((address, Some(parse_port(port)?))),
        _ => Some((address, None)),
    }
}

/// Whether a port is obfuscated (RFC 7239, section 6.3): `_` and at least one more character.
fn is_obfuscated(port: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    port.len() > 1 && port.starts_with('_') && port.bytes().all(is_allowed)
}

/// Whether a name is a token (RFC 9110, section 5.6.2).
fn is_token(name: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_tchar)
}
