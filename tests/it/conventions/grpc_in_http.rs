//! gRPC calls answered in plain HTTP, as by a proxy or a rate limit: every status on every framework.

use futures_util::future::join_all;
use http::Request;
use http_body_util::Empty;

use super::client::{Client, Version};
use super::expected::{self, NAME_AND_PORT, STANDARD};
use super::http::{KNOWN, STATUSES};
use super::report::Report;
use super::servers::{Framework, ROUTE, STATUS};
use crate::support::recorder::Recorder;

const METHOD: &str = "nowhere.Service/Call";

pub async fn check_all() {
    let runs = [Framework::Axum, Framework::Hyper, Framework::Tonic];
    let runs = runs.map(|framework| {
        [false, true].map(|is_configured| tokio::spawn(check_server(framework, is_configured)))
    });
    let mut report = Report::default();
    for run in join_all(runs.into_iter().flatten()).await {
        report.extend(run.expect("all rows"));
    }
    report.finish("gRPC calls answered in plain HTTP");
}

/// Checks all rows on one server, with or without peer addresses and `known_http_methods`.
async fn check_server(framework: Framework, is_configured: bool) -> Report {
    let recorder = Recorder::new();
    let mut layer = recorder.layer();
    if is_configured {
        layer = framework
            .with_peers(layer)
            .known_http_methods(KNOWN.to_vec());
    }
    let known = if is_configured { KNOWN } else { STANDARD };
    let server = framework.start(Version::Http2, layer, is_configured).await;
    let mut client = Client::connect(server, Version::Http2).await;
    let peer = is_configured.then_some(client.address);

    let mut report = Report::default();
    let mut rows = 0;
    for status in STATUSES {
        for route in [None, Some("/{service}/{method}")] {
            let mut request = Request::post(format!("http://{}/{METHOD}", NAME_AND_PORT.sent))
                .header("content-type", "application/grpc")
                .header(STATUS, status);
            if let Some(route) = route {
                request = request.header(ROUTE, route);
            }
            let request = request.body(Empty::new()).expect("a request");
            let case = format!("{framework} {is_configured}: {status} {route:?}");
            let got = client.send(request).await;
            report.check(got == status, || format!("{case}: the client gets {got}"));
            let expected =
                expected::grpc_in_http(&NAME_AND_PORT, METHOD, status, route, peer, known);
            report.compare(&recorder, &case, expected).await;
            rows += 1;
        }
    }
    report.check(recorder.starts() == rows, || {
        format!("{} spans of {rows} calls", recorder.starts())
    });
    let settings = if is_configured {
        "Configured"
    } else {
        "Default"
    };
    report.count(format!("{framework:6} {settings:10}"), rows);
    report
}
