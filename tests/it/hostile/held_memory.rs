//! Inputs that are made to fill memory: an open response or request holds a bounded amount of each.

use std::convert::Infallible;

use allocation_counter::measure;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::Runtime;
use tower_api_span::{AccessLog, ApiSpanLayer};
use tracing::Level;

use super::{current_thread_runtime, run_until_idle, service};
use crate::support::recorder::Recorder;
use crate::tracing_output::{json_subscriber, written};

/// The most that an open response may hold of a request's head, with the span. Each text in it has 1,024 bytes at most.
const MAX_OF_HEAD: i64 = 8 << 10;
/// The most baggage: the API keeps 64 entries with 8,192 bytes.
const MAX_BAGGAGE: i64 = 16 << 10;
/// The most that an open response may hold of an answer that is made to fill memory.
const MAX_ANSWER: i64 = 96 << 10;
/// The same without finish reasons.
const MAX_TEXTS: i64 = 16 << 10;
/// The most that a request to a language model may hold while its body is read.
const MAX_REQUEST: i64 = 4 << 10;

/// Connections that are open, to one server.
struct Server {
    runtime: Runtime,
    service: super::BoxedService,
}

impl Server {
    /// Serves a response that sends these frames and stays open, or an open request whose body has these frames.
    fn new(layer: Option<&ApiSpanLayer>, frames: &[Bytes]) -> Self {
        let frames = frames.to_vec();
        let answering = service(layer, move |mut request: Request<Body>| {
            let frames = frames.clone();
            async move {
                // An upload, which is never over.
                if request.headers().contains_key("content-length") {
                    loop {
                        let frame = http_body_util::BodyExt::frame(request.body_mut()).await;
                        frame.expect("more of the body").expect("a frame");
                    }
                }
                let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"\n"))]);
                let frames = stream::iter(frames.into_iter().map(Ok));
                let body = Body::from_stream(first.chain(frames).chain(stream::pending()));
                let response = Response::builder().header("content-type", "text/event-stream");
                response.body(body).expect("a response")
            }
        });
        Self {
            runtime: current_thread_runtime(),
            service: answering,
        }
    }

    /// Sends these bytes over a connection, and lets the server work until it is idle.
    fn open(&self, sent: &[u8]) -> DuplexStream {
        self.runtime.block_on(async {
            let (mut client, server) = duplex(1 << 20);
            let service = TowerToHyperService::new(self.service.clone());
            // hyper's default limits.
            let builder = hyper::server::conn::http1::Builder::new();
            tokio::spawn(builder.serve_connection(TokioIo::new(server), service));
            client.write_all(sent).await.expect("the server reads");
            run_until_idle().await;
            client
        })
    }

    /// Returns the bytes that one more open request holds, and the beginning of its response.
    fn held(&self, sent: &[u8]) -> (i64, Vec<u8>) {
        // The first one fills the caches.
        let _first = self.open(sent);
        let mut client = None;
        let bytes = measure(|| client = Some(self.open(sent))).bytes_current;
        let mut answer = vec![0; 64];
        let client = client.as_mut().expect("a connection");
        let read = self.runtime.block_on(async {
            tokio::select! {
                read = client.read(&mut answer) => read.expect("a response"),
                () = run_until_idle() => 0,
            }
        });
        answer.truncate(read);
        (bytes, answer)
    }
}

/// The preset for language models.
fn llm(recorder: &Recorder) -> ApiSpanLayer {
    ApiSpanLayer::llm()
        .tracer_provider(&recorder.provider)
        .propagator(TraceContextPropagator::new())
}

/// Returns how many bytes more than the bare service an open response to this head holds.
fn added_by_head(layer: &ApiSpanLayer, head: &str) -> i64 {
    let measured = |layer| {
        let (bytes, answer) = Server::new(layer, &[]).held(head.as_bytes());
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
        bytes
    };
    measured(Some(layer)) - measured(None)
}

fn head(method: &str, target: &str, header: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n")
}

#[test]
fn an_open_response_holds_little_of_a_large_head() {
    let long = |bytes: usize| "X".repeat(bytes);
    let recorder = Recorder::new();
    let layer = recorder.layer();
    let logged = layer.clone().access_log(AccessLog::new().query(true));
    let reported = layer.clone().on_completion(|_| {});
    for (case, head) in [
        ("a method", head(&long(100_000), "/", "a: b")),
        ("a path", head("GET", &format!("/{}", long(60_000)), "a: b")),
        (
            "a query",
            head("GET", &format!("/?{}", long(60_000)), "a: b"),
        ),
        (
            "both",
            head("GET", &format!("/{0}?{0}", long(30_000)), "a: b"),
        ),
        (
            "a host",
            head("GET", &format!("http://{}/", long(60_000)), "a: b"),
        ),
        (
            "a header",
            head("GET", "/", &format!("x: {}", long(300_000))),
        ),
        (
            "a user agent",
            head("GET", "/", &format!("user-agent: {}", long(300_000))),
        ),
    ] {
        for (setting, layer) in [
            ("default", &layer),
            ("log", &logged),
            ("callback", &reported),
        ] {
            let mut added = 0;
            written(
                |to| json_subscriber(to, Level::INFO),
                || added = added_by_head(layer, &head),
            );
            println!("{case}, {setting}: {added} bytes");
            assert!(added <= MAX_OF_HEAD, "{case}, {setting}: {added} bytes");
        }
    }
}

#[test]
fn an_open_response_holds_what_the_api_keeps_of_baggage() {
    let propagator = TextMapCompositePropagator::new(vec![
        Box::new(TraceContextPropagator::new()),
        Box::new(BaggagePropagator::new()),
    ]);
    let layer = Recorder::new().layer().propagator(propagator);
    let entries = |count: usize, bytes: usize| {
        let value = "v".repeat(bytes);
        let entries: Vec<_> = (0..count).map(|nth| format!("k{nth}={value}")).collect();
        head("GET", "/", &format!("baggage: {}", entries.join(",")))
    };
    for (case, head) in [
        ("many entries", entries(10_000, 10)),
        ("long entries", entries(180, 1_000)),
        ("as W3C allows", entries(180, 40)),
    ] {
        let added = added_by_head(&layer, &head);
        println!("{case}: {added} bytes");
        assert!(added <= MAX_OF_HEAD + MAX_BAGGAGE, "{case}: {added} bytes");
    }
}

/// Returns a text in one frame, or in one of each byte.
fn frames(text: &str, is_whole: bool) -> Vec<Bytes> {
    let text = Bytes::copy_from_slice(text.as_bytes());
    if is_whole {
        return vec![text];
    }
    (0..text.len()).map(|at| text.slice(at..=at)).collect()
}

/// Returns the members of an answer with each text that is kept.
fn all_texts(long: &str) -> String {
    let texts = ["id", "model", "status"].map(|name| format!("\"{name}\":\"{long}\""));
    let texts = texts.join(",");
    let error = ["message", "code", "type", "status"];
    let error = error.map(|name| format!("\"{name}\":\"{long}\"")).join(",");
    format!(
        "{texts},\"type\":\"{long}\",\"code\":\"{long}\",\"error\":{{{error}}},\"response\":{{{texts},\
         \"error\":{{{error}}},\"incomplete_details\":{{\"reason\":\"{long}\"}}}},\"stop_reason\":\"{long}\",\
         \"message\":\"{long}\",\"message\":{{{texts}}}"
    )
}

#[test]
fn an_open_answer_that_is_made_to_fill_memory_holds_a_bounded_amount() {
    let long = "\\n".repeat(3_000);
    let reasons = (0..300).map(|nth| format!("{{\"index\":{nth},\"finish_reason\":\"{long}\"}}"));
    let reasons = format!("\"choices\":[{}", reasons.collect::<Vec<_>>().join(","));
    let texts = all_texts(&long);
    let recorder = Recorder::new();
    let llm = llm(&recorder);
    let bare = recorder.layer();
    for (case, text, max) in [
        (
            "an event of texts that is cut",
            format!("data: {{{texts}"),
            MAX_TEXTS,
        ),
        ("data that is no JSON", format!("data: x{long}"), MAX_TEXTS),
        ("an event's name", format!("event: {long}"), MAX_TEXTS),
        ("an endless comment", format!(": {long}"), MAX_TEXTS),
        (
            "an endless number",
            format!("data: {{\"a\":{}", "9".repeat(6_000)),
            MAX_TEXTS,
        ),
        (
            "finish reasons, and an event of all that is cut",
            format!("data: {{\"id\":\"i\",{reasons}]}}\n\ndata: {{{texts},{reasons}"),
            MAX_ANSWER,
        ),
    ] {
        for is_whole in [true, false] {
            if !is_whole && max == MAX_ANSWER {
                // The same in more than a million frames.
                continue;
            }
            let frames = frames(&text, is_whole);
            let held =
                |layer| Server::new(Some(layer), &frames).held(head("GET", "/", "a: b").as_bytes());
            let ((llm, _), (plain, _)) = (held(&llm), held(&bare));
            let added = llm - plain;
            println!("{case}, whole {is_whole}: {added} bytes");
            assert!(added <= max, "{case}, whole {is_whole}: {added} bytes");
        }
    }
}

#[test]
fn an_open_request_that_is_made_to_fill_memory_holds_a_bounded_amount() {
    let long = "\\n".repeat(3_000);
    let body = format!("{{\"messages\":[],\"model\":\"{long}\",\"model\":\"{long}");
    let recorder = Recorder::new();
    let (read, unread) = (llm(&recorder), llm(&recorder).gen_ai_attributes(false));
    let headers = "content-type: application/json\r\ncontent-length: 1000000";
    let sent = head("POST", "/", headers) + &body;
    let held = |layer| Server::new(Some(layer), &[]).held(sent.as_bytes()).0;
    let added = held(&read) - held(&unread);
    println!("a request: {added} bytes");
    assert!(added > 0, "the body is read");
    assert!(added <= MAX_REQUEST, "{added} bytes");
}
