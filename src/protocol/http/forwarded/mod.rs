//! What trusted proxies say of a request: who asked, by which scheme, of which host. Pure.
//!
//! Each proxy appends to the list that it was sent, so the right end of a list is the proxies' and
//! the rest is the client's to choose. Lists are read from the right, and no further than the
//! element that counts; several lines of a header are one list.

use std::borrow::Cow;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::FORWARDED;
use memchr::{memrchr, memrchr_iter, memrchr2};

use crate::protocol::digits::parse_decimal;

const X_FORWARDED_FOR: &str = "x-forwarded-for";
const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
const X_FORWARDED_HOST: &str = "x-forwarded-host";

/// Which headers trusted proxies write.
///
/// A proxy that writes one family may pass on what the client sent of the other. So where it is
/// known which one the proxies write, name it.
///
/// ```
/// use tower_api_span::ProxyHeaders;
///
/// assert_eq!(ProxyHeaders::default(), ProxyHeaders::Either);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeaders {
    /// Whichever is there. Where headers of both families are, only what both say is believed, and
    /// nothing at all if they differ about the client. So a client may hide what the proxies say by
    /// sending a header of the family that they do not write.
    #[default]
    Either,
    /// `Forwarded` (RFC 7239) alone.
    Forwarded,
    /// `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` alone.
    XForwarded,
}

/// An address, and its port if told.
type Client = (IpAddr, Option<u16>);

/// What the trusted hop says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    /// Address of who connected to the outermost trusted proxy, and its port if told.
    pub(crate) client: Option<Client>,
    /// `http`, `https`, `ws` or `wss`; anything else is not believed.
    pub(crate) proto: Option<&'static str>,
    /// The host, with its port if told; not yet parsed, and never empty.
    pub(crate) host: Option<Cow<'a, str>>,
}

/// What the outermost of `trusted` proxies says: the element of each list that is the `trusted`-th
/// from the right or, where there are fewer, the leftmost. Nothing if no proxy is trusted.
pub(crate) fn read_trusted_hop(
    headers: &HeaderMap,
    trusted: usize,
    which: ProxyHeaders,
) -> Hop<'_> {
    if trusted == 0 {
        return Hop::default();
    }
    match which {
        ProxyHeaders::Either => either(headers, trusted),
        ProxyHeaders::Forwarded => forwarded(headers, trusted).unwrap_or_default(),
        ProxyHeaders::XForwarded => x_forwarded(headers, trusted),
    }
}

/// Both families, or the one that is there.
///
/// The proxies may write one and pass on the client's forgery of the other, and nothing tells which
/// is which. So where both are there, only what both say counts: a client knows its own address, and
/// that the families agree about it vouches for nothing else.
fn either(headers: &HeaderMap, trusted: usize) -> Hop<'_> {
    let x = x_forwarded(headers, trusted);
    let Some(forwarded) = forwarded(headers, trusted) else {
        return x;
    };
    let names = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST];
    if names
        .iter()
        .all(|name| x_element(headers, name, trusted).is_none())
    {
        return forwarded;
    }
    let client = match (forwarded.client, x.client) {
        (Some(one), Some(other)) => same_client(one, other),
        (None, None) => None,
        _ => return Hop::default(),
    };
    if client.is_none() && forwarded.client.is_some() {
        return Hop::default();
    }
    let host = forwarded.host.zip(x.host);
    Hop {
        client,
        proto: forwarded.proto.filter(|proto| x.proto == Some(*proto)),
        host: host
            .filter(|(one, other)| one.eq_ignore_ascii_case(other))
            .map(|(host, _)| host),
    }
}

/// What two say of one client, unless addresses or ports differ.
fn same_client((one, port): Client, (other, other_port): Client) -> Option<Client> {
    let differs = one != other || port.zip(other_port).is_some_and(|(a, b)| a != b);
    (!differs).then_some((one, port.or(other_port)))
}

// === X-Forwarded-* ===

fn x_forwarded(headers: &HeaderMap, trusted: usize) -> Hop<'_> {
    let said = |name| x_element(headers, name, trusted).and_then(text);
    Hop {
        client: said(X_FORWARDED_FOR).and_then(x_client),
        proto: said(X_FORWARDED_PROTO).and_then(proto),
        host: said(X_FORWARDED_HOST).map(Cow::Borrowed),
    }
}

/// The element that counts. Nothing in these lists may hold a comma, so that each one separates,
/// whatever quotes are about it.
fn x_element<'a>(headers: &'a HeaderMap, name: &str, trusted: usize) -> Option<&'a [u8]> {
    counting(headers, name, trusted, |list| Ok(memrchr(b',', list)))
}

fn x_client(text: &str) -> Option<Client> {
    let unquoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let (address, port) = address(unquoted.unwrap_or(text).trim_ascii())?;
    match port {
        Some(port) => Some((address, Some(number(port)?))),
        None => Some((address, None)),
    }
}

// === Forwarded ===

/// Nothing if the header is not there, or is empty.
fn forwarded(headers: &HeaderMap, trusted: usize) -> Option<Hop<'_>> {
    let counting = counting(headers, FORWARDED.as_str(), trusted, last_comma)?;
    let element = text(counting).and_then(element).unwrap_or_default();
    Some(Hop {
        client: element.node.and_then(|raw| node(&unescaped(raw))),
        proto: element.proto.and_then(|raw| proto(&unescaped(raw))),
        host: element.host.map(unescaped).filter(|host| !host.is_empty()),
    })
}

/// The parameters of an element that are of use, still with their escapes.
#[derive(Default)]
struct Element<'a> {
    node: Option<&'a str>,
    proto: Option<&'a str>,
    host: Option<&'a str>,
}

/// Reads an element, `None` if it is malformed.
fn element(text: &str) -> Option<Element<'_>> {
    let mut element = Element::default();
    let mut rest = text;
    while !rest.is_empty() {
        // A pair may be empty, by the grammar.
        if let Some(after) = rest.strip_prefix(';') {
            rest = after.trim_ascii_start();
            continue;
        }
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_ascii_end();
        let (value, after) = value(after.trim_ascii_start())?;
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

/// The value at the start of `text`, without its quotes, and what follows it.
///
/// More than tokens are taken without quotes, because proxies forget them around `[::1]` or `a:80`.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
        let well_formed = !value.is_empty() && !value.contains(['"', '\\']);
        return well_formed.then_some((value, rest));
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

/// A quoted string's content, without the backslashes that escape. Allocates if there are any.
fn unescaped(raw: &str) -> Cow<'_, str> {
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

/// A node that is an address: not `unknown`, and no `_hidden` one.
fn node(text: &str) -> Option<Client> {
    let (address, port) = address(text)?;
    match port {
        Some(port) if !is_obfuscated(port) => Some((address, Some(number(port)?))),
        _ => Some((address, None)),
    }
}

fn is_obfuscated(port: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    port.len() > 1 && port.starts_with('_') && port.bytes().all(is_allowed)
}

fn is_token(name: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_tchar)
}

// === Lists ===

/// A quote closes a string that was never opened.
struct Unopened;

/// The element that counts, trimmed: the `trusted`-th from the right of all lines or, where there
/// are fewer, the leftmost. Empty elements do not count (RFC 9110, section 5.6.1.2).
fn counting<'a>(
    headers: &'a HeaderMap,
    name: &str,
    trusted: usize,
    last_comma: impl Fn(&[u8]) -> Result<Option<usize>, Unopened>,
) -> Option<&'a [u8]> {
    let (mut counting, mut missing) = (None, trusted);
    for line in headers.get_all(name).iter().rev() {
        let mut rest = Some(line.as_bytes());
        while let Some(list) = rest {
            let Ok(comma) = last_comma(list) else {
                // How many elements this is, nobody can tell. To go on would be to lose count and
                // to believe one that the client wrote; this one is malformed and says nothing.
                return Some(list);
            };
            let element = list[comma.map_or(0, |at| at + 1)..].trim_ascii();
            rest = comma.map(|at| &list[..at]);
            if element.is_empty() {
                continue;
            }
            counting = Some(element);
            missing -= 1;
            if missing == 0 {
                return counting;
            }
        }
    }
    counting
}

/// The last comma that is not quoted, as seen from the right.
///
/// From the left, a quote that the client never closed would swallow what the proxies appended. From
/// the right, all is well-formed up to the comma at which the proxies' elements begin, and nothing
/// beyond it is looked at. In there a quote met outside of a string closes one, with however many
/// backslashes before it; the next one to its left without a backslash before it is the one that
/// opens it, as within a string each quote has one, and before a string there is `=`.
fn last_comma(list: &[u8]) -> Result<Option<usize>, Unopened> {
    let mut end = list.len();
    while let Some(at) = memrchr2(b',', b'"', &list[..end]) {
        if list[at] == b',' {
            return Ok(Some(at));
        }
        end = memrchr_iter(b'"', &list[..at])
            .find(|quote| !list[..*quote].ends_with(b"\\"))
            .ok_or(Unopened)?;
    }
    Ok(None)
}

// === Values ===

/// An element as text, if it is of visible ASCII, spaces and tabs.
fn text(element: &[u8]) -> Option<&str> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    element
        .iter()
        .all(is_text)
        .then(|| std::str::from_utf8(element).ok())?
}

fn proto(text: &str) -> Option<&'static str> {
    ["http", "https", "ws", "wss"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(text))
}

/// An address, with or without brackets if it is of IPv6, and what follows the colon after it.
fn address(text: &str) -> Option<(IpAddr, Option<&str>)> {
    let (address, port) = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let port = match rest {
            "" => None,
            _ => Some(rest.strip_prefix(':')?),
        };
        (IpAddr::V6(address.parse().ok()?), port)
    } else if let Ok(address) = text.parse() {
        (address, None)
    } else {
        let (address, port) = text.split_once(':')?;
        (IpAddr::V4(address.parse().ok()?), Some(port))
    };
    Some((address.to_canonical(), port))
}

/// A port of one to five digits.
fn number(port: &str) -> Option<u16> {
    // The limit keeps out any number of leading zeros.
    (port.len() <= 5).then(|| parse_decimal(port))?
}

#[cfg(test)]
mod tests;
