//! A naive reader of the headers of proxies: it reads all elements from the left into lists.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::{HeaderMap, HeaderValue};

/// An address, and its port if there is one.
pub type Client = (IpAddr, Option<u16>);

/// The values that the outermost trusted proxy sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Hop {
    pub client: Option<Client>,
    pub proto: Option<&'static str>,
    pub host: Option<String>,
}

/// Whether any of these headers has an element.
pub fn has_element(headers: &HeaderMap, names: &[&str]) -> bool {
    let is_element = |byte: &u8| !b", \t".contains(byte);
    names.iter().any(|name| {
        let mut lines = headers.get_all(*name).iter();
        lines.any(|line| line.as_bytes().iter().any(is_element))
    })
}

/// Reads `X-Forwarded-*`.
pub fn read_x_forwarded(headers: &HeaderMap, trusted: usize) -> Hop {
    let element = |name| {
        let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let list = lines.collect::<Vec<_>>().join(&b","[..]);
        let elements = list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let elements: Vec<_> = elements.filter(|element| !element.is_empty()).collect();
        outermost(&elements, trusted).and_then(|element| text(element))
    };
    let value = |name| {
        let text = element(name)?;
        let is_quoted = text.len() >= 2 && text.starts_with('"') && text.ends_with('"');
        let text = if is_quoted {
            &text[1..text.len() - 1]
        } else {
            &text
        };
        Some(text.trim_matches([' ', '\t']).to_owned()).filter(|text| !text.is_empty())
    };
    Hop {
        client: value("x-forwarded-for").and_then(|text| client(&text)),
        proto: value("x-forwarded-proto").and_then(|text| proto(&text)),
        host: value("x-forwarded-host"),
    }
}

/// Reads `Forwarded`; `None` if it is malformed by RFC 7239, because its elements cannot be separated.
pub fn read_forwarded(headers: &HeaderMap, trusted: usize) -> Option<Hop> {
    let mut elements = Vec::new();
    for line in headers.get_all("forwarded") {
        elements.extend(Reader(line.as_bytes()).list()?);
    }
    let Some(element) = outermost(&elements, trusted) else {
        return Some(Hop::default());
    };
    let is_text = |text: &Vec<u8>| self::text(text).is_some();
    let mut names = HashSet::new();
    let known: Vec<_> = element
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value))
        .filter(|(name, _)| [&b"for"[..], b"proto", b"host"].contains(&name.as_slice()))
        .collect();
    let is_well = element.iter().all(|(_, value)| is_text(value))
        && known.iter().all(|(name, _)| names.insert(name));
    if !is_well {
        return Some(Hop::default());
    }
    let value = |wanted: &[u8]| {
        let (_, value) = known.iter().find(|(name, _)| name == wanted)?;
        text(value)
    };
    Some(Hop {
        client: value(b"for").and_then(|text| match text.rsplit_once(":_") {
            // An obfuscated port is ignored.
            Some((node, port)) if is_obfuscated(port) && client(&text).is_none() => {
                client(node).filter(|(_, port)| port.is_none() && can_have_port(node))
            }
            _ => client(&text),
        }),
        proto: value(b"proto").and_then(|text| proto(&text)),
        host: value(b"host").filter(|host| !host.is_empty()),
    })
}

/// Merges both families: the values on which they agree, or those of the family that is present.
pub fn merge(headers: &HeaderMap, forwarded: Hop, x: Hop) -> Hop {
    if !has_element(headers, &["forwarded"]) {
        return x;
    }
    if !has_element(
        headers,
        &["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"],
    ) {
        return forwarded;
    }
    let client = match (forwarded.client, x.client) {
        (None, None) => None,
        (Some((one, port)), Some((other, other_port))) if one == other => {
            match (port, other_port) {
                (Some(one), Some(other)) if one != other => return Hop::default(),
                _ => Some((one, port.or(other_port))),
            }
        }
        _ => return Hop::default(),
    };
    let is_same = |one: &String, other: &String| one.to_lowercase() == other.to_lowercase();
    Hop {
        client,
        proto: if forwarded.proto == x.proto {
            x.proto
        } else {
            None
        },
        host: match (forwarded.host, x.host) {
            (Some(one), Some(other)) if is_same(&one, &other) => Some(one),
            _ => None,
        },
    }
}

/// Parses host and port of an authority, if it is valid.
pub fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let authority = authority.rsplit('@').next().expect("there is a last one");
    let authority = without_zone(authority);
    let authority = authority.as_str();
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if is_number(port) => (host, port),
        _ => (authority, ""),
    };
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let host = match bracketed {
        Some(address) if address.parse::<Ipv6Addr>().is_ok() => address,
        Some(_) => return None,
        None => host,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
    let is_host = bracketed.is_some() || (!host.is_empty() && host.bytes().all(is_name));
    is_host.then(|| (host.to_owned(), port.parse().ok()))
}

/// Returns the element of the outermost trusted proxy.
fn outermost<T>(elements: &[T], trusted: usize) -> Option<&T> {
    elements.get(elements.len().saturating_sub(trusted))
}

fn text(bytes: &[u8]) -> Option<String> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    let is_text = bytes.iter().all(is_text);
    is_text.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn proto(text: &str) -> Option<&'static str> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Some("http"),
        "https" => Some("https"),
        "ws" => Some("ws"),
        "wss" => Some("wss"),
        _ => None,
    }
}

/// Removes the zone of an IPv6 address, within its brackets or up to the end.
fn without_zone(text: &str) -> String {
    let Some(percent) = text.find('%') else {
        return text.to_owned();
    };
    let end = if text.starts_with('[') {
        text.find(']')
    } else {
        let is_ipv6 = text[..percent].parse::<Ipv6Addr>().is_ok();
        is_ipv6.then_some(text.len())
    };
    match end {
        Some(end) if end > percent + 1 => format!("{}{}", &text[..percent], &text[end..]),
        _ => text.to_owned(),
    }
}

/// Parses an address with or without a port by the standard library. A port has at most five digits.
fn client(text: &str) -> Option<Client> {
    let text = without_zone(text);
    let text = text.as_str();
    if let Ok(address) = text.parse::<SocketAddr>() {
        let (_, port) = text.rsplit_once(':').expect("a port");
        let is_well = port.len() <= 5 && !text.contains('%');
        return is_well.then(|| (address.ip().to_canonical(), Some(address.port())));
    }
    let bracketed = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    let address = match bracketed {
        Some(address) => IpAddr::V6(address.parse().ok()?),
        None => text.parse().ok()?,
    };
    Some((address.to_canonical(), None))
}

/// Whether a port can follow: an IPv4 address, or one in brackets.
fn can_have_port(node: &str) -> bool {
    node.starts_with('[') || !node.contains(':')
}

fn is_obfuscated(port: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !port.is_empty() && port.bytes().all(is_allowed)
}

/// The pairs of an element, without quotes and escapes.
type Element = Vec<(Vec<u8>, Vec<u8>)>;

/// A parser of a line of `Forwarded`. Its functions return `None` if the line is malformed.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// Parses nonempty elements between commas and white space.
    fn list(mut self) -> Option<Vec<Element>> {
        let mut elements = Vec::new();
        loop {
            self.space();
            let before = self.0.len();
            let element = self.element()?;
            if self.0.len() < before {
                elements.push(element);
            }
            self.space();
            match self.0.split_first() {
                None => return Some(elements),
                Some((b',', rest)) => self.0 = rest,
                Some(_) => return None,
            }
        }
    }

    fn space(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    /// Parses pairs between semicolons.
    fn element(&mut self) -> Option<Element> {
        let mut pairs = Vec::new();
        loop {
            match self.0 {
                [] | [b',' | b' ' | b'\t', ..] => return Some(pairs),
                [b';', rest @ ..] => self.0 = rest,
                _ => pairs.push(self.pair()?),
            }
        }
    }

    fn pair(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let name = self.token()?;
        self.0 = self.0.strip_prefix(b"=")?;
        let value = if self.0.starts_with(b"\"") {
            self.quoted()?
        } else {
            self.token()?
        };
        matches!(self.0, [] | [b',' | b';' | b' ' | b'\t', ..]).then_some((name, value))
    }

    fn token(&mut self) -> Option<Vec<u8>> {
        let is_token_byte =
            |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let end = self.0.iter().position(|byte| !is_token_byte(byte));
        let (token, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        (!token.is_empty()).then(|| token.to_vec())
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        let mut rest = &self.0[1..];
        loop {
            match rest {
                [b'"', after @ ..] => {
                    self.0 = after;
                    return Some(content);
                }
                [b'\\', escaped, after @ ..] => {
                    content.push(*escaped);
                    rest = after;
                }
                [byte, after @ ..] => {
                    content.push(*byte);
                    rest = after;
                }
                [] => return None,
            }
        }
    }
}
