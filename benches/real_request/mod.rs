//! A request such as a browser sends through a proxy: 14 headers, a query of 119 bytes with one escape, and a
//! `tracestate` of two members. As on axum's server, it has a route and the address of its peer.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::connect_info::ConnectInfo;
use axum::extract::{MatchedPath, Request as AxumRequest};
use axum::routing::get;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use tower::Service as _;

const ROUTE: &str = "/v1/projects/{project}/search";

const TARGET: &str = "/v1/projects/blue-whale/search?q=tower+layers&filter=kind%3Dlibrary\
    &sort=updated&order=desc&page=2&size=50&lang=en&theme=dark&utm_source=feed&ref=home";

const HEADERS: [(&str, &str); 14] = [
    ("host", "api.example.com"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    ("accept", "application/json, text/plain, */*"),
    ("accept-language", "en-US,en;q=0.5"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://www.example.com/projects/blue-whale"),
    ("origin", "https://www.example.com"),
    (
        "cookie",
        "session=0f8fad5bd9cb469fa165708672892b2c; theme=dark",
    ),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-site"),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-proto", "https"),
    (
        "traceparent",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ),
    ("tracestate", "vendor=t61rcWkgMzE,other=00f067aa0ba902b7"),
];

/// Builds copies of the request.
pub(crate) struct RealRequest {
    pub(crate) target: &'static str,
    pub(crate) headers: HeaderMap,
    pub(crate) route: Option<MatchedPath>,
    pub(crate) peer: Option<SocketAddr>,
}

impl RealRequest {
    pub(crate) fn new() -> Self {
        let headers = HEADERS.map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        Self {
            target: TARGET,
            headers: HeaderMap::from_iter(headers),
            route: Some(matched_path()),
            peer: Some(SocketAddr::from(([192, 0, 2, 10], 52_814))),
        }
    }

    pub(crate) fn build<B>(&self, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.uri_mut() = Uri::from_static(self.target);
        *request.headers_mut() = self.headers.clone();
        if let Some(peer) = self.peer {
            request.extensions_mut().insert(ConnectInfo(peer));
        }
        if let Some(route) = &self.route {
            request.extensions_mut().insert(route.clone());
        }
        request
    }
}

/// Returns what axum's router inserts for the route.
fn matched_path() -> MatchedPath {
    let (found, kept) = std::sync::mpsc::channel();
    let handler = async move |request: AxumRequest| {
        let route = request.extensions().get::<MatchedPath>();
        found.send(route.cloned()).expect("it is received");
    };
    let mut router: Router = Router::new().route(ROUTE, get(handler));
    let request = Request::builder().uri(TARGET);
    let request = request.body(axum::body::Body::empty()).expect("a request");
    router
        .call(request)
        .now_or_never()
        .expect("the handler is always ready")
        .expect("the router does not fail");
    kept.recv().expect("a handler").expect("a route")
}
