//! Heads that decide whether an answer is read, and values that handlers set.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use tower::Service as _;
use tower_api_span::{ApiSpanLayer, SpanHandle};

use crate::llm::llm;
use crate::support::body::{ScriptedBody, Step};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, poll_frame, ready, response};

const CHAT: &str = r#"{"id":"c","object":"chat.completion","model":"m","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#;
const CHUNKS: &str = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":7}}\n\ndata: [DONE]\n\n";
const CUT: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const CUT_WITH_USAGE: &str = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}],\"usage\":{\"prompt_tokens\":5}}\n\n";
const LINES: &str =
    "{\"model\":\"m\",\"message\":{\"content\":\"Hi\"},\"done\":false}\n{\"done\":true}\n";
const FAILED: &str = r#"{"error":{"message":"no capacity","code":"capacity"}}"#;
const FAILED_EVENT: &str =
    "data: {\"error\":{\"message\":\"no capacity\",\"code\":\"capacity\"}}\n\n";

/// An answer, and how its body is taken.
struct Head {
    status: u16,
    headers: Vec<(HeaderName, &'static str)>,
    text: &'static str,
    /// Polls before the body is dropped.
    polls: usize,
}

impl Head {
    fn new(content_type: &'static str, text: &'static str) -> Self {
        Self {
            status: 200,
            headers: vec![(CONTENT_TYPE, content_type)],
            text,
            polls: 2,
        }
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Serves the answer in a frame and returns its span.
    fn serve(&self, layer: fn(&Recorder) -> ApiSpanLayer, handler: fn(&SpanHandle)) -> Seen {
        let recorder = Recorder::new();
        let text = Bytes::from_static(self.text.as_bytes());
        let body = ScriptedBody::new([Step::Slice(0, text.len())]).reading(text);
        let mut answer = response(self.status, body);
        for (name, value) in &self.headers {
            let value = HeaderValue::from_static(value);
            answer.headers_mut().insert(name, value);
        }
        let mut answer = Some(answer);
        let mut service = answering(&layer(&recorder), |request| {
            handler(&handle_of(&request));
            answer.take().expect("one request")
        });
        let answer = ready(service.call(get())).expect("a response");
        let mut body = answer.into_body();
        for _ in 0..self.polls {
            let _ = poll_frame(&mut body);
        }
        drop(body);
        recorder.only()
    }

    fn serve_preset(&self) -> Seen {
        self.serve(llm, |_| {})
    }
}

fn model(span: &Seen) -> Option<String> {
    span.attribute("gen_ai.response.model")
}

#[test]
fn the_content_type_decides_how_an_answer_is_read() {
    for (content_type, text, is_read) in [
        ("text/event-stream", CHUNKS, true),
        ("Text/Event-Stream;charset=UTF-8", CHUNKS, true),
        ("text/event-streams", CHUNKS, false),
        ("text/plain", CHUNKS, false),
        // What a body begins with decides if it is no JSON, or has an object in each line.
        ("application/json", CHUNKS, true),
        ("application/json", CHAT, true),
        ("APPLICATION/JSON ; charset=utf-8", CHAT, true),
        ("application/problem+json", CHAT, false),
        ("text/json", CHAT, false),
        ("text/event-stream", CHAT, false),
        ("application/x-ndjson", LINES, true),
        ("application/x-ndjson; charset=utf-8", LINES, true),
        ("application/jsonl", LINES, true),
        ("application/stream+json", LINES, true),
        ("application/json", LINES, true),
        ("application/json-seq", LINES, false),
    ] {
        let span = Head::new(content_type, text).serve_preset();
        let expected = is_read.then(|| "m".to_owned());
        assert_eq!(model(&span), expected, "{content_type}: {text}");
        // An event stream without an event is cut.
        let is_cut = content_type == "text/event-stream" && !is_read;
        let outcome = if is_cut {
            "ABORTED(truncated_stream)"
        } else {
            "DEPARTED"
        };
        assert_eq!(span.outcome(), outcome, "{content_type}: {text}");
    }
}

#[test]
fn an_answer_with_a_content_encoding_is_not_read() {
    for (content_type, text) in [
        ("text/event-stream", CHUNKS),
        ("text/event-stream", CUT),
        ("text/event-stream", FAILED_EVENT),
        ("application/json", CHAT),
        ("application/json", FAILED),
        ("application/x-ndjson", LINES),
    ] {
        for encoding in ["gzip", "br", "zstd", "identity, gzip"] {
            let head = Head::new(content_type, text).with(CONTENT_ENCODING, encoding);
            let span = head.serve_preset();
            assert_eq!(span.outcome(), "DEPARTED", "{encoding}: {text}");
            assert_eq!(model(&span), None, "{encoding}: {text}");
        }
        let head = Head::new(content_type, text);
        let expected = head.serve_preset().outcome();
        let span = head.with(CONTENT_ENCODING, "identity").serve_preset();
        assert_eq!(span.outcome(), expected, "{text}");
    }
}

#[test]
fn an_answer_with_an_error_status_is_not_read() {
    for (status, outcome) in [
        (400, "ABORTED(validation_error)"),
        (404, "ABORTED(client_error)"),
        (429, "ABORTED(client_error)"),
        (500, "ABORTED(exception)"),
        (503, "ABORTED(exception)"),
    ] {
        for (content_type, text) in [
            ("application/json", FAILED),
            ("application/json", CHAT),
            ("text/event-stream", CUT),
        ] {
            let mut head = Head::new(content_type, text);
            head.status = status;
            let span = head.serve_preset();
            assert_eq!(span.outcome(), outcome, "{status}: {text}");
            assert_eq!(model(&span), None, "{status}: {text}");
        }
    }
    for status in [201, 202, 302] {
        let mut head = Head::new("application/json", FAILED);
        head.status = status;
        let span = head.serve_preset();
        assert_eq!(span.outcome(), "ABORTED(generation_error)", "{status}");
    }
}

#[test]
fn a_stream_that_is_short_of_its_length_is_a_mismatch_and_not_truncated() {
    let head = Head::new("text/event-stream", CUT).with(CONTENT_LENGTH, "1000");
    assert_eq!(head.serve_preset().outcome(), "ABORTED(length_mismatch)");
}

#[test]
fn a_client_that_leaves_keeps_what_was_read() {
    let mut head = Head::new("text/event-stream", CUT_WITH_USAGE);
    head.polls = 1;
    let span = head.serve_preset();
    assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
    assert_eq!(model(&span).as_deref(), Some("m"));
    let input = span.attribute("gen_ai.usage.input_tokens");
    assert_eq!(input.as_deref(), Some("5"));
}

#[test]
fn a_stream_whose_length_is_delivered_is_truncated_or_complete_when_it_is_dropped() {
    for (text, outcome) in [
        (CUT, "ABORTED(truncated_stream)"),
        (CHUNKS, "DEPARTED"),
        (FAILED_EVENT, "ABORTED(generation_error)"),
    ] {
        let length: &'static str = Box::leak(text.len().to_string().into_boxed_str());
        let mut head = Head::new("text/event-stream", text).with(CONTENT_LENGTH, length);
        // Servers drop the body once the declared length is sent.
        head.polls = 1;
        assert_eq!(head.serve_preset().outcome(), outcome, "{text}");
    }
}

#[test]
fn a_whole_answer_of_a_known_length_is_read_when_it_is_dropped() {
    for (text, outcome) in [(CHAT, "DEPARTED"), (FAILED, "ABORTED(generation_error)")] {
        let length: &'static str = Box::leak(text.len().to_string().into_boxed_str());
        let mut head = Head::new("application/json", text).with(CONTENT_LENGTH, length);
        head.polls = 1;
        let span = head.serve_preset();
        assert_eq!(span.outcome(), outcome, "{text}");
        assert_eq!(model(&span).is_some(), text == CHAT, "{text}");
    }
}

/// The JSON of a whole answer can be over before its body is. The last line of a stream is over with its line end.
#[test]
fn an_answer_that_is_dropped_counts_as_far_as_it_was_complete() {
    let stream = FAILED_EVENT.trim_end();
    for (content_type, text, outcome, has_model) in [
        ("application/json", CHAT, "ABORTED(client_disconnect)", true),
        (
            "application/json",
            FAILED,
            "ABORTED(generation_error)",
            false,
        ),
        (
            "text/event-stream",
            FAILED_EVENT,
            "ABORTED(generation_error)",
            false,
        ),
        (
            "text/event-stream",
            stream,
            "ABORTED(client_disconnect)",
            false,
        ),
    ] {
        let mut head = Head::new(content_type, text);
        head.polls = 1;
        let span = head.serve_preset();
        assert_eq!(span.outcome(), outcome, "{text}");
        assert_eq!(model(&span).is_some(), has_model, "{text}");
    }
}

#[test]
fn values_of_the_handler_win() {
    let handler = |span: &SpanHandle| {
        span.gen_ai()
            .response_model("handler's")
            .output_tokens(1)
            .provider_name("groq");
    };
    for (content_type, text) in [("text/event-stream", CHUNKS), ("application/json", CHAT)] {
        let span = Head::new(content_type, text).serve(llm, handler);
        for (key, expected) in [
            ("gen_ai.response.model", "handler's"),
            ("gen_ai.usage.output_tokens", "1"),
            ("gen_ai.provider.name", "groq"),
            ("gen_ai.usage.input_tokens", "5"),
            ("gen_ai.response.id", "c"),
            ("gen_ai.operation.name", "chat"),
        ] {
            assert_eq!(
                span.attribute(key).as_deref(),
                Some(expected),
                "{key}: {text}"
            );
        }
    }
}

#[test]
fn a_verdict_of_the_handler_wins_over_a_failure_and_over_truncation() {
    for text in [CUT, FAILED_EVENT, CHUNKS] {
        let head = Head::new("text/event-stream", text);
        let span = head.serve(llm, |span| span.mark_aborted("quota", "used up"));
        assert_eq!(span.outcome(), "ABORTED(quota)", "{text}");
        assert_eq!(span.error().as_deref(), Some("used up"), "{text}");
    }
}

#[test]
fn a_truncated_stream_is_an_error_of_its_own_type() {
    let span = Head::new("text/event-stream", CUT).serve_preset();
    assert!(span.is_error());
    let error_type = span.attribute("error.type");
    assert_eq!(error_type.as_deref(), Some("truncated_stream"));
    assert_eq!(span.error(), None);
}

#[test]
fn a_failure_in_band_is_an_error_of_its_own_type() {
    for (content_type, text) in [
        ("text/event-stream", FAILED_EVENT),
        ("application/json", FAILED),
    ] {
        let span = Head::new(content_type, text).serve_preset();
        assert!(span.is_error(), "{text}");
        let error_type = span.attribute("error.type");
        assert_eq!(error_type.as_deref(), Some("generation_error"), "{text}");
    }
}

#[test]
fn without_the_preset_nothing_is_read() {
    for (content_type, text) in [
        ("text/event-stream", CHUNKS),
        ("text/event-stream", CUT),
        ("text/event-stream", FAILED_EVENT),
        ("text/event-stream", ""),
        ("application/json", CHAT),
        ("application/json", FAILED),
        ("application/x-ndjson", LINES),
    ] {
        let span = Head::new(content_type, text).serve(Recorder::layer, |_| {});
        assert_eq!(span.outcome(), "DEPARTED", "{text}");
        let keys = span.0.attributes.iter().map(|kv| kv.key.as_str());
        let read: Vec<_> = keys.filter(|key| key.starts_with("gen_ai.")).collect();
        assert!(read.is_empty(), "{read:?} from {text}");
    }
}
