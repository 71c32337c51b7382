//! Parses the host and port of a request. Pure.

use std::net::Ipv6Addr;

/// Parses `host`, `host:port`, `[ipv6]` or `[ipv6]:port`, and removes the brackets and a zone. Returns `None` for
/// another form. The user info before an `@` is ignored. An empty or oversized port is ignored, too.
pub(crate) fn parse_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let end = authority.bytes().position(|byte| !is_name_byte(byte));
    let (host, rest) = authority.split_at(end.unwrap_or(authority.len()));
    if !host.is_empty()
        && let Some(port) = parse_port(rest)
    {
        return Some((host, port));
    }
    if let Some((_, authority)) = authority.rsplit_once('@') {
        return parse_authority(authority);
    }
    let (address, rest) = authority.strip_prefix('[')?.split_once(']')?;
    let address = without_zone(address);
    address.parse::<Ipv6Addr>().ok()?;
    Some((address, parse_port(rest)?))
}

/// Removes the zone of an IPv6 address, such as `%eth0` or `%25eth0`. It names a network interface of the host that has
/// written it, and has no meaning elsewhere (RFC 6874, section 4). Clients and proxies should remove it. Some do not.
pub(crate) fn without_zone(address: &str) -> &str {
    match address.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => address,
        _ => address,
    }
}

/// Parses the text after a host. Returns `None` if it is not a port, and `Some(None)` if the port is absent, empty or
/// too large.
#[expect(
    clippy::option_option,
    reason = "an absent port and an invalid one differ"
)]
fn parse_port(rest: &str) -> Option<Option<u16>> {
    if rest.is_empty() {
        return Some(None);
    }
    let digits = rest.strip_prefix(':')?;
    let mut number = 0_u32;
    for digit in digits.bytes() {
        if !digit.is_ascii_digit() {
            return None;
        }
        // Capped, so that it never overflows.
        number = (number * 10 + u32::from(digit - b'0')).min(1 << 16);
    }
    Some(u16::try_from(number).ok().filter(|_| !digits.is_empty()))
}

/// Whether a byte is allowed in a registered name (RFC 3986, section 3.2.2).
fn is_name_byte(byte: u8) -> bool {
    const ALL: [bool; 256] = {
        let mut all = [false; 256];
        let mut byte = 0_u8;
        loop {
            all[byte as usize] = matches!(
                byte,
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'%' | b'!'
                    | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
            );
            match byte.checked_add(1) {
                Some(next) => byte = next,
                None => break,
            }
        }
        all
    };
    ALL[usize::from(byte)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_is_split_into_host_and_port() {
        for (rule, authority, host, port) in [
            ("a name", "example.com", "example.com", None),
            ("with port", "example.com:8080", "example.com", Some(8080)),
            ("IPv4", "192.0.2.1:80", "192.0.2.1", Some(80)),
            ("IPv6", "[::1]:80", "::1", Some(80)),
            ("IPv6 without port", "[2001:db8::1]", "2001:db8::1", None),
            ("a zone", "[fe80::1%eth0]", "fe80::1", None),
            (
                "a zone, encoded",
                "[fe80::1%25eth0]:80",
                "fe80::1",
                Some(80),
            ),
            ("user info", "me:secret@a.example:1", "a.example", Some(1)),
            ("user info with an @", "me@x@a.example", "a.example", None),
            ("user info of digits", "me:80@a:1", "a", Some(1)),
            ("user info before IPv6", "me@[::1]:1", "::1", Some(1)),
            ("an empty port", "example.com:", "example.com", None),
            ("a port too large", "example.com:99999", "example.com", None),
            ("a port with zeros", "a:0080", "a", Some(80)),
            ("beyond all numbers", "a:99999999999999999999", "a", None),
            ("port 0", "example.com:0", "example.com", Some(0)),
            ("port 65535", "a.example:65535", "a.example", Some(65_535)),
        ] {
            assert_eq!(parse_authority(authority), Some((host, port)), "{rule}");
        }
    }

    #[test]
    fn malformed_authority_is_refused() {
        for (rule, authority) in [
            ("a port of letters", "example.com:http"),
            ("a port with a sign", "example.com:+80"),
            ("two ports", "example.com:80:80"),
            ("IPv6 without brackets", "::1"),
            ("a name in brackets", "[example.com]"),
            ("an unclosed bracket", "[::1"),
            ("text after the bracket", "[::1]80"),
            ("an empty zone", "[fe80::1%]"),
            ("a zone alone", "[%eth0]"),
            ("a zone behind IPv4", "[127.0.0.1%eth0]"),
            ("a zone behind the bracket", "[fe80::1]%eth0"),
            ("user info alone", "me@"),
            ("empty", ""),
            ("only a port", ":80"),
            ("a space", "a b"),
            ("a path", "a/b"),
            ("a list", "a.example, b.example"),
            ("beyond ASCII", "exämple.com"),
        ] {
            assert_eq!(parse_authority(authority), None, "{rule}");
        }
    }
}
