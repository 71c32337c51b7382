//! Baggage of callers over a connection.

use std::future::IntoFuture as _;

use axum::Router;
use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_api_span::SpanHandle;

use crate::support::recorder::{Recorder, Seen};
use crate::support::{CALLER, TRACE};

/// Returns what the handler has seen: its baggage, the header that it received, and the one that it would send.
async fn describe(headers: HeaderMap, span: SpanHandle) -> String {
    let context = Context::current();
    let mut baggage: Vec<_> = context
        .baggage()
        .iter()
        .map(|(key, (value, _))| format!("{key}={value}").replace('\n', "\\n"))
        .collect();
    baggage.sort();
    let mut sent = HeaderMap::new();
    span.inject(&mut sent);
    let lines = |headers: &HeaderMap| {
        let lines = headers.get_all("baggage").iter();
        let lines: Vec<_> = lines.map(|line| format!("{line:?}")).collect();
        lines.join(" + ")
    };
    [baggage.join(","), lines(&headers), lines(&sent)].join("|")
}

/// Sends a request with these lines of baggage.
async fn send(lines: &[&str]) -> (Seen, Vec<String>) {
    let recorder = Recorder::new();
    let layer = recorder.layer().propagate_to_inner(true);
    let app = Router::new().fallback(describe).layer(layer);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, app).into_future());
    let lines = lines.iter().map(|line| format!("baggage: {line}\r\n"));
    let request = format!(
        "GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntraceparent: 00-{TRACE}-{CALLER}-01\r\n{}\r\n",
        lines.collect::<String>()
    );
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut response = String::new();
    socket
        .read_to_string(&mut response)
        .await
        .expect("a response");
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    recorder.all_ended().await;
    let (_, body) = response.split_once("\r\n\r\n").expect("a body");
    let seen = body.split('|').map(str::to_owned).collect();
    (recorder.only(), seen)
}

#[tokio::test]
async fn several_lines_of_baggage_are_one_list() {
    let (span, seen) = send(&["userId=alice", "serverNode=DF%2028,isProduction=false"]).await;
    assert_eq!(span.0.parent_span_id.to_string(), CALLER);
    assert_eq!(seen[0], "isProduction=false,serverNode=DF 28,userId=alice");
    for member in ["userId=alice", "serverNode=DF", "isProduction=false"] {
        for (party, line) in [("the handler", &seen[1]), ("its callee", &seen[2])] {
            assert!(line.contains(member), "{party}: {line}");
        }
    }
}

#[tokio::test]
async fn baggage_with_an_encoded_line_end_fails_no_request_and_splits_no_header() {
    for line in [
        "userId=alice;property=one%0Atwo,safe=1",
        "userId=a%0D%0Ax-evil:%201,safe=1",
    ] {
        let (span, seen) = send(&[line]).await;
        assert_eq!(span.outcome(), "DEPARTED", "{line}");
        assert_eq!(span.0.parent_span_id.to_string(), CALLER, "{line}");
        assert!(seen[1].contains("safe=1"), "{line}: {}", seen[1]);
        for sent in &seen[1..] {
            assert!(
                !sent.contains("\\n") && !sent.contains("\\r"),
                "{line}: {sent}"
            );
        }
    }
}
