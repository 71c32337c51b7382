//! Client, peer, local and server address, and the scheme: with and without trusted proxies.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::connect_info::MockConnectInfo;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tonic::transport::server::TcpConnectInfo;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_api_span::{ApiSpanLayer, ProxyHeaders};

use super::{
    CHECK, LOCALHOST, Wire, ask, ask_http2, call, http2, run, run_tonic, serve, unchecked,
};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{get as request, grpc};

fn app(layer: ApiSpanLayer) -> Router {
    Router::new().route("/", get(async || "")).layer(layer)
}

/// Sends `text` over a connection of its own, and returns the span.
async fn send(set: impl FnOnce(ApiSpanLayer) -> ApiSpanLayer, text: &str) -> Seen {
    let at = Recorder::new();
    let address = run(app(set(at.layer())), LOCALHOST).await;
    assert_eq!(ask(address, text).await.status(), "200");
    at.all_ended().await;
    at.only()
}

/// The proxy settings, the header lines of a request, and the expected attributes.
struct Case {
    rule: &'static str,
    proxies: usize,
    which: ProxyHeaders,
    lines: &'static [&'static str],
    client: &'static str,
    scheme: &'static str,
    server: &'static str,
}

/// A trusted proxy without forwarding headers: the peer, plain HTTP, and the Host of the request.
const NO_HEADERS: Case = Case {
    rule: "",
    proxies: 1,
    which: ProxyHeaders::Either,
    lines: &[],
    client: "127.0.0.1",
    scheme: "http",
    server: "origin.example:8080",
};

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    vec![
        Case {
            rule: "no proxy is trusted by default",
            proxies: 0,
            lines: &[
                "Forwarded: for=6.6.6.6;proto=https;host=forged.example",
                "X-Forwarded-For: 6.6.6.6",
                "X-Forwarded-Proto: https",
                "X-Forwarded-Host: forged.example",
                "X-Real-IP: 6.6.6.6",
            ],
            ..NO_HEADERS
        },
        Case {
            rule: "a trusted proxy without headers",
            ..NO_HEADERS
        },
        Case {
            rule: "X-Forwarded-For of the trusted proxy",
            lines: &["X-Forwarded-For: 192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "entries left of the trusted hop are ignored",
            lines: &["X-Forwarded-For: 6.6.6.6, 192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "several lines are one list",
            lines: &["X-Forwarded-For: 6.6.6.6", "X-Forwarded-For: 192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "two proxies are counted over several lines",
            proxies: 2,
            lines: &[
                "X-Forwarded-For: 6.6.6.6, 192.0.2.1",
                "x-forwarded-for: 10.0.0.1",
            ],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "fewer entries than trusted proxies: the leftmost counts",
            proxies: 5,
            lines: &["X-Forwarded-For: 192.0.2.1, 10.0.0.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "an invalid address falls back to the peer's",
            lines: &["X-Forwarded-For: 6.6.6.6, unknown"],
            ..NO_HEADERS
        },
        Case {
            rule: "an IPv4-mapped IPv6 address is recorded as IPv4",
            lines: &["X-Forwarded-For: ::ffff:192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "scheme and host of the trusted hop",
            lines: &[
                "X-Forwarded-For: 2001:db8::1",
                "X-Forwarded-Proto: http, https",
                "X-Forwarded-Host: forged.example, api.example:8443",
            ],
            client: "2001:db8::1",
            scheme: "https",
            server: "api.example:8443",
            ..NO_HEADERS
        },
        Case {
            rule: "an invalid host falls back to the request's",
            lines: &["X-Forwarded-Host: a b"],
            ..NO_HEADERS
        },
        Case {
            rule: "a host without a port does not get the request's port",
            lines: &["X-Forwarded-Host: api.example"],
            server: "api.example",
            ..NO_HEADERS
        },
        Case {
            rule: "Forwarded, with a forged element to the left",
            lines: &["Forwarded: for=6.6.6.6;proto=http;host=forged.example, \
                 for=\"[2001:db8::1]:4711\";proto=https;host=\"api.example:8443\""],
            client: "2001:db8::1",
            scheme: "https",
            server: "api.example:8443",
            ..NO_HEADERS
        },
        Case {
            rule: "an unclosed quote of the client hides no later element",
            lines: &["Forwarded: for=\"6.6.6.6, for=192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "a forged line before the line of the proxy",
            lines: &["Forwarded: for=6.6.6.6", "Forwarded: for=192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "both header families, which agree",
            lines: &["Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.1"],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "both header families, which differ",
            lines: &["Forwarded: for=192.0.2.1", "X-Forwarded-For: 6.6.6.6"],
            ..NO_HEADERS
        },
        Case {
            rule: "ProxyHeaders::Forwarded ignores X-Forwarded-*",
            which: ProxyHeaders::Forwarded,
            lines: &[
                "Forwarded: for=192.0.2.1",
                "X-Forwarded-For: 6.6.6.6",
                "X-Forwarded-Proto: https",
            ],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
        Case {
            rule: "ProxyHeaders::XForwarded ignores Forwarded",
            which: ProxyHeaders::XForwarded,
            lines: &[
                "Forwarded: for=6.6.6.6;proto=https",
                "X-Forwarded-For: 192.0.2.1",
            ],
            client: "192.0.2.1",
            ..NO_HEADERS
        },
    ]
}

#[tokio::test]
async fn forwarding_headers_count_only_from_trusted_proxies() {
    for case in cases() {
        let mut text = "GET / HTTP/1.1\r\nHost: origin.example:8080\r\n".to_owned();
        for line in case.lines {
            text += line;
            text += "\r\n";
        }
        let set = |layer: ApiSpanLayer| {
            let layer = layer.proxy_headers(case.which);
            match case.proxies {
                0 => layer,
                proxies => layer.trusted_proxies(proxies),
            }
        };
        let span = send(set, &(text + "\r\n")).await;
        let is = |key: &str| span.attribute(key).unwrap_or_default();
        assert_eq!(is("client.address"), case.client, "{}", case.rule);
        assert_eq!(is("url.scheme"), case.scheme, "{}", case.rule);
        let (host, port) = case.server.split_once(':').unwrap_or((case.server, ""));
        assert_eq!(is("server.address"), host, "{}", case.rule);
        assert_eq!(is("server.port"), port, "{}", case.rule);
        // The peer stays the proxy.
        assert_eq!(is("network.peer.address"), "127.0.0.1", "{}", case.rule);
        assert_eq!(is("client.port"), "", "{}", case.rule);
    }
}

/// The rows of the guide's table: the number of proxies, the headers, and `client.address`.
#[tokio::test]
async fn guide_to_proxies_has_the_address_of_each_row() {
    let guide = include_str!("../../../docs/guide/proxies.md");
    let (_, table) = guide
        .split_once("| `trusted_proxies` | headers")
        .expect("the table");
    let rows: Vec<_> = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert!(rows.len() >= 8, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.split(" | ").collect();
        let [proxies, headers, client] = cells[..] else {
            panic!("{row}");
        };
        let proxies = proxies.trim_matches(['|', ' ']).parse().expect("a number");
        let headers = headers.trim_matches('`').replace("`, `", "\r\n");
        let text = format!("GET / HTTP/1.1\r\nHost: origin.example\r\n{headers}\r\n\r\n");
        let peer = |_: &http::request::Parts| Some(SocketAddr::from(([10, 0, 0, 9], 4711)));
        let set = |layer: ApiSpanLayer| layer.peer_address_fn(peer).trusted_proxies(proxies);
        let span = send(set, &text).await;
        let expected = client.trim_matches(['|', ' ', '`']);
        assert_eq!(
            span.attribute("client.address").as_deref(),
            Some(expected),
            "{row}"
        );
    }
}

#[tokio::test]
async fn scheme_comes_from_the_proxy_then_the_setting_then_the_request() {
    let proxy = "X-Forwarded-Proto: https\r\n";
    for (rule, proxies, setting, target, line, expected) in [
        ("by default", 0, None, "/", "", "http"),
        ("the request", 0, None, "https://h.example/", "", "https"),
        ("the setting", 0, Some("https"), "/", "", "https"),
        (
            "the setting before the request",
            0,
            Some("http"),
            "https://h.example/",
            "",
            "http",
        ),
        (
            "an empty setting is ignored",
            0,
            Some(""),
            "https://h.example/",
            "",
            "https",
        ),
        (
            "a proxy before the setting",
            1,
            Some("http"),
            "http://h.example/",
            proxy,
            "https",
        ),
        (
            "a proxy that is not trusted",
            0,
            Some("http"),
            "/",
            proxy,
            "http",
        ),
        (
            "a proxy without the header",
            1,
            Some("https"),
            "/",
            "",
            "https",
        ),
        (
            "a proxy with an unknown scheme",
            1,
            Some("https"),
            "/",
            "X-Forwarded-Proto: gopher\r\n",
            "https",
        ),
    ] {
        let set = |layer: ApiSpanLayer| {
            let layer = layer.trusted_proxies(proxies);
            match setting {
                Some(scheme) => layer.scheme(scheme),
                None => layer,
            }
        };
        let text = format!("GET {target} HTTP/1.1\r\nHost: h.example\r\n{line}\r\n");
        let span = send(set, &text).await;
        assert_eq!(
            span.attribute("url.scheme").as_deref(),
            Some(expected),
            "{rule}"
        );
    }
}

#[test]
fn long_scheme_is_truncated() {
    let at = Recorder::new();
    serve(&at.layer().scheme("s".repeat(5_000)), request(), |_| {});
    let scheme = unchecked(&at).attribute("url.scheme");
    assert_eq!(scheme, Some("s".repeat(1_024)));
}

/// Returns address and port of the client, the peer and the local end.
fn addresses(span: &Seen) -> [Option<String>; 6] {
    [
        "client.address",
        "client.port",
        "network.peer.address",
        "network.peer.port",
        "network.local.address",
        "network.local.port",
    ]
    .map(|key| span.attribute(key))
}

/// Converts to the form of [`addresses`]: an empty text is an absent attribute.
fn expected(texts: [&str; 6]) -> [Option<String>; 6] {
    texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

#[tokio::test]
async fn connect_info_of_axum_gives_the_peer_over_ipv4_and_ipv6() {
    let any = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    for (rule, on, to, seen) in [
        ("IPv4", LOCALHOST, LOCALHOST, "127.0.0.1"),
        (
            "IPv6",
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
            "::1",
        ),
        ("IPv4 on a dual-stack socket", any, LOCALHOST, "127.0.0.1"),
    ] {
        for with_port in [false, true] {
            let at = Recorder::new();
            let layer = at.layer().client_port(with_port);
            let port = run(app(layer), on).await.port();
            let mut wire = Wire::connect((to, port).into()).await;
            let text = format!(
                "GET / HTTP/1.1\r\nHost: {}\r\n\r\n",
                SocketAddr::from((to, port))
            );
            wire.send(text).await;
            wire.answer(&http::Method::GET).await;
            at.all_ended().await;
            let span = at.only();
            let peer_port = wire.local().port().to_string();
            let client_port = if with_port { &*peer_port } else { "" };
            assert_eq!(
                addresses(&span),
                expected([seen, client_port, seen, &peer_port, "", ""]),
                "{rule}"
            );
            // The Host header, parsed: without the brackets of IPv6.
            let server = span.attribute("server.address");
            assert_eq!(server, Some(to.to_string()), "{rule}");
            let server = span.attribute("server.port");
            assert_eq!(server, Some(port.to_string()), "{rule}");
        }
    }
}

const MOCKED: &str = "[2001:db8::5]:5";

/// Returns an IPv4-mapped IPv6 address.
fn mapped_peer(_: &http::request::Parts) -> Option<SocketAddr> {
    "[::ffff:192.0.2.7]:7".parse().ok()
}

#[tokio::test]
async fn peer_comes_from_the_callback_then_the_connection_then_the_mock() {
    let mocked: SocketAddr = MOCKED.parse().expect("an address");
    let real = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 1)));
    for (rule, set, has_real, address, port) in [
        (
            "only the mock",
            (|layer| layer) as fn(ApiSpanLayer) -> ApiSpanLayer,
            false,
            "2001:db8::5",
            "5",
        ),
        ("the connection", |layer| layer, true, "192.0.2.1", "1"),
        (
            "the callback, IPv4-mapped IPv6",
            |layer| layer.peer_address_fn(mapped_peer),
            true,
            "192.0.2.7",
            "7",
        ),
        (
            "a callback that returns None",
            |layer| layer.peer_address_fn(|_| None),
            true,
            "",
            "",
        ),
        (
            "a callback that panics",
            |layer| layer.peer_address_fn(|_| panic!("no peer")),
            true,
            "",
            "",
        ),
    ] {
        let at = Recorder::new();
        let app = app(set(at.layer().client_port(true))).layer(MockConnectInfo(mocked));
        let mut request = Request::get("/");
        if has_real {
            request = request.extension(real);
        }
        let request = request.body(axum::body::Body::empty()).expect("a request");
        let response = app.oneshot(request).await.expect("a response");
        drop(response);
        assert_eq!(
            addresses(&at.only()),
            expected([address, port, address, port, "", ""]),
            "{rule}"
        );
    }
}

#[tokio::test]
async fn client_port_belongs_to_the_client_address() {
    for (rule, line, address, port) in [
        (
            "forwarded by the proxy",
            "Forwarded: for=\"192.0.2.1:4711\"",
            "192.0.2.1",
            "4711",
        ),
        (
            "not forwarded: the port of the peer is not the client's",
            "Forwarded: for=192.0.2.1",
            "192.0.2.1",
            "",
        ),
    ] {
        let set = |layer: ApiSpanLayer| layer.trusted_proxies(1).client_port(true);
        let span = send(set, &format!("GET / HTTP/1.1\r\nHost: h\r\n{line}\r\n\r\n")).await;
        let [client, client_port, ..] = addresses(&span);
        assert_eq!(client.as_deref(), Some(address), "{rule}");
        assert_eq!(client_port.unwrap_or_default(), port, "{rule}");
    }
}

#[test]
fn local_address_is_recorded_where_known() {
    for (rule, local, expected) in [
        ("IPv4", Some("192.0.2.1:80"), Some(("192.0.2.1", "80"))),
        (
            "IPv6",
            Some("[2001:db8::1]:80"),
            Some(("2001:db8::1", "80")),
        ),
        (
            "IPv4-mapped IPv6",
            Some("[::ffff:192.0.2.1]:80"),
            Some(("192.0.2.1", "80")),
        ),
        ("unknown", None, None),
    ] {
        for request in [request(), grpc()] {
            let at = Recorder::new();
            let local = local.map(|local| local.parse().expect("an address"));
            serve(
                &at.layer().local_address_fn(move |_| local),
                request,
                |_| {},
            );
            let [.., address, port] = addresses(&at.only());
            assert_eq!(address.as_deref().zip(port.as_deref()), expected, "{rule}");
        }
    }
    let at = Recorder::new();
    let layer = at.layer().local_address_fn(|_| panic!("no local address"));
    serve(&layer, request(), |_| {});
    assert_eq!(addresses(&at.only()), expected([""; 6]));
}

#[tokio::test]
async fn hyper_server_passes_the_peer_in_the_request_extensions() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
    let listener = TcpListener::bind((LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        let (stream, peer) = listener.accept().await.expect("a client");
        let service = ServiceBuilder::new()
            .map_request(move |mut request: Request<hyper::body::Incoming>| {
                request.extensions_mut().insert(peer);
                request
            })
            .layer(layer)
            .service(service_fn(|_| {
                let answer = Response::new(Empty::<Bytes>::new());
                std::future::ready(Ok::<_, Infallible>(answer))
            }));
        // The client checks the response.
        let _ = auto::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
            .await;
    });
    let mut wire = Wire::connect(address).await;
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    wire.answer(&http::Method::GET).await;
    at.all_ended().await;
    let port = wire.local().port().to_string();
    assert_eq!(
        addresses(&at.only()),
        expected(["127.0.0.1", "", "127.0.0.1", &port, "", ""])
    );
}

#[tokio::test]
async fn connect_info_of_tonic_gives_peer_and_local_address() {
    let at = Recorder::new();
    let info = |request: &http::request::Parts| {
        let info = request.extensions.get::<TcpConnectInfo>();
        info.cloned()
    };
    let layer = at
        .layer()
        .peer_address_fn(move |request| info(request)?.remote_addr())
        .local_address_fn(move |request| info(request)?.local_addr())
        // The conventions for gRPC have no `client.*`, with or without proxies.
        .trusted_proxies(1)
        .client_port(true);
    let address = run_tonic(&layer).await;
    let (mut sender, local) = http2(address).await;
    let mut request: Request<Full<Bytes>> = call(address, CHECK);
    for (name, value) in [
        ("forwarded", "for=6.6.6.6;proto=https;host=forged.example"),
        ("x-forwarded-for", "6.6.6.6"),
    ] {
        let value = http::HeaderValue::from_static(value);
        request.headers_mut().insert(name, value);
    }
    ask_http2(&mut sender, request).await;
    at.all_ended().await;
    let span = at.only();
    let (client, server) = (local.port().to_string(), address.port().to_string());
    assert_eq!(
        addresses(&span),
        expected(["", "", "127.0.0.1", &client, "127.0.0.1", &server])
    );
    let is = |key: &str| span.attribute(key);
    assert_eq!(is("server.address").as_deref(), Some("127.0.0.1"));
    assert_eq!(is("server.port"), Some(server));
    assert_eq!(is("url.scheme"), None);
}
