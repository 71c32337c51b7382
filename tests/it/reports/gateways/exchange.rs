//! One request over a loopback connection: a real server that answers in given frames, and a client of plain bytes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::IntoFuture as _;
use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Response;
use http::header::CONTENT_TYPE;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower_api_span::{ApiSpanLayer, RequestBodyLayer};

use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen, w3c};

pub(super) const EVENTS: &str = "text/event-stream";
pub(super) const JSON: &str = "application/json";
pub(super) const LINES: &str = "application/x-ndjson";

const REQUEST: &str =
    r#"{"model":"asked","messages":[{"role":"user","content":"Hi"}],"stream":true}"#;
const FIRST_TOKEN: &str = "gen_ai.response.time_to_first_chunk";

/// An answer as a reported system sends it, and what its request must show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    content_type: &'static str,
    /// Each is the data of an event in a frame of its own.
    events: &'static [&'static str],
    /// Frames as they are, in front of the events.
    frames: &'static [&'static str],
    outcome: &'static str,
    error: Option<&'static str>,
    code: Option<&'static str>,
    /// All attributes with the prefix `gen_ai.`, which the keys lack, except those that every case has.
    attributes: &'static [(&'static str, &'static str)],
    has_token: bool,
    /// The client disconnects when it has read this text, while the server still answers.
    leaves_after: Option<&'static str>,
}

/// What one request has shown.
pub(super) struct Shown {
    pub(super) span: Seen,
    pub(super) metrics: Vec<Series>,
    /// The names of the log events.
    pub(super) logs: Vec<&'static str>,
}

impl Case {
    pub(super) const fn frames(
        name: &'static str,
        content_type: &'static str,
        frames: &'static [&'static str],
    ) -> Self {
        Self {
            name,
            content_type,
            events: &[],
            frames,
            outcome: "DEPARTED",
            error: None,
            code: None,
            attributes: &[],
            has_token: false,
            leaves_after: None,
        }
    }

    pub(super) const fn events(name: &'static str, events: &'static [&'static str]) -> Self {
        let mut case = Self::frames(name, EVENTS, &[]);
        case.events = events;
        case
    }

    /// Returns a case with these attributes and others of the answer: all that it has.
    pub(super) const fn has(mut self, attributes: &'static [(&'static str, &'static str)]) -> Self {
        self.attributes = attributes;
        self
    }

    pub(super) const fn token(mut self) -> Self {
        self.has_token = true;
        self
    }

    pub(super) const fn outcome(mut self, outcome: &'static str) -> Self {
        self.outcome = outcome;
        self
    }

    pub(super) const fn fails(
        mut self,
        error: Option<&'static str>,
        code: Option<&'static str>,
    ) -> Self {
        self.outcome = "ABORTED(generation_error)";
        self.error = error;
        self.code = code;
        self
    }

    pub(super) const fn left_after(mut self, text: &'static str) -> Self {
        self.leaves_after = Some(text);
        self
    }

    fn bytes(&self) -> Vec<Bytes> {
        let frames = self
            .frames
            .iter()
            .map(|frame| Bytes::from_static(frame.as_bytes()));
        let events = self
            .events
            .iter()
            .map(|data| Bytes::from(format!("data: {data}\n\n")));
        frames.chain(events).collect()
    }

    /// Sends a request over a connection, and compares what span, metrics and log show.
    pub(super) async fn run(&self) {
        let request = post("/v1/chat/completions", REQUEST);
        let answer = Answer {
            content_type: self.content_type,
            frames: self.bytes(),
            stays_open: self.leaves_after.is_some(),
        };
        let shown = exchange(answer, &request, self.leaves_after).await;
        let name = self.name;
        let span = &shown.span;
        assert_eq!(span.outcome(), self.outcome, "{name}: {span:#?}");
        assert_eq!(span.error().as_deref(), self.error, "{name}");
        assert_eq!(
            span.attribute("api.error.code").as_deref(),
            self.code,
            "{name}"
        );
        let expected: BTreeMap<_, _> = self.attributes.iter().copied().collect();
        let read = shown.attributes();
        let read: BTreeMap<_, _> = read.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(read, expected, "{name}");
        let has_token = span.value(FIRST_TOKEN).is_some();
        assert_eq!(has_token, self.has_token, "{name}: a first token");
        shown.assert_signals_agree(name);
    }
}

/// Runs each case in turn.
pub(super) async fn run_all(cases: &[Case]) {
    for case in cases {
        case.run().await;
    }
}

impl Shown {
    /// Returns the attributes of the answer, without the prefix.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let answer = ["gen_ai.response.", "gen_ai.usage."];
        let all = self.span.0.attributes.iter().filter(|kv| {
            let key = kv.key.as_str();
            answer.iter().any(|prefix| key.starts_with(prefix)) && key != FIRST_TOKEN
        });
        let named = all.map(|kv| {
            let key = kv.key.as_str().trim_start_matches("gen_ai.");
            (key.to_owned(), kv.value.to_string())
        });
        named.collect()
    }

    pub(super) fn series(&self, metric: &str) -> Vec<&Series> {
        let all = self.metrics.iter();
        all.filter(|series| series.metric == metric).collect()
    }

    /// The metrics have the span's error and its first token, and each error is logged.
    fn assert_signals_agree(&self, name: &str) {
        let error = self.span.attribute("error.type");
        let all = [
            ("http.server.request.duration", true),
            (
                "gen_ai.server.request.duration",
                self.span.value("gen_ai.operation.name").is_some(),
            ),
        ];
        for (metric, is_measured) in all {
            let series = self.series(metric);
            assert_eq!(series.len(), usize::from(is_measured), "{name}: {metric}");
            for one in series {
                assert_eq!(one.attribute("error.type"), error, "{name}: {metric}");
            }
        }
        let tokens = self.series("gen_ai.server.time_to_first_token");
        let has_token = self.span.value(FIRST_TOKEN).is_some();
        // The conventions measure it for successful responses alone.
        let is_measured =
            has_token && error.is_none() && self.span.value("gen_ai.operation.name").is_some();
        assert_eq!(
            !tokens.is_empty(),
            is_measured,
            "{name}: the time of the first token"
        );
        assert_eq!(
            !self.logs.is_empty(),
            self.span.is_error(),
            "{name}: {:?}",
            self.logs
        );
    }
}

/// What the server answers.
#[derive(Clone)]
pub(super) struct Answer {
    /// Empty for none.
    pub(super) content_type: &'static str,
    pub(super) frames: Vec<Bytes>,
    /// More may follow the frames, and never comes.
    pub(super) stays_open: bool,
}

impl Answer {
    fn response(self) -> Response<Body> {
        let frames = stream::iter(self.frames).then(|frame| async {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(frame)
        });
        let body = if self.stays_open {
            Body::from_stream(frames.chain(stream::pending()))
        } else {
            Body::from_stream(frames)
        };
        let mut response = Response::builder();
        if !self.content_type.is_empty() {
            response = response.header(CONTENT_TYPE, self.content_type);
        }
        response.body(body).expect("a response")
    }
}

/// Returns the bytes of a request on a connection of its own.
pub(super) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
}

/// Sends a request over a connection, and reads the response, or reads up to a text in it.
pub(super) async fn exchange(answer: Answer, request: &str, leaves_after: Option<&str>) -> Shown {
    let recorder = Recorder::new();
    let meters = Meters::new();
    let logs = InMemoryLogExporter::default();
    let logger = SdkLoggerProvider::builder()
        .with_simple_exporter(logs.clone())
        .build();
    let layer = ApiSpanLayer::llm()
        .tracer_provider(&recorder.provider)
        .propagator(w3c());
    let layer = meters.on(layer).logger_provider(&logger);
    let address = serve(layer, answer).await;
    send(address, request, leaves_after).await;
    recorder.all_ended().await;
    let logs = logs.get_emitted_logs().expect("logs");
    Shown {
        span: recorder.only(),
        metrics: meters.read(),
        logs: logs
            .iter()
            .map(|log| log.record.event_name().expect("a name"))
            .collect(),
    }
}

pub(super) async fn serve(layer: ApiSpanLayer, answer: Answer) -> SocketAddr {
    let app = Router::new()
        .fallback(async move |_: Bytes| answer.clone().response())
        .layer(RequestBodyLayer::new())
        .layer(layer);
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, app).into_future());
    address
}

/// Sends the request, and reads until the connection closes or a text was read.
pub(super) async fn send(address: SocketAddr, request: &str, until: Option<&str>) {
    let mut socket = TcpStream::connect(address).await.expect("a connection");
    socket
        .write_all(request.as_bytes())
        .await
        .expect("a request");
    let mut bytes = Vec::new();
    while socket.read_buf(&mut bytes).await.expect("a response") > 0 {
        let text = String::from_utf8_lossy(&bytes);
        if until.is_some_and(|until| text.contains(until)) {
            return;
        }
    }
    assert!(bytes.starts_with(b"HTTP/1.1 200"), "a response");
    assert_eq!(until, None, "the text was not sent");
}
