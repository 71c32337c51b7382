//! What the span says of client, host and scheme behind proxies: for any header lines as a small model
//! says, which reads them character by character; and whatever a client sends left of what its proxies
//! add, what those say.

mod lines;
mod model;

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
use lines::all_lines;
use model::expected;

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
    fn any_header_lines_say_what_the_model_says(
        lines in all_lines(),
        trusted in 0..4_usize,
        which in select(vec![
            ProxyHeaders::Either,
            ProxyHeaders::Forwarded,
            ProxyHeaders::XForwarded,
        ]),
    ) {
        assert_eq!(told(&lines, trusted, which), expected(&lines, trusted, which));
    }

    #[test]
    fn whatever_a_client_sends_the_outermost_trusted_proxy_is_believed(
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
        let told = told(&lines, proxies.len(), which);
        let scheme = if is_tls { "https" } else { "http" };
        assert_eq!(told.client, (Ipv4Addr::from(address).to_string(), None));
        assert_eq!(told.scheme, scheme);
        assert_eq!(told.server, (format!("host-{host}.example"), Some(8_443)));
    }
}

/// What a proxy adds for who has connected to it: to the last line or as one of its own, in quotes or
/// without.
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

/// What a span says: addresses with their ports.
#[derive(Debug, PartialEq)]
struct Told {
    client: (String, Option<u16>),
    server: (String, Option<u16>),
    scheme: String,
}

const PEER: &str = "203.0.113.7";
const ORIGIN: &str = "origin.example";

fn told(lines: &Lines, trusted: usize, which: ProxyHeaders) -> Told {
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
    let said = |key: &str| span.attribute(key);
    let port = |key: &str| said(key).map(|port| port.parse().expect("a port"));
    Told {
        client: (
            said("client.address").expect("a client"),
            port("client.port"),
        ),
        server: (
            said("server.address").expect("a server"),
            port("server.port"),
        ),
        scheme: said("url.scheme").expect("a scheme"),
    }
}
