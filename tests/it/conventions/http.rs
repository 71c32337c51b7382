//! Methods by statuses by routes, on every framework.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Uri};
use http_body_util::Empty;

use super::client::{Client, Version};
use super::expected::{self, Asked, CALLERS, Caller, STANDARD};
use super::report::Report;
use super::servers::{Framework, ROUTE, STATUS};
use crate::support::recorder::Recorder;

const METHODS: [&str; 13] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "QUERY", "FOO", "get",
    "PROPFIND", "CONNECT",
];

pub const STATUSES: [u16; 17] = [
    200, 201, 204, 301, 304, 400, 401, 404, 409, 413, 418, 422, 429, 500, 501, 503, 599,
];

/// A way to know the route, or not to.
struct Route {
    rule: &'static str,
    path: &'static str,
    /// What the handler tells.
    told: Option<&'static str>,
    /// What the span says.
    expected: Option<&'static str>,
}

const fn route(
    rule: &'static str,
    path: &'static str,
    told: Option<&'static str>,
    expected: Option<&'static str>,
) -> Route {
    Route {
        rule,
        path,
        told,
        expected,
    }
}

/// Where nobody routes but the handler.
#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("nobody knows it", "/nowhere/7", None, None),
    route("told by the handler", "/nowhere/7", Some("/nowhere/{id}"), Some("/nowhere/{id}")),
    route("route_fn", "/set/7", None, Some("/set/{id}")),
    route("route_fn before the handler", "/set/7", Some("/told/{id}"), Some("/set/{id}")),
];

#[rustfmt::skip]
const ROUTES_OF_AXUM: &[Route] = &[
    route("matched", "/items/7", None, Some("/items/{id}")),
    route("matched before told", "/items/7", Some("/told/{id}"), Some("/items/{id}")),
    route("nested router", "/v1/items/7", None, Some("/v1/items/{id}")),
    route("layer in a nested router", "/inner/items/7", None, Some("/inner/items/{id}")),
    route("fallback", "/nowhere/7", None, None),
    route("fallback, told", "/nowhere/7", Some("/nowhere/{id}"), Some("/nowhere/{id}")),
    route("nested service", "/service/items/7", None, None),
    route("nested service, told", "/service/items/7", Some("/service/items/{id}"), Some("/service/items/{id}")),
    // axum has matched `/set/{number}`.
    route("route_fn before matched", "/set/7", None, Some("/set/{id}")),
];

/// How the layer is set.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setting {
    /// As it is by default, and nobody knows the peer.
    Default,
    /// With a list of known methods, and the peer's address.
    Told,
}

/// In place of the standard methods.
pub const KNOWN: &[&str] = &["GET", "PROPFIND"];

pub async fn all() {
    let mut runs = Vec::new();
    for (framework, version) in [
        (Framework::Axum, Version::Http1),
        (Framework::Axum, Version::Http2),
        (Framework::Hyper, Version::Http1),
        (Framework::Hyper, Version::Http2),
        (Framework::Tonic, Version::Http2),
    ] {
        for setting in [Setting::Default, Setting::Told] {
            runs.push(tokio::spawn(on(framework, version, setting)));
        }
    }
    let mut report = Report::default();
    for run in join_all(runs).await {
        report.extend(run.expect("all rows"));
    }
    report.finish("HTTP requests");
}

/// All rows on one server, over one connection as far as one lasts.
async fn on(framework: Framework, version: Version, setting: Setting) -> Report {
    let at = Recorder::new();
    let layer = at.layer().route_fn(|request| {
        request
            .uri
            .path()
            .starts_with("/set/")
            .then_some("/set/{id}")
    });
    let is_told = setting == Setting::Told;
    let layer = if is_told {
        framework
            .with_peers(layer)
            .known_http_methods(KNOWN.to_vec())
    } else {
        layer
    };
    let server = framework.start(version, layer, is_told).await;
    let routes = match framework {
        Framework::Axum => ROUTES_OF_AXUM,
        Framework::Hyper | Framework::Tonic => ROUTES,
    };

    let mut report = Report::default();
    let mut rows = 0;
    let mut client = Client::connect(server, version).await;
    for (nth_method, method) in METHODS.into_iter().enumerate() {
        for (nth_status, status) in STATUSES.into_iter().enumerate() {
            for (nth_route, route) in routes.iter().enumerate() {
                // CONNECT has no path, by which a route is known. And it makes of a connection a
                // tunnel.
                let is_connect = method == "CONNECT";
                if is_connect {
                    if !route.path.starts_with("/nowhere/") {
                        continue;
                    }
                    client = Client::connect(server, version).await;
                }
                // So each of them meets each method, each status and each route.
                let caller = &CALLERS[(nth_method + nth_status + nth_route) % CALLERS.len()];
                let case = format!(
                    "{framework} {version:?} {setting:?}: {method} {status} {}, {}",
                    route.rule, caller.host.sent
                );
                let request = request(version, method, status, route, caller);
                let got = client.ask(request).await;
                report.check(got == status, || format!("{case}: the client gets {got}"));
                let asked = Asked {
                    caller,
                    method,
                    path: route.path,
                    version,
                    status,
                    route: route.expected,
                    peer: is_told.then_some(client.address),
                    known_methods: if is_told { KNOWN } else { STANDARD },
                };
                let expected = expected::http(&asked);
                report.compare(&at, &case, expected).await;
                rows += 1;
            }
        }
        if method == "CONNECT" {
            client = Client::connect(server, version).await;
        }
    }
    report.check(at.starts() == rows, || {
        format!("{} spans of {rows} requests", at.starts())
    });
    let setting = format!("{setting:?}");
    let what = format!("{framework:6} HTTP/{:4} {setting:8}", version.name());
    report.count(what, rows);
    report
}

fn request(
    version: Version,
    method: &str,
    status: u16,
    route: &Route,
    caller: &Caller,
) -> Request<Empty<Bytes>> {
    let host = caller.host.sent;
    let target = format!("{}{}", route.path, caller.query);
    let uri: String = match version {
        _ if method == "CONNECT" => host.to_owned(),
        Version::Http1 => target,
        Version::Http2 => format!("{}://{host}{target}", caller.scheme),
    };
    let uri: Uri = uri.parse().expect("a uri");
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(STATUS, status);
    if version == Version::Http1 {
        request = request.header("host", host);
    }
    if let Some(agent) = caller.agent {
        request = request.header("user-agent", agent);
    }
    if let Some(told) = route.told {
        request = request.header(ROUTE, told);
    }
    request.body(Empty::new()).expect("a request")
}
