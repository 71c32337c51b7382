//! The metrics of servers.

use axum::Router;
use axum::routing::{get, post};
use tower_api_span::RequestBodyLayer;

use super::{exchange, request, serve, status_of};
use crate::support::meters::{Meters, Series};

async fn panics() -> &'static str {
    std::panic::resume_unwind(Box::new("the handler panics"))
}

fn app() -> Router {
    Router::new()
        .route("/users/{id}", get(|| async { "a user" }))
        .route("/panics", get(panics))
}

/// actix-web-opentelemetry #134: each worker had instruments, and so series, of its own.
/// opentelemetry-java-instrumentation #11625: an application with two filters had each metric twice.
#[tokio::test]
async fn layers_of_several_workers_share_their_series() {
    let meters = Meters::new();
    for _ in 0..4 {
        let layer = meters.layer().active_requests(true);
        let address = serve(app().layer(layer)).await;
        for id in 0..3 {
            let line = format!("GET /users/{id}");
            exchange(address, &request(&line, "host: a.example\r\n")).await;
        }
    }
    assert_eq!(meters.only("http.server.request.duration").count(), 12);
    assert_eq!(meters.of("http.server.active_requests").len(), 1);
    assert_eq!(meters.active(), 0);
}

/// opentelemetry-java-instrumentation #15303: the number became negative. opentelemetry-specification #3357: it had the
/// status at its decrement alone.
#[tokio::test]
async fn active_requests_return_to_zero_in_the_series_that_they_began_in() {
    let meters = Meters::new();
    let layer = meters.layer().active_requests(true);
    let address = serve(app().layer(layer)).await;
    for (line, status) in [
        ("GET /users/7", Some(200)),
        ("HEAD /users/7", Some(200)),
        ("POST /users/7", Some(405)),
        ("GET /nowhere", Some(404)),
        ("GET /panics", None),
        ("FOOBAR /users/7", Some(405)),
    ] {
        let answer = exchange(address, &request(line, "host: a.example\r\n")).await;
        assert_eq!(status_of(&answer), status, "{line}");
    }
    assert_eq!(meters.active(), 0);
    let series = meters.of("http.server.active_requests");
    assert_eq!(series.len(), 4, "one for each method: {series:#?}");
    for one in series {
        let keys: Vec<_> = one.attributes.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["http.request.method", "url.scheme"]);
    }
}

/// divviup/janus #4822: a request without a Content-Length had 0 bytes.
#[tokio::test]
async fn size_of_a_chunked_request_is_counted_or_missing_and_never_0() {
    let chunked = "host: a.example\r\ntransfer-encoding: chunked\r\n";
    let body = b"5\r\nhello\r\n0\r\n\r\n";
    for is_counted in [true, false] {
        let meters = Meters::new();
        let layer = meters.layer().body_sizes(true);
        let app = Router::new().route("/", post(|body: String| async { body }));
        let app = if is_counted {
            app.layer(RequestBodyLayer::new()).layer(layer)
        } else {
            app.layer(layer)
        };
        let address = serve(app).await;
        let head = request("POST /", chunked);
        let answer = exchange(address, &[&head[..], body].concat()).await;
        assert!(answer.ends_with("hello"), "{answer}");
        let sizes = meters.of("http.server.request.body.size");
        let sums: Vec<_> = sizes.iter().map(Series::sum).collect();
        assert_eq!(sums, if is_counted { vec![5.0] } else { vec![] });
        assert!((meters.only("http.server.response.body.size").sum() - 5.0).abs() < 0.1);
    }
}
