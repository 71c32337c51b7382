//! Secrets in the places where clients put them: whatever the encoding, they are in no signal and in no response.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
use tower_api_span::{AccessLog, ApiSpanLayer, LifecycleEvents};

use super::{current_thread_runtime, run_until_idle, service};
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::tracing_output::{json_subscriber, written};

const SECRET: &str = "hunter2";

/// Returns what is recorded of a request with this head, in all signals, and the response.
fn recorded(head: &str) -> String {
    let (recorder, meters) = (Recorder::new(), Meters::new());
    let exporter = InMemoryLogExporter::default();
    let loggers = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let completions = Arc::new(Mutex::new(String::new()));
    let to = Arc::clone(&completions);
    let layer = ApiSpanLayer::llm()
        .tracer_provider(&recorder.provider)
        .meter_provider(&meters.provider)
        .logger_provider(&loggers)
        .propagator(TraceContextPropagator::new())
        .lifecycle_events(LifecycleEvents::AsLogs)
        .access_log(AccessLog::new().query(true).request_start(true))
        .tracing_span(true)
        .trusted_proxies(1)
        .traceresponse(true)
        .server_timing(true)
        .body_sizes(true)
        .active_requests(true)
        .capture_request_headers([AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION])
        .on_completion(move |completion| {
            let mut to = to.lock().expect("no panic");
            write!(to, "{completion:?}").expect("a string");
        });
    let service = service(Some(&layer), |_: Request<Body>| async {
        Response::new(Body::from("well"))
    });
    let mut answer = Vec::new();
    let lines = written(
        |to| json_subscriber(to, tracing::Level::TRACE),
        || {
            current_thread_runtime().block_on(async {
                let (mut client, server) = duplex(1 << 16);
                let service = TowerToHyperService::new(service);
                let builder = hyper::server::conn::http1::Builder::new();
                tokio::spawn(builder.serve_connection(TokioIo::new(server), service));
                let head = format!("{head}\r\nconnection: close\r\n\r\n");
                client.write_all(head.as_bytes()).await.expect("sent");
                client.read_to_end(&mut answer).await.expect("an answer");
                run_until_idle().await;
            });
        },
    );
    let answer = String::from_utf8(answer).expect("text");
    assert!(answer.starts_with("HTTP/1.1 200"), "{head}: {answer}");
    let logs = exporter.get_emitted_logs().expect("logs");
    let (spans, series) = (recorder.exported(), meters.read());
    assert!(!spans.is_empty() && !series.is_empty() && !logs.is_empty());
    let completions = completions.lock().expect("no panic");
    assert!(completions.starts_with("Completion"), "{completions}");
    format!(
        "{answer}\n{spans:?}\n{series:?}\n{logs:?}\n{}\n{completions}",
        lines.text()
    )
}

#[test]
fn secrets_of_a_request_are_in_no_signal() {
    for head in [
        "GET http://user:hunter2@a.example/ HTTP/1.1\r\nhost: a",
        "GET http://hunter2@a.example:80/ HTTP/1.1\r\nhost: a",
        "GET / HTTP/1.1\r\nhost: user:hunter2@a.example:80",
        "GET / HTTP/1.1\r\nhost: user:hunter2@a.example:80:80",
        "GET / HTTP/1.1\r\nhost: user:hunter2@",
        "GET / HTTP/1.1\r\nhost: hunter2:80@[::1]",
        "GET / HTTP/1.1\r\nhost: a\r\nx-forwarded-host: user:hunter2@b.example",
        "GET / HTTP/1.1\r\nhost: a\r\nforwarded: host=\"user:hunter2@b.example\"",
        "CONNECT user:hunter2@a.example:443 HTTP/1.1\r\nhost: a",
        "OPTIONS * HTTP/1.1\r\nhost: user:hunter2@a",
        "GET /?sig=hunter2 HTTP/1.1\r\nhost: a",
        "GET /?s%69g=hunter2&%53ignature=hunter2&X%2dAmz%2DSignature=hunter2 HTTP/1.1\r\nhost: a",
        "GET /?&&sig=hunter2=hunter2&sig=hunter2&a=b HTTP/1.1\r\nhost: a",
        "POST /a.B/C?sig=hunter2 HTTP/1.1\r\nhost: a\r\ncontent-type: application/grpc",
        "GET / HTTP/1.1\r\nhost: a\r\nauthorization: Basic hunter2\r\ncookie: a=hunter2",
        "GET / HTTP/1.1\r\nhost: a\r\nproxy-authorization: hunter2\r\nproxy-authorization: hunter2",
        "GET / HTTP/1.1\r\nhost: a\r\nreferer: http://user:hunter2@a/?sig=hunter2\r\nx-api-key: hunter2",
    ] {
        assert!(head.contains(SECRET), "{head}");
        let all = recorded(head);
        assert!(!all.contains(SECRET), "{head}:\n{all}");
    }
}
