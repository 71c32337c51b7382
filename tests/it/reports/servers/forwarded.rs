//! What proxies write of the client.

use std::time::SystemTime;

use axum::Router;
use axum::routing::get;
use http::HeaderName;
use opentelemetry::Value;

use super::{exchange, only, request, serve, status_of};
use crate::support::recorder::Recorder;

#[tokio::test]
async fn forwarded_address_and_scheme_are_those_of_the_client() {
    for (rule, headers, address, scheme) in [
        // opentelemetry-js #5933
        (
            "IPv4 with a port, as Azure writes it",
            "x-forwarded-for: 143.99.116.4:58596\r\n",
            "143.99.116.4",
            "http",
        ),
        (
            "IPv6 with a port",
            "x-forwarded-for: [2001:db8::7]:443\r\n",
            "2001:db8::7",
            "http",
        ),
        (
            "IPv6 without brackets",
            "x-forwarded-for: 2001:db8::7\r\n",
            "2001:db8::7",
            "http",
        ),
        (
            "IPv4 in IPv6",
            "x-forwarded-for: ::ffff:192.0.2.1\r\n",
            "192.0.2.1",
            "http",
        ),
        // vulcand/oxy #71, middlewares/client-ip #23: the peer is the proxy, and not the client.
        (
            "IPv6 with a zone",
            "x-forwarded-for: fe80::d806%eth0\r\n",
            "fe80::d806",
            "http",
        ),
        (
            "IPv6 with a zone that has spaces, and a port",
            "x-forwarded-for: [fe80::d806%vEthernet (Virtual Switch)]:443\r\n",
            "fe80::d806",
            "http",
        ),
        (
            "IPv6 with a zone, in Forwarded",
            "forwarded: for=\"[fe80::d806%25eth0]:443\"\r\n",
            "fe80::d806",
            "http",
        ),
        // opentelemetry-java-instrumentation #2958, semantic-conventions #2009
        (
            "TLS that ends at the proxy",
            "x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https\r\n",
            "192.0.2.1",
            "https",
        ),
        (
            "TLS, in Forwarded",
            "forwarded: for=\"[2001:db8::7]:443\";proto=https\r\n",
            "2001:db8::7",
            "https",
        ),
    ] {
        let recorder = Recorder::new();
        let layer = recorder.layer().trusted_proxies(1);
        let app = Router::new().route("/leaf", get(|| async { "leaf" }));
        let address_of_server = serve(app.layer(layer)).await;
        let headers = format!("host: a.example\r\n{headers}");
        let answer = exchange(address_of_server, &request("GET /leaf", &headers)).await;
        assert_eq!(status_of(&answer), Some(200), "{rule}");
        let span = only(&recorder).await;
        let client = span.attribute("client.address");
        assert_eq!(client.as_deref(), Some(address), "{rule}");
        let seen = span.attribute("url.scheme");
        assert_eq!(seen.as_deref(), Some(scheme), "{rule}");
    }
}

/// librato-rack #66: a proxy whose clock is ahead made the time negative.
#[tokio::test]
async fn time_in_a_queue_is_never_negative() {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since_epoch.expect("after 1970").as_secs();
    for (rule, start, has_waited) in [
        ("two seconds ago", format!("t={}.5", seconds - 2), true),
        ("in the future", format!("t={}", seconds + 60), false),
        ("no time", "t=soon".to_owned(), false),
    ] {
        let recorder = Recorder::new();
        let header = HeaderName::from_static("x-request-start");
        let layer = recorder.layer().queue_start_header(header);
        let app = Router::new().route("/leaf", get(|| async { "leaf" }));
        let address = serve(app.layer(layer)).await;
        let headers = format!("host: a.example\r\nx-request-start: {start}\r\n");
        let answer = exchange(address, &request("GET /leaf", &headers)).await;
        assert_eq!(status_of(&answer), Some(200), "{rule}");
        let span = only(&recorder).await;
        let waited = match span.value("api.queue_time") {
            None => None,
            Some(Value::F64(seconds)) => Some(seconds),
            Some(other) => panic!("{rule}: {other:?}"),
        };
        assert!(
            waited.is_none_or(|seconds| seconds >= 0.0),
            "{rule}: {waited:?}"
        );
        assert_eq!(
            waited.is_some_and(|seconds| seconds > 0.0),
            has_waited,
            "{rule}: {waited:?}"
        );
    }
}
