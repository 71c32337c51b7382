//! `Forwarded` and `X-Forwarded-*`: the client, scheme and host that trusted proxies report. Pure.
//!
//! Each proxy appends to the list that it received. So the right end of a list comes from the proxies, and the
//! client may have written the rest. Lists are read from the right, up to the trusted element. Several lines of a
//! header are one list.
//!
//! [`rfc7239`] and [`x_forwarded`] read one family of headers each, with [`list`] and [`value`]. This file compares
//! the two if both are present.

mod hop;
mod list;
mod rfc7239;
mod value;
mod x_forwarded;

use http::HeaderMap;

use hop::Client;
pub(crate) use hop::Hop;

/// Which headers trusted proxies write.
///
/// A proxy that writes one family may forward the other as the client sent it. So set the family if you know it.
///
/// ```
/// use tower_api_span::ProxyHeaders;
///
/// assert_eq!(ProxyHeaders::default(), ProxyHeaders::Either);
/// ```
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeaders {
    /// The family that is present. If both are present, only values that are equal in both count. If the clients
    /// differ, no value counts. So a client can hide the proxies' report, with a header of the family that they do
    /// not write.
    #[default]
    Either,
    /// Only `Forwarded` (RFC 7239).
    Forwarded,
    /// Only `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
    XForwarded,
}

/// Reads the report of the outermost of `trusted` proxies. In each list it is the `trusted`-th element from the right
/// or, if there are fewer, the leftmost. Without a trusted proxy the report is empty.
#[expect(
    clippy::inline_always,
    reason = "each request calls it once; else it is inlined nowhere"
)]
#[inline(always)]
pub(crate) fn read_trusted_hop(
    headers: &HeaderMap,
    trusted: usize,
    which: ProxyHeaders,
) -> Hop<'_> {
    if trusted == 0 {
        return Hop::default();
    }
    match which {
        ProxyHeaders::Either => read_either(headers, trusted),
        ProxyHeaders::Forwarded => rfc7239::read(headers, trusted).unwrap_or_default(),
        ProxyHeaders::XForwarded => x_forwarded::read(headers, trusted),
    }
}

/// Reads both families, or the one that is present.
///
/// The proxies may write one family and forward a forgery of the other, which looks the same. So if both are present,
/// only values that are equal in both count. Equal clients do not prove the other values, because a client knows its
/// own address and can write it into the forgery.
fn read_either(headers: &HeaderMap, trusted: usize) -> Hop<'_> {
    let x_forwarded = x_forwarded::read(headers, trusted);
    let Some(forwarded) = rfc7239::read(headers, trusted) else {
        return x_forwarded;
    };
    if !x_forwarded::is_present(headers, trusted) {
        return forwarded;
    }
    let client = match (forwarded.client, x_forwarded.client) {
        (Some(one), Some(other)) => match merge_clients(one, other) {
            Some(client) => Some(client),
            None => return Hop::default(),
        },
        (None, None) => None,
        _ => return Hop::default(),
    };
    let host = forwarded.host.zip(x_forwarded.host);
    Hop {
        client,
        proto: forwarded
            .proto
            .filter(|proto| x_forwarded.proto == Some(*proto)),
        host: host
            .filter(|(one, other)| one.eq_ignore_ascii_case(other))
            .map(|(host, _)| host),
    }
}

/// Merges two reports of one client. Returns `None` if the addresses or ports differ.
fn merge_clients((one, port): Client, (other, other_port): Client) -> Option<Client> {
    let differs = one != other || port.zip(other_port).is_some_and(|(a, b)| a != b);
    (!differs).then_some((one, port.or(other_port)))
}

#[cfg(test)]
mod tests;
