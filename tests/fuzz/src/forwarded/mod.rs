//! What proxies say: `Forwarded`, `X-Forwarded-*`, and the host of the request itself.
//!
//! The first byte of an input is the settings ([`Settings::of`]). With its highest bit the rest is what
//! proxies that are trusted have written, well-formed, behind what the client has written
//! ([`proxies`]). Without it the rest is lines of headers, the first byte of which chooses the name: what
//! is told is what a naive reader reads, as far as it can.

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
use naive::{Hop, host_and_port, is_there, of_either, of_forwarded, of_x};

/// How many proxies are trusted at most.
const MOST: usize = 4;

const KINDS: [ProxyHeaders; 3] = [
    ProxyHeaders::Either,
    ProxyHeaders::Forwarded,
    ProxyHeaders::XForwarded,
];

/// Where no proxy knows the scheme.
const NO_SCHEME: &str = "none";

static LAYERS: LazyLock<Vec<ApiSpanLayer>> = LazyLock::new(|| {
    let mut layers = Vec::new();
    for trusted in 0..=MOST {
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
    /// The low bits choose how many are trusted and which headers they write; with bit 4 the peer is
    /// known, with bit 5 the request's target has a host.
    fn of(chosen: u8) -> Self {
        let low = usize::from(chosen & 0x0f);
        Self {
            trusted: low % (MOST + 1),
            kind: KINDS[low / (MOST + 1) % KINDS.len()],
            has_peer: chosen & 0x10 != 0,
            has_authority: chosen & 0x20 != 0,
        }
    }
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let chosen = take_byte(&mut input);
    let settings = Settings::of(chosen);
    if chosen >= 0x80 {
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
    let told = Told::of(settings, headers);
    let trusted = settings.trusted;
    let what = format!("{settings:?} {headers:?}");
    if headers.contains_key("x-real-ip") {
        let mut without = headers.clone();
        without.remove("x-real-ip");
        assert_eq!(Told::of(settings, &without), told, "X-Real-IP: {what}");
    }
    let forwarded = of_forwarded(headers, trusted);
    let x = of_x(headers, trusted);
    let hop = if trusted == 0 {
        Some(Hop::default())
    } else if settings.kind == ProxyHeaders::XForwarded {
        Some(x)
    } else if settings.kind == ProxyHeaders::Forwarded {
        forwarded
    } else {
        forwarded.map(|forwarded| of_either(headers, forwarded, x))
    };
    if let Some(hop) = hop {
        assert_eq!(told, Told::by(&hop, settings, headers), "{what}");
    } else if settings.kind == ProxyHeaders::Either {
        // Nobody can read `Forwarded` but the layer: it is told as it is, or what the others say is
        // not contradicted.
        let kind = |kind| Told::of(Settings { kind, ..settings }, headers);
        let nothing = Told::by(&Hop::default(), settings, headers);
        if is_there(
            headers,
            &["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"],
        ) {
            let x = kind(ProxyHeaders::XForwarded);
            for (told, x, nothing) in [
                (told.client, x.client, nothing.client),
                (Some(told.scheme), Some(x.scheme), Some(nothing.scheme)),
            ] {
                assert!(told == x || told == nothing, "{told:?}: {what}");
            }
        } else {
            assert_eq!(told, kind(ProxyHeaders::Forwarded), "{what}");
        }
    }
}

/// What a span tells of who asked, how, and for which host.
#[derive(Debug, PartialEq)]
struct Told {
    client: Option<String>,
    client_port: Option<String>,
    scheme: String,
    server: Option<String>,
    server_port: Option<String>,
}

impl Told {
    fn of(settings: Settings, headers: &HeaderMap) -> Self {
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
        let told = Self {
            client: span.attribute("client.address"),
            client_port: span.attribute("client.port"),
            scheme: span.attribute("url.scheme").expect("a scheme"),
            server: span.attribute("server.address"),
            server_port: span.attribute("server.port"),
        };
        told.look_over();
        told
    }

    /// What must be told if the trusted proxies say this.
    fn by(hop: &Hop, settings: Settings, headers: &HeaderMap) -> Self {
        let peer = settings
            .has_peer
            .then(peer)
            .map(|peer| (peer.ip(), Some(peer.port())));
        let client = hop.client.or(peer);
        let of_target = settings.has_authority.then(|| "of.target:81".to_owned());
        let of_request = of_target.or_else(|| Some(headers.get("host")?.to_str().ok()?.to_owned()));
        // A host that is none is as good as not told.
        let hosts = [hop.host.clone(), of_request];
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

    fn look_over(&self) {
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
