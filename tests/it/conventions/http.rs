//! HTTP requests: every method with every status and every kind of route, on every framework.

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Uri};
use http_body_util::Empty;

use super::client::{Client, Version};
use super::expected::{self, HttpRequest, REQUEST_DETAILS, RequestDetails, STANDARD};
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

/// Where the route comes from, if there is one.
struct Route {
    rule: &'static str,
    path: &'static str,
    /// The route that the handler sets.
    from_handler: Option<&'static str>,
    /// The route on the span.
    expected: Option<&'static str>,
}

const fn route(
    rule: &'static str,
    path: &'static str,
    from_handler: Option<&'static str>,
    expected: Option<&'static str>,
) -> Route {
    Route {
        rule,
        path,
        from_handler,
        expected,
    }
}

/// Routes on servers without a router.
#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("no route", "/nowhere/7", None, None),
    route("set by the handler", "/nowhere/7", Some("/nowhere/{id}"), Some("/nowhere/{id}")),
    route("route_fn", "/set/7", None, Some("/set/{id}")),
    route("route_fn before the handler", "/set/7", Some("/handler/{id}"), Some("/set/{id}")),
];

#[rustfmt::skip]
const ROUTES_OF_AXUM: &[Route] = &[
    route("matched", "/items/7", None, Some("/items/{id}")),
    route("matched before the handler", "/items/7", Some("/handler/{id}"), Some("/items/{id}")),
    route("nested router", "/v1/items/7", None, Some("/v1/items/{id}")),
    route("layer in a nested router", "/inner/items/7", None, Some("/inner/items/{id}")),
    route("fallback", "/nowhere/7", None, None),
    route("fallback, set by the handler", "/nowhere/7", Some("/nowhere/{id}"), Some("/nowhere/{id}")),
    route("nested service", "/service/items/7", None, None),
    route("nested service, set by the handler", "/service/items/7", Some("/service/items/{id}"), Some("/service/items/{id}")),
    // axum's own match is `/set/{number}`.
    route("route_fn before matched", "/set/7", None, Some("/set/{id}")),
];

/// How the layer is configured.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Setting {
    /// The defaults, without peer addresses.
    Default,
    /// With `known_http_methods` and peer addresses.
    Configured,
}

/// The `known_http_methods`, which replace the standard methods.
pub const KNOWN: &[&str] = &["GET", "PROPFIND"];

pub async fn check_all() {
    let mut runs = Vec::new();
    for (framework, version) in [
        (Framework::Axum, Version::Http1),
        (Framework::Axum, Version::Http2),
        (Framework::Hyper, Version::Http1),
        (Framework::Hyper, Version::Http2),
        (Framework::Tonic, Version::Http2),
    ] {
        for setting in [Setting::Default, Setting::Configured] {
            runs.push(tokio::spawn(check_server(framework, version, setting)));
        }
    }
    let mut report = Report::default();
    for run in join_all(runs).await {
        report.extend(run.expect("all rows"));
    }
    report.finish("HTTP requests");
}

/// Checks all rows on one server, over as few connections as possible.
async fn check_server(framework: Framework, version: Version, setting: Setting) -> Report {
    let recorder = Recorder::new();
    let layer = recorder.layer().route_fn(|request| {
        request
            .uri
            .path()
            .starts_with("/set/")
            .then_some("/set/{id}")
    });
    let is_configured = setting == Setting::Configured;
    let layer = if is_configured {
        framework
            .with_peers(layer)
            .known_http_methods(KNOWN.to_vec())
    } else {
        layer
    };
    let server = framework.start(version, layer, is_configured).await;
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
                // CONNECT has no path to match a route. A 2xx turns the connection into a tunnel.
                let is_connect = method == "CONNECT";
                if is_connect {
                    if !route.path.starts_with("/nowhere/") {
                        continue;
                    }
                    client = Client::connect(server, version).await;
                }
                // Combines each of the details with each method, status and route.
                let nth = nth_method + nth_status + nth_route;
                let details = &REQUEST_DETAILS[nth % REQUEST_DETAILS.len()];
                let case = format!(
                    "{framework} {version:?} {setting:?}: {method} {status} {}, {}",
                    route.rule, details.host.sent
                );
                let request = request(version, method, status, route, details);
                let got = client.send(request).await;
                report.check(got == status, || format!("{case}: the client gets {got}"));
                let expected = expected::http(&HttpRequest {
                    details,
                    method,
                    path: route.path,
                    version,
                    status,
                    route: route.expected,
                    peer: is_configured.then_some(client.address),
                    known_methods: if is_configured { KNOWN } else { STANDARD },
                });
                report.compare(&recorder, &case, expected).await;
                rows += 1;
            }
        }
        if method == "CONNECT" {
            client = Client::connect(server, version).await;
        }
    }
    report.check(recorder.starts() == rows, || {
        format!("{} spans of {rows} requests", recorder.starts())
    });
    let setting = format!("{setting:?}");
    let what = format!("{framework:6} HTTP/{:4} {setting:10}", version.name());
    report.count(what, rows);
    report
}

fn request(
    version: Version,
    method: &str,
    status: u16,
    route: &Route,
    details: &RequestDetails,
) -> Request<Empty<Bytes>> {
    let host = details.host.sent;
    let target = format!("{}{}", route.path, details.query);
    let uri: String = match version {
        _ if method == "CONNECT" => host.to_owned(),
        Version::Http1 => target,
        Version::Http2 => format!("{}://{host}{target}", details.scheme),
    };
    let uri: Uri = uri.parse().expect("a URI");
    let mut request = Request::builder()
        .method(method)
        .uri(uri)
        .header(STATUS, status);
    if version == Version::Http1 {
        request = request.header("host", host);
    }
    if let Some(agent) = details.agent {
        request = request.header("user-agent", agent);
    }
    if let Some(route) = route.from_handler {
        request = request.header(ROUTE, route);
    }
    request.body(Empty::new()).expect("a request")
}
