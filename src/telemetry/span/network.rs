//! `server.*`, `client.*` and `network.*`: who spoke to whom.

use std::net::{IpAddr, SocketAddr};

use http::header::HOST;
use http::request;

use super::{Attributes, StartKey};
use crate::catch_panic::catch_panic;
use crate::protocol::http::authority::parse_authority;
use crate::protocol::http::forwarded::Hop;
use crate::settings::Settings;
use crate::text::truncate;

/// Both ends of the connection, as far as they are known.
pub(super) struct Connection {
    pub(super) peer: Option<SocketAddr>,
    pub(super) local: Option<SocketAddr>,
}

impl Connection {
    pub(super) fn of(parts: &request::Parts, config: &Settings) -> Self {
        Self {
            peer: peer(parts, config),
            local: local(parts, config),
        }
    }
}

/// The host that the client wanted, and its port if it said one: what a trusted proxy says, else
/// `:authority` or an absolute target, else the Host header. A port that was not sent is not guessed.
pub(super) fn server(parts: &request::Parts, hop: &Hop<'_>, attributes: &mut Attributes) {
    let forwarded = hop.host.as_deref().and_then(parse_authority);
    let of_request = || match parts.uri.authority() {
        Some(authority) => parse_authority(authority.as_str()),
        None => parse_authority(parts.headers.get(HOST)?.to_str().ok()?),
    };
    if let Some((address, port)) = forwarded.or_else(of_request) {
        attributes.set(StartKey::ServerAddress, truncate(address).to_owned());
        if let Some(port) = port {
            attributes.set(StartKey::ServerPort, i64::from(port));
        }
    }
}

/// The client behind all trusted proxies, else the peer.
pub(super) fn client(
    peer: Option<SocketAddr>,
    hop: &Hop<'_>,
    with_port: bool,
    attributes: &mut Attributes,
) {
    let peer = peer.map(|peer| (peer.ip(), Some(peer.port())));
    if let Some((address, port)) = hop.client.or(peer) {
        attributes.set(StartKey::ClientAddress, text(address));
        if let Some(port) = port.filter(|_| with_port) {
            attributes.set(StartKey::ClientPort, i64::from(port));
        }
    }
}

/// Who has the two ends of the connection.
pub(super) fn connection(connection: &Connection, attributes: &mut Attributes) {
    let Connection { peer, local } = connection;
    for (address, address_key, port_key) in [
        (peer, StartKey::PeerAddress, StartKey::PeerPort),
        (local, StartKey::LocalAddress, StartKey::LocalPort),
    ] {
        if let Some(address) = address {
            attributes.set(address_key, text(address.ip()));
            attributes.set(port_key, i64::from(address.port()));
        }
    }
}

/// An IPv4 address is told as one, also where a socket for both kinds has it as IPv6.
fn text(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

/// Who is at the other end of the connection: by the setting, else by the framework.
fn peer(parts: &request::Parts, config: &Settings) -> Option<SocketAddr> {
    match config.peer_address_fn.get() {
        Some(peer) => catch_panic(|| peer(parts)).flatten(),
        None => of_framework(parts),
    }
}

/// This end of the connection, by the setting.
fn local(parts: &request::Parts, config: &Settings) -> Option<SocketAddr> {
    let local = config.local_address_fn.get()?;
    catch_panic(|| local(parts)).flatten()
}

#[cfg(feature = "connect-info")]
fn of_framework(parts: &request::Parts) -> Option<SocketAddr> {
    use axum::extract::ConnectInfo;
    use axum::extract::connect_info::MockConnectInfo;

    let real = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    real.map(|info| info.0).or_else(|| {
        let mocked = parts.extensions.get::<MockConnectInfo<SocketAddr>>();
        mocked.map(|info| info.0)
    })
}

#[cfg(not(feature = "connect-info"))]
fn of_framework(_: &request::Parts) -> Option<SocketAddr> {
    None
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::super::tests::{started, started_with};
    use super::*;

    fn value<'a>(attributes: &'a [String], key: &str) -> Option<&'a str> {
        attributes.iter().find_map(|text| text.strip_prefix(key))
    }

    #[test]
    fn the_host_the_client_wanted() {
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
            ("no ASCII before the host", "/", Some("ä@a"), None, None),
            ("no host at all", "/", Some("a b"), None, None),
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
    fn addresses_are_told_where_they_are_known() {
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
            let (_, attributes) = started_with(request(), |config| {
                config.peer_address_fn =
                    crate::settings::callback::Callback::new(std::sync::Arc::new(move |_| {
                        Some(address)
                    }));
                config.local_address_fn =
                    crate::settings::callback::Callback::new(std::sync::Arc::new(move |_| {
                        Some(address)
                    }));
            });
            assert_eq!(value(&attributes, "client.address="), Some(expected));
            assert_eq!(value(&attributes, "client.port="), None);
            assert_eq!(value(&attributes, "network.peer.address="), Some(expected));
            assert_eq!(value(&attributes, "network.peer.port="), Some("1234"));
            assert_eq!(value(&attributes, "network.local.address="), Some(expected));
            assert_eq!(value(&attributes, "network.local.port="), Some("1234"));
            let (_, attributes) = started_with(request(), |config| {
                config.peer_address_fn =
                    crate::settings::callback::Callback::new(std::sync::Arc::new(move |_| {
                        Some(address)
                    }));
                config.client_port = true;
            });
            assert_eq!(value(&attributes, "client.port="), Some("1234"));
            assert_eq!(value(&attributes, "network.local.address="), None);
        }
    }
}
