//! The expected attributes: header lines read character by character.

use std::net::{IpAddr, Ipv6Addr};

use bytes::Bytes;
use tower_api_span::ProxyHeaders;

use super::{Lines, ORIGIN, PEER, Recorded};

type Client = (IpAddr, Option<u16>);

/// The values that the trusted proxies set, in one family of headers.
#[derive(Clone, Debug, Default)]
struct Hop {
    client: Option<Client>,
    proto: Option<String>,
    host: Option<String>,
}

pub(super) fn expected(lines: &Lines, trusted: usize, which: ProxyHeaders) -> Recorded {
    let [forwarded, node, proto, host] = lines;
    let forwarded = element(forwarded, trusted, true);
    let others = [node, proto, host].map(|lines| element(lines, trusted, false));
    let is_present = (forwarded.is_some(), others.iter().any(Option::is_some));
    let forwarded = forwarded
        .and_then(|element| pairs(&element))
        .map(hop_from_pairs);
    let forwarded = forwarded.unwrap_or_default();
    let [node, proto, host] = others.map(|element| element.filter(|element| is_text(element)));
    let others = Hop {
        client: node.and_then(|node| client(unquoted(&node), false)),
        proto: proto.and_then(|proto| scheme(unquoted(&proto))),
        host: host
            .map(|host| unquoted(&host).to_owned())
            .filter(|host| !host.is_empty()),
    };
    let hop = match (which, is_present) {
        _ if trusted == 0 => Hop::default(),
        (ProxyHeaders::Forwarded, _) | (ProxyHeaders::Either, (true, false)) => forwarded,
        (ProxyHeaders::XForwarded, _) | (ProxyHeaders::Either, (false, _)) => others,
        _ => merge(forwarded, &others),
    };
    let client = hop.client.map(|(ip, port)| (ip.to_string(), port));
    let server = hop.host.as_deref().and_then(server);
    Recorded {
        client: client.unwrap_or_else(|| (PEER.to_owned(), Some(7))),
        server: server.unwrap_or_else(|| (ORIGIN.to_owned(), Some(1))),
        scheme: hop.proto.unwrap_or_else(|| "http".to_owned()),
    }
}

/// Keeps the values on which both families agree; no values if they differ about the client.
fn merge(one: Hop, other: &Hop) -> Hop {
    let client = match (one.client, other.client) {
        (Some((ip, port)), Some((other_ip, other_port))) => {
            let is_same = ip == other_ip && (port == other_port || port.xor(other_port).is_some());
            is_same.then_some((ip, port.or(other_port)))
        }
        _ => None,
    };
    if client.is_none() && (one.client.is_some() || other.client.is_some()) {
        return Hop::default();
    }
    let same_host = |host: &String| {
        let other = other.host.as_ref();
        other.is_some_and(|other| other.to_lowercase() == host.to_lowercase())
    };
    Hop {
        client,
        proto: one
            .proto
            .filter(|proto| other.proto.as_ref() == Some(proto)),
        host: one.host.filter(same_host),
    }
}

/// Returns the element of the outermost trusted proxy, one character for each byte: the `trusted`-th
/// nonempty element from the right, or the leftmost one. An element with a quote that is closed but not
/// opened is the leftmost one.
fn element(lines: &[Bytes], trusted: usize, has_quotes: bool) -> Option<String> {
    let mut last = None;
    let mut left = trusted;
    for line in lines.iter().rev() {
        let line: Vec<char> = line.iter().map(|byte| char::from(*byte)).collect();
        let (mut element, mut is_quoted) = (String::new(), false);
        // A comma before the line ends its first element.
        for at in (0..=line.len()).rev() {
            let char = at.checked_sub(1).map_or(',', |at| line[at]);
            if has_quotes && char == '"' {
                let is_escaped = at >= 2 && line[at - 2] == '\\';
                is_quoted = !is_quoted || is_escaped;
            }
            if char == ',' && at == 0 && is_quoted {
                // The quote is not opened.
                return Some(element);
            }
            if char != ',' || is_quoted {
                element.insert(0, char);
                continue;
            }
            let found = std::mem::take(&mut element);
            let found = found.trim_matches([' ', '\t']);
            if !found.is_empty() {
                last = Some(found.to_owned());
                left = left.checked_sub(1)?;
            }
            if left == 0 {
                // The elements to the left do not count.
                return last;
            }
        }
    }
    last
}

fn is_text(element: &str) -> bool {
    let is_visible = |char: char| char == '\t' || (' '..='~').contains(&char);
    element.chars().all(is_visible)
}

/// Returns the names, in lower case, and values of an element of `Forwarded`, if it is well-formed.
fn pairs(element: &str) -> Option<Vec<(String, String)>> {
    if !is_text(element) {
        return None;
    }
    // Split at semicolons outside quotes.
    let mut parts = vec![String::new()];
    let (mut is_quoted, mut is_escaped) = (false, false);
    for char in element.chars() {
        match char {
            ';' if !is_quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !is_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        is_escaped = is_quoted && char == '\\' && !is_escaped;
        parts.last_mut().expect("one").push(char);
    }
    let parts = parts.iter().map(|part| part.trim_matches([' ', '\t']));
    let mut pairs = Vec::<(String, String)>::new();
    for part in parts.filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=')?;
        let name = name.trim_end_matches([' ', '\t']).to_lowercase();
        let is_token =
            |char: char| char.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(char);
        if name.is_empty() || !name.chars().all(is_token) {
            return None;
        }
        let is_known = ["for", "proto", "host"].contains(&name.as_str());
        if is_known && pairs.iter().any(|(other, _)| *other == name) {
            return None;
        }
        pairs.push((name, content(value.trim_start_matches([' ', '\t']))?));
    }
    Some(pairs)
}

/// Removes the quotes and escapes of a value.
fn content(value: &str) -> Option<String> {
    let Some(quoted) = value.strip_prefix('"') else {
        let is_plain = !value.is_empty() && !value.contains(['"', '\\', ' ', '\t']);
        return is_plain.then(|| value.to_owned());
    };
    let mut content = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(content),
            '\\' => content.push(chars.next()?),
            char => content.push(char),
        }
    }
}

fn hop_from_pairs(pairs: Vec<(String, String)>) -> Hop {
    let mut hop = Hop::default();
    for (name, value) in pairs {
        match name.as_str() {
            "for" => hop.client = client(&value, true),
            "proto" => hop.proto = scheme(&value),
            "host" => hop.host = Some(value).filter(|host| !host.is_empty()),
            _ => {}
        }
    }
    hop
}

fn unquoted(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    inner.unwrap_or(text).trim_matches([' ', '\t'])
}

fn scheme(proto: &str) -> Option<String> {
    let proto = proto.to_lowercase();
    ["http", "https", "ws", "wss"]
        .contains(&proto.as_str())
        .then_some(proto)
}

/// Parses an address and its port. In `Forwarded` the port can be obfuscated (RFC 7239, section 6).
fn client(text: &str, may_obfuscate: bool) -> Option<Client> {
    let (address, port) = match text.rsplit_once(':') {
        // An address without brackets has no port.
        _ if text.parse::<Ipv6Addr>().is_ok() => (text, None),
        Some((address, port)) if !port.contains(']') => (address, Some(port)),
        _ => (text, None),
    };
    let ip = match address.strip_prefix('[') {
        Some(address) => IpAddr::V6(address.strip_suffix(']')?.parse().ok()?),
        None if port.is_some() => IpAddr::V4(address.parse().ok()?),
        None => address.parse().ok()?,
    };
    let obfuscated = port
        .and_then(|port| port.strip_prefix('_'))
        .filter(|_| may_obfuscate);
    let port = match (port, obfuscated) {
        (_, Some(name)) if !name.is_empty() && name.chars().all(is_obfuscated_port_char) => None,
        (Some(port), _) => Some(number(port)?),
        (None, _) => None,
    };
    Some((ip.to_canonical(), port))
}

fn is_obfuscated_port_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || "._-".contains(char)
}

fn number(port: &str) -> Option<u16> {
    let is_number = (1..=5).contains(&port.len()) && port.chars().all(|char| char.is_ascii_digit());
    is_number.then(|| port.parse().ok()).flatten()
}

/// Parses a host and its port. Without a numeric port it is invalid; a port out of range is ignored.
fn server(host: &str) -> Option<(String, Option<u16>)> {
    let host = host.rsplit('@').next()?;
    let (name, port) = if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']')?;
        address.parse::<Ipv6Addr>().ok()?;
        match port {
            "" => (address, ""),
            _ => (address, port.strip_prefix(':')?),
        }
    } else {
        let (name, port) = host.split_once(':').unwrap_or((host, ""));
        let is_name_char =
            |char: char| char.is_ascii_alphanumeric() || "-._~%!$&'()*+,;=".contains(char);
        if name.is_empty() || !name.chars().all(is_name_char) {
            return None;
        }
        (name, port)
    };
    let is_number = port.chars().all(|char| char.is_ascii_digit());
    is_number.then(|| (name.to_owned(), port.parse().ok()))
}
