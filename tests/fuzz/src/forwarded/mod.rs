//! Headers of proxies, `Forwarded` and `X-Forwarded-*`, and the host of the request itself.
//!
//! The first byte of an input is the settings ([`Settings::from_bits`]). With its highest bit the rest is
//! well-formed elements of trusted proxies after anything that the client sent ([`proxies`]). Without it
//! the rest is lines of headers, whose first byte selects the name. The span must show what a naive
//! reader reads.

pub mod naive;
mod proxies;

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tower_api_span::{ApiSpanLayer, ProxyHeaders};

use crate::exchange::{Frames, answer};
use crate::input::take_byte;
use crate::oracle::MAX_STRING;
use crate::recorder::{clear, only, recorded};
use naive::{Hop, has_element, host_and_port, merge, read_forwarded, read_x_forwarded};

/// The largest number of trusted proxies.
const MAX_TRUSTED: usize = 4;

const KINDS: [ProxyHeaders; 3] = [
    ProxyHeaders::Either,
    ProxyHeaders::Forwarded,
    ProxyHeaders::XForwarded,
];

/// The scheme if no proxy sends one.
const NO_SCHEME: &str = "none";

static LAYERS: LazyLock<Vec<ApiSpanLayer>> = LazyLock::new(|| {
    let mut layers = Vec::new();
    for trusted in 0..=MAX_TRUSTED {
        for kind in KINDS {
            let layer = recorded(ApiSpanLayer::new())
                .trusted_proxies(trusted)
                .proxy_headers(kind)
                .scheme(NO_SCHEME)
                .client_port(true)
                .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
            layers.push(layer);
        }
    }
    layers
});

#[derive(Clone, Copy, Debug)]
struct Settings {
    trusted: usize,
    kind: ProxyHeaders,
    has_peer: bool,
    has_authority: bool,
}

impl Settings {
    /// The low bits select the number of trusted proxies and their headers. With bit 4 the peer is known.
    /// With bit 5 the request's target has a host.
    fn from_bits(bits: u8) -> Self {
        let low = usize::from(bits & 0x0f);
        Self {
            trusted: low % (MAX_TRUSTED + 1),
            kind: KINDS[low / (MAX_TRUSTED + 1) % KINDS.len()],
            has_peer: bits & 0x10 != 0,
            has_authority: bits & 0x20 != 0,
        }
    }
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let bits = take_byte(&mut input);
    let settings = Settings::from_bits(bits);
    if bits >= 0x80 {
        proxies::run(settings, input);
        return;
    }
    let mut headers = HeaderMap::new();
    for line in input.split(|byte| *byte == b'\n').take(16) {
        const NAMES: [&str; 6] = [
            "forwarded",
            "x-forwarded-for",
            "x-forwarded-proto",
            "x-forwarded-host",
            "x-real-ip",
            "host",
        ];
        let Some((name, value)) = line.split_first() else {
            continue;
        };
        if let Ok(value) = HeaderValue::from_bytes(value) {
            let name = NAMES[usize::from(name % 6)];
            headers.append(HeaderName::from_static(name), value);
        }
    }
    play(settings, &headers);
}

fn play(settings: Settings, headers: &HeaderMap) {
    let recorded = Recorded::play(settings, headers);
    let trusted = settings.trusted;
    let what = format!("{settings:?} {headers:?}");
    if headers.contains_key("x-real-ip") {
        let mut without = headers.clone();
        without.remove("x-real-ip");
        assert_eq!(
            Recorded::play(settings, &without),
            recorded,
            "X-Real-IP: {what}"
        );
    }
    let forwarded = read_forwarded(headers, trusted);
    let x = read_x_forwarded(headers, trusted);
    let hop = if trusted == 0 {
        Some(Hop::default())
    } else if settings.kind == ProxyHeaders::XForwarded {
        Some(x)
    } else if settings.kind == ProxyHeaders::Forwarded {
        forwarded
    } else {
        forwarded.map(|forwarded| merge(headers, forwarded, x))
    };
    if let Some(hop) = hop {
        assert_eq!(
            recorded,
            Recorded::from_hop(&hop, settings, headers),
            "{what}"
        );
    } else if settings.kind == ProxyHeaders::Either {
        // The naive reader cannot read a malformed `Forwarded`. The span shows the same as for `Forwarded`
        // alone, or does not contradict the other headers.
        let play = |kind| Recorded::play(Settings { kind, ..settings }, headers);
        let empty = Recorded::from_hop(&Hop::default(), settings, headers);
        if has_element(
            headers,
            &["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"],
        ) {
            let x = play(ProxyHeaders::XForwarded);
            for (value, x, empty) in [
                (recorded.client, x.client, empty.client),
                (Some(recorded.scheme), Some(x.scheme), Some(empty.scheme)),
            ] {
                assert!(value == x || value == empty, "{value:?}: {what}");
            }
        } else {
            assert_eq!(recorded, play(ProxyHeaders::Forwarded), "{what}");
        }
    }
}

/// The recorded client, scheme and host.
#[derive(Debug, PartialEq)]
struct Recorded {
    client: Option<String>,
    client_port: Option<String>,
    scheme: String,
    server: Option<String>,
    server_port: Option<String>,
}

impl Recorded {
    fn play(settings: Settings, headers: &HeaderMap) -> Self {
        let target = if settings.has_authority {
            "http://of.target:81/"
        } else {
            "/"
        };
        let mut request = Request::get(target).body(()).expect("a request");
        *request.headers_mut() = headers.clone();
        if settings.has_peer {
            request.extensions_mut().insert(peer());
        }
        let kind = KINDS.iter().position(|kind| *kind == settings.kind);
        let kind = kind.expect("one of three");
        clear();
        drop(answer(
            &LAYERS[KINDS.len() * settings.trusted + kind],
            request,
            |_| Response::new(Frames::none()),
        ));
        let span = only();
        let recorded = Self {
            client: span.attribute("client.address"),
            client_port: span.attribute("client.port"),
            scheme: span.attribute("url.scheme").expect("a scheme"),
            server: span.attribute("server.address"),
            server_port: span.attribute("server.port"),
        };
        recorded.check();
        recorded
    }

    /// Returns what must be recorded if this is the outermost trusted hop.
    fn from_hop(hop: &Hop, settings: Settings, headers: &HeaderMap) -> Self {
        let peer = settings
            .has_peer
            .then(peer)
            .map(|peer| (peer.ip(), Some(peer.port())));
        let client = hop.client.or(peer);
        let target = settings.has_authority.then(|| "of.target:81".to_owned());
        let own_host = target.or_else(|| Some(headers.get("host")?.to_str().ok()?.to_owned()));
        // An invalid host is ignored.
        let hosts = [hop.host.clone(), own_host];
        let server = hosts
            .into_iter()
            .flatten()
            .find_map(|host| host_and_port(&host));
        Self {
            client: client.map(|(address, _)| address.to_string()),
            client_port: client
                .and_then(|(_, port)| port)
                .map(|port| port.to_string()),
            scheme: hop.proto.unwrap_or(NO_SCHEME).to_owned(),
            server_port: server
                .as_ref()
                .and_then(|(_, port)| *port)
                .map(|port| port.to_string()),
            server: server.map(|(mut host, _)| {
                host.truncate(MAX_STRING);
                host
            }),
        }
    }

    fn check(&self) {
        if let Some(client) = &self.client {
            let address: IpAddr = client.parse().expect("an address");
            assert_eq!(address.to_canonical().to_string(), *client);
        }
        assert!([NO_SCHEME, "http", "https", "ws", "wss"].contains(&self.scheme.as_str()));
        if let Some(server) = &self.server {
            let is_name = !server.contains([' ', ':', '/', '@', '"', '[', ']']);
            assert!(
                is_name || server.parse::<std::net::Ipv6Addr>().is_ok(),
                "{server}"
            );
        }
        for (port, of) in [
            (&self.client_port, &self.client),
            (&self.server_port, &self.server),
        ] {
            let is_port = port.as_ref().is_none_or(|port| port.parse::<u16>().is_ok());
            assert!(is_port && (port.is_none() || of.is_some()), "{port:?}");
        }
    }
}

fn peer() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 4_711))
}
