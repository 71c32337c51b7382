//! Client, host and scheme behind proxies. Any header lines are read as an independent reader reads them.
//! The elements that trusted proxies add decide, whatever the client sends to the left of them.

mod expected;
mod lines;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::{HeaderValue, Request, Response};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tower::{Service, service_fn};
use tower_api_span::ProxyHeaders;
use tower_layer::Layer as _;

use super::config;
use crate::support::ready;
use crate::support::recorder::Recorder;
use expected::expected;
use lines::all_lines;

const NAMES: [&str; 4] = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

/// Lines of each of these headers.
type Lines = [Vec<Bytes>; 4];

proptest! {
    #![proptest_config(config(4_000))]

    #[test]
    fn header_lines_are_read_as_by_an_independent_reader(
        lines in all_lines(),
        trusted in 0..4_usize,
        which in select(vec![
            ProxyHeaders::Either,
            ProxyHeaders::Forwarded,
            ProxyHeaders::XForwarded,
        ]),
    ) {
        assert_eq!(record(&lines, trusted, which), expected(&lines, trusted, which));
    }

    #[test]
    fn outermost_trusted_proxy_decides_whatever_the_client_sends(
        client in all_lines(),
        proxies in vec((any::<[u8; 4]>(), any::<bool>(), 0..1_000_u32, 0..4_usize), 1..4),
        is_forwarded in any::<bool>(),
    ) {
        let mut lines = client;
        for (address, is_tls, host, how) in &proxies {
            append(&mut lines, Ipv4Addr::from(*address), *is_tls, *host, *how);
        }
        let which = if is_forwarded {
            ProxyHeaders::Forwarded
        } else {
            ProxyHeaders::XForwarded
        };
        let (address, is_tls, host, _) = proxies[0];
        let recorded = record(&lines, proxies.len(), which);
        let scheme = if is_tls { "https" } else { "http" };
        assert_eq!(recorded.client, (Ipv4Addr::from(address).to_string(), None));
        assert_eq!(recorded.scheme, scheme);
        assert_eq!(recorded.server, (format!("host-{host}.example"), Some(8_443)));
    }
}

/// Appends what a proxy adds for its client: to the last line or as a line of its own, quoted or not.
fn append(lines: &mut Lines, client: Ipv4Addr, is_tls: bool, host: u32, how: usize) {
    let (is_own_line, is_quoted) = (how & 1 == 1, how & 2 == 2);
    let proto = if is_tls { "https" } else { "http" };
    let host = format!("host-{host}.example:8443");
    let forwarded = if is_quoted {
        format!("for=\"{client}\";host=\"{host}\";proto=\"{proto}\"")
    } else {
        format!("proto={proto};for={client};host={host}")
    };
    let added = [forwarded, client.to_string(), proto.to_owned(), host];
    for (lines, added) in lines.iter_mut().zip(added) {
        let before = lines.pop_if(|_| !is_own_line);
        let added = Bytes::from(added);
        lines.push(match before {
            Some(line) => [line, Bytes::from_static(b", "), added].concat().into(),
            None => added,
        });
    }
}

/// The attributes of a span: addresses with their ports, and the scheme.
#[derive(Debug, PartialEq)]
struct Recorded {
    client: (String, Option<u16>),
    server: (String, Option<u16>),
    scheme: String,
}

const PEER: &str = "203.0.113.7";
const ORIGIN: &str = "origin.example";

fn record(lines: &Lines, trusted: usize, which: ProxyHeaders) -> Recorded {
    let at = Recorder::new();
    let layer = at
        .layer()
        .trusted_proxies(trusted)
        .proxy_headers(which)
        .client_port(true)
        .peer_address_fn(|_| Some(SocketAddr::new(PEER.parse().expect("an address"), 7)));
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(String::new())))
    }));
    let mut request = Request::get("/").body(()).expect("a request");
    let headers = request.headers_mut();
    headers.insert("host", HeaderValue::from_static("origin.example:1"));
    for (name, lines) in NAMES.iter().zip(lines) {
        for line in lines {
            headers.append(*name, HeaderValue::from_bytes(line).expect("a value"));
        }
    }
    drop(ready(service.call(request)));
    let span = at.only();
    let attribute = |key: &str| span.attribute(key);
    let port = |key: &str| attribute(key).map(|port| port.parse().expect("a port"));
    Recorded {
        client: (
            attribute("client.address").expect("a client"),
            port("client.port"),
        ),
        server: (
            attribute("server.address").expect("a server"),
            port("server.port"),
        ),
        scheme: attribute("url.scheme").expect("a scheme"),
    }
}
