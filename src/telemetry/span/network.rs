//! `server.*`, `client.*` and `network.*` at the start of a span.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::header::HOST;
use http::request;
use opentelemetry::StringValue;

use crate::protocol::http::authority::parse_authority;
use crate::protocol::http::forwarded::Hop;
use crate::recording::written_keys::OwnKey;
use crate::settings::Settings;
use crate::telemetry::span::start_attributes::StartAttributes;
use crate::text::truncate;

/// The addresses of both ends of the connection, if they are known.
pub(super) struct Connection {
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

impl Connection {
    pub(super) fn read(parts: &request::Parts, settings: &Settings) -> Self {
        Self {
            peer: peer(parts, settings),
            local: local(parts, settings),
        }
    }

    /// Returns the address of the peer as text, and its port.
    fn format_peer(&self) -> Option<(StringValue, u16)> {
        let peer = self.peer?;
        Some((format_address(peer.ip()), peer.port()))
    }
}

/// Sets the host that the client requested, and its port if the client sent one. They come from a trusted proxy,
/// else from `:authority` or an absolute target, else from the Host header.
pub(super) fn describe_server(
    parts: &request::Parts,
    hop: &Hop<'_>,
    attributes: &mut StartAttributes,
) {
    let forwarded = hop.host.as_deref().and_then(parse_authority);
    let requested = || match parts.uri.authority() {
        Some(authority) => parse_authority(authority.as_str()),
        None => parse_authority(parts.headers.get(HOST)?.to_str().ok()?),
    };
    if let Some((address, port)) = forwarded.or_else(requested) {
        attributes.set(OwnKey::ServerAddress, truncate(address).to_owned());
        if let Some(port) = port {
            attributes.set(OwnKey::ServerPort, i64::from(port));
        }
    }
}

/// Sets the addresses of both ends of the connection, and of the client behind all trusted proxies, else the peer's.
pub(super) fn describe_client(
    connection: &Connection,
    hop: &Hop<'_>,
    with_port: bool,
    attributes: &mut StartAttributes,
) {
    let peer = connection.format_peer();
    let of_peer = || peer.clone().map(|(address, port)| (address, Some(port)));
    let of_client = hop
        .client
        .map(|(address, port)| (format_address(address), port));
    if let Some((address, port)) = of_client.or_else(of_peer) {
        attributes.set(OwnKey::ClientAddress, address);
        if let Some(port) = port.filter(|_| with_port) {
            attributes.set(OwnKey::ClientPort, i64::from(port));
        }
    }
    describe_ends(peer, connection.local, attributes);
}

/// Returns the address of the client behind all trusted proxies, else of the peer.
#[cfg(feature = "tracing")]
pub(crate) fn client_address(
    parts: &request::Parts,
    settings: &Settings,
    hop: &Hop<'_>,
) -> Option<String> {
    let of_peer = || peer(parts, settings).map(|peer| peer.ip());
    let address = hop.client.map(|(address, _)| address).or_else(of_peer);
    address.map(|address| String::from(format_address(address)))
}

/// Sets the addresses of both ends of the connection.
pub(super) fn describe_connection(connection: &Connection, attributes: &mut StartAttributes) {
    describe_ends(connection.format_peer(), connection.local, attributes);
}

fn describe_ends(
    peer: Option<(StringValue, u16)>,
    local: Option<SocketAddr>,
    attributes: &mut StartAttributes,
) {
    if let Some((address, port)) = peer {
        attributes.set(OwnKey::PeerAddress, address);
        attributes.set(OwnKey::PeerPort, i64::from(port));
    }
    if let Some(local) = local {
        attributes.set(OwnKey::LocalAddress, format_address(local.ip()));
        attributes.set(OwnKey::LocalPort, i64::from(local.port()));
    }
}

/// Formats an address, as text that attributes share. A dual-stack socket maps IPv4 addresses to IPv6, and this
/// function maps them back.
fn format_address(address: IpAddr) -> StringValue {
    let shared: Arc<str> = match address.to_canonical() {
        IpAddr::V4(address) => {
            let (text, length) = format_ipv4(address);
            let text = std::str::from_utf8(&text[..length]);
            Arc::from(text.unwrap_or_default())
        }
        IpAddr::V6(address) => Arc::from(address.to_string()),
    };
    StringValue::from(shared)
}

/// Formats an IPv4 address, and returns the length of the text. `Display` costs four times as much.
fn format_ipv4(address: Ipv4Addr) -> ([u8; 15], usize) {
    let (mut text, mut length) = ([0; 15], 0);
    let mut push = |byte| {
        text[length] = byte;
        length += 1;
    };
    for (index, octet) in address.octets().into_iter().enumerate() {
        if index > 0 {
            push(b'.');
        }
        if octet >= 100 {
            push(b'0' + octet / 100);
        }
        if octet >= 10 {
            push(b'0' + octet / 10 % 10);
        }
        push(b'0' + octet % 10);
    }
    (text, length)
}

/// Returns the address of the peer: from the settings, else from the framework.
#[expect(
    clippy::inline_always,
    reason = "each request calls it once; else it is inlined nowhere"
)]
#[inline(always)]
fn peer(parts: &request::Parts, settings: &Settings) -> Option<SocketAddr> {
    match settings.peer_address_fn.call(|peer| peer(parts)) {
        Some(peer) => peer.ok().flatten(),
        None => framework_peer(parts),
    }
}

/// Returns the local address of the connection, from the settings.
fn local(parts: &request::Parts, settings: &Settings) -> Option<SocketAddr> {
    let local = settings.local_address_fn.call(|local| local(parts))?;
    local.ok().flatten()
}

#[cfg(feature = "connect-info")]
#[inline]
fn framework_peer(parts: &request::Parts) -> Option<SocketAddr> {
    use axum::extract::ConnectInfo;
    use axum::extract::connect_info::MockConnectInfo;

    let real = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    real.map(|info| info.0).or_else(|| {
        let mocked = parts.extensions.get::<MockConnectInfo<SocketAddr>>();
        mocked.map(|info| info.0)
    })
}

#[cfg(not(feature = "connect-info"))]
fn framework_peer(_: &request::Parts) -> Option<SocketAddr> {
    None
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::telemetry::span::tests::{started, started_with};

    fn value<'a>(attributes: &'a [String], key: &str) -> Option<&'a str> {
        attributes.iter().find_map(|text| text.strip_prefix(key))
    }

    #[test]
    fn server_address_is_the_host_that_the_client_requested() {
        for (rule, uri, host, address, port) in [
            (
                "Host",
                "/",
                Some("example.com:8080"),
                Some("example.com"),
                Some("8080"),
            ),
            (
                "no port",
                "/",
                Some("example.com"),
                Some("example.com"),
                None,
            ),
            ("IPv6", "/", Some("[::1]:80"), Some("::1"), Some("80")),
            (
                ":authority",
                "http://a.example:1/",
                None,
                Some("a.example"),
                Some("1"),
            ),
            (
                ":authority before Host",
                "http://a.example/",
                Some("b.example:2"),
                Some("a.example"),
                None,
            ),
            ("no host", "/", None, None, None),
            ("an empty host", "/", Some(""), None, None),
            ("a port without host", "/", Some(":80"), None, None),
            ("user info beyond ASCII", "/", Some("ä@a"), None, None),
            ("a space in the host", "/", Some("a b"), None, None),
        ] {
            let mut request = Request::get(uri);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let (_, attributes) = started(request.body(()).expect("a request"));
            assert_eq!(value(&attributes, "server.address="), address, "{rule}");
            assert_eq!(value(&attributes, "server.port="), port, "{rule}");
        }
    }

    #[test]
    fn an_ipv4_address_is_formatted_as_by_display() {
        let octets = [0, 1, 9, 10, 42, 99, 100, 109, 192, 200, 255];
        for one in octets {
            for other in octets {
                let address = Ipv4Addr::new(one, other, other, one);
                let (text, length) = format_ipv4(address);
                assert_eq!(text[..length], *address.to_string().as_bytes());
            }
        }
    }

    #[test]
    fn addresses_are_set_if_they_are_known() {
        let request = || Request::get("/").body(()).expect("a request");
        let (_, attributes) = started(request());
        assert!(
            !attributes
                .iter()
                .any(|text| text.starts_with("client.") || text.starts_with("network.peer")),
            "{attributes:?}"
        );
        for (address, expected) in [
            ("192.0.2.1:1234", "192.0.2.1"),
            ("[2001:db8::1]:1234", "2001:db8::1"),
            ("[::ffff:192.0.2.1]:1234", "192.0.2.1"),
        ] {
            let address: SocketAddr = address.parse().expect("an address");
            let (_, attributes) = started_with(request(), |settings| {
                settings.peer_address_fn = crate::settings::callback::Callback::new(
                    "test",
                    std::sync::Arc::new(move |_| Some(address)),
                );
                settings.local_address_fn = crate::settings::callback::Callback::new(
                    "test",
                    std::sync::Arc::new(move |_| Some(address)),
                );
            });
            assert_eq!(value(&attributes, "client.address="), Some(expected));
            assert_eq!(value(&attributes, "client.port="), None);
            assert_eq!(value(&attributes, "network.peer.address="), Some(expected));
            assert_eq!(value(&attributes, "network.peer.port="), Some("1234"));
            assert_eq!(value(&attributes, "network.local.address="), Some(expected));
            assert_eq!(value(&attributes, "network.local.port="), Some("1234"));
            let (_, attributes) = started_with(request(), |settings| {
                settings.peer_address_fn = crate::settings::callback::Callback::new(
                    "test",
                    std::sync::Arc::new(move |_| Some(address)),
                );
                settings.client_port = true;
            });
            assert_eq!(value(&attributes, "client.port="), Some("1234"));
            assert_eq!(value(&attributes, "network.local.address="), None);
        }
    }
}
