//! Formats, failures and attributes that are turned off, and ends that the application sets.

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tower::Service as _;
use tower_api_span::{ApiSpanLayer, LlmFormat};

use crate::llm::llm;
use crate::support::body::{ScriptedBody, Step};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, poll_frame, ready, response};

/// Formats, each with a stream that has an end and one that lacks it.
const STREAMS: [(LlmFormat, &str, &str, &str); 6] = [
    (
        LlmFormat::ChatCompletions,
        "text/event-stream",
        "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n",
    ),
    (
        LlmFormat::Completions,
        "text/event-stream",
        "data: {\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"Hi\",\"finish_reason\":\"stop\"}]}\n\n",
        "data: {\"object\":\"text_completion\",\"choices\":[{\"index\":0,\"text\":\"Hi\"}]}\n\n",
    ),
    (
        LlmFormat::Responses,
        "text/event-stream",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n",
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\"}}\n\n",
    ),
    (
        LlmFormat::Messages,
        "text/event-stream",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n",
    ),
    (
        LlmFormat::Gemini,
        "text/event-stream",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}]}\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Hi\"}]}}]}\n\n",
    ),
    (
        LlmFormat::Ollama,
        "application/x-ndjson",
        "{\"model\":\"m\",\"response\":\"\",\"done\":true}\n",
        "{\"model\":\"m\",\"response\":\"Hi\",\"done\":false}\n",
    ),
];
const FAILED_EVENT: &str = "data: {\"error\":{\"message\":\"no\"}}\n\n";
const FAILED_RESPONSE: &str =
    "data: {\"type\":\"response.failed\",\"response\":{\"error\":{\"message\":\"no\"}}}\n\n";

/// Serves a stream in one frame, polls the body so often, and drops it.
pub(super) fn serve(
    recorder: &Recorder,
    layer: &ApiSpanLayer,
    content_type: &'static str,
    text: &'static str,
    polls: usize,
) -> Seen {
    let text = Bytes::from_static(text.as_bytes());
    let steps = [Step::Slice(0, text.len())];
    let mut answer = response(200, ScriptedBody::new(steps).reading(text));
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    let mut answer = Some(answer);
    let mut service = answering(layer, |_| answer.take().expect("one request"));
    let answer = ready(service.call(get())).expect("a response");
    let mut body = answer.into_body();
    for _ in 0..polls {
        let _ = poll_frame(&mut body);
    }
    drop(body);
    let span = recorder.only();
    recorder.forget();
    span
}

/// Returns the attributes that come from answers.
fn read(span: &Seen) -> Vec<&str> {
    let keys = span.0.attributes.iter().map(|kv| kv.key.as_str());
    keys.filter(|key| key.starts_with("gen_ai.") && !key.ends_with("time_to_first_chunk"))
        .collect()
}

#[test]
fn a_format_that_is_not_listed_is_not_recognised() {
    let recorder = &Recorder::new();
    for (format, content_type, whole, cut) in STREAMS {
        for listed in LlmFormat::ALL {
            let layer = llm(recorder).llm_formats([listed]);
            let case = format!("{format:?} where {listed:?} is listed");
            let span = serve(recorder, &layer, content_type, whole, 2);
            assert_eq!(span.outcome(), "DEPARTED", "{case}");
            assert_eq!(read(&span).is_empty(), format != listed, "{case}");
            let span = serve(recorder, &layer, content_type, cut, 2);
            let is_cut = format == listed && format != LlmFormat::Gemini;
            let expected = if is_cut {
                "ABORTED(truncated_stream)"
            } else {
                "DEPARTED"
            };
            assert_eq!(span.outcome(), expected, "{case}");
        }
    }
}

#[test]
fn an_end_counts_only_in_a_format_that_is_listed() {
    let recorder = &Recorder::new();
    for (format, content_type, whole, _) in STREAMS {
        let has_end = !matches!(
            format,
            LlmFormat::ChatCompletions | LlmFormat::Completions | LlmFormat::Gemini
        );
        for listed in LlmFormat::ALL {
            let layer = llm(recorder).llm_formats([listed]);
            let span = serve(recorder, &layer, content_type, whole, 1);
            let expected = if has_end && format == listed {
                "DEPARTED"
            } else {
                "ABORTED(client_disconnect)"
            };
            let case = format!("{format:?} where {listed:?} is listed");
            assert_eq!(span.outcome(), expected, "{case}");
        }
    }
}

#[test]
fn a_terminator_by_name_whose_json_is_cut_is_no_end() {
    let recorder = &Recorder::new();
    let layer = llm(recorder).stream_terminator_event("message_stop");
    for (text, expected) in [
        (
            "event: message_stop\ndata: {\"type\":",
            "ABORTED(truncated_stream)",
        ),
        ("event: message_stop\ndata: {}", "DEPARTED"),
        ("event: message_stop\ndata: over", "DEPARTED"),
        ("event: message_stop\ndata: {over", "DEPARTED"),
    ] {
        let span = serve(recorder, &layer, "text/event-stream", text, 2);
        assert_eq!(span.outcome(), expected, "{text}");
    }
}

#[test]
fn a_field_line_that_says_nothing_is_no_event() {
    let recorder = &Recorder::new();
    for text in ["error: {", "error: {}\n\n", ": error\n"] {
        let span = serve(recorder, &llm(recorder), "text/event-stream", text, 2);
        assert_eq!(span.outcome(), "ABORTED(truncated_stream)", "{text}");
    }
}

#[test]
fn a_failed_response_reports_its_outermost_error_whatever_is_listed() {
    const TEXT: &str = "data: {\"type\":\"response.failed\",\"error\":{\"message\":\"no\"}}\n\n";
    let recorder = &Recorder::new();
    for layer in [llm(recorder), llm(recorder).llm_formats([])] {
        let span = serve(recorder, &layer, "text/event-stream", TEXT, 2);
        assert_eq!(span.outcome(), "ABORTED(generation_error)");
        assert_eq!(span.error().as_deref(), Some("no"));
    }
}

#[test]
fn the_error_of_a_failed_response_comes_before_one_beside_it_whatever_is_listed() {
    const FAILED: &str = "data: {\"type\":\"response.failed\",\"error\":{\"message\":\"beside\"},\
        \"response\":{\"error\":{\"message\":\"of it\"}}}\n\n";
    const TYPED: &str = "data: {\"type\":\"error\",\"error\":{\"message\":\"beside\"},\
        \"response\":{\"error\":{\"message\":\"of it\"}}}\n\n";
    const NAMED: &str = "event: error\ndata: {\"error\":{\"message\":\"beside\"},\
        \"response\":{\"error\":{\"message\":\"of it\"}}}\n\n";
    let recorder = &Recorder::new();
    for layer in [llm(recorder), llm(recorder).llm_formats([])] {
        for (text, expected) in [(FAILED, "of it"), (TYPED, "beside"), (NAMED, "beside")] {
            let span = serve(recorder, &layer, "text/event-stream", text, 2);
            assert_eq!(span.outcome(), "ABORTED(generation_error)", "{text}");
            assert_eq!(span.error().as_deref(), Some(expected), "{text}");
        }
    }
}

#[test]
fn without_formats_only_terminators_and_errors_are_read() {
    let recorder = &Recorder::new();
    let layer = llm(recorder).llm_formats([]);
    for (text, expected) in [
        ("", "DEPARTED"),
        (": hi\n\n", "DEPARTED"),
        (STREAMS[0].3, "DEPARTED"),
        (FAILED_EVENT, "ABORTED(generation_error)"),
        (FAILED_RESPONSE, "DEPARTED"),
    ] {
        let span = serve(recorder, &layer, "text/event-stream", text, 2);
        assert_eq!(span.outcome(), expected, "{text}");
        assert_eq!(read(&span), [""; 0], "{text}");
    }
    let (content_type, text) = ("application/x-ndjson", "{\"error\":\"no\"}\n");
    let span = serve(recorder, &layer, content_type, text, 2);
    assert_eq!(span.outcome(), "ABORTED(generation_error)");
}

#[test]
fn attributes_can_be_turned_off() {
    let recorder = &Recorder::new();
    let layer = llm(recorder).gen_ai_attributes(false);
    for (format, content_type, whole, cut) in STREAMS {
        let span = serve(recorder, &layer, content_type, whole, 2);
        assert_eq!(span.outcome(), "DEPARTED", "{format:?}");
        assert_eq!(read(&span), [""; 0], "{format:?}");
        let span = serve(recorder, &layer, content_type, cut, 2);
        let is_cut = span.outcome() == "ABORTED(truncated_stream)";
        assert_eq!(is_cut, format != LlmFormat::Gemini, "{format:?}");
    }
}

#[test]
fn failures_can_be_turned_off() {
    let recorder = &Recorder::new();
    let layer = llm(recorder).stream_errors(false);
    for (content_type, text) in [
        ("text/event-stream", FAILED_EVENT),
        ("text/event-stream", FAILED_RESPONSE),
        (
            "text/event-stream",
            "error: {\"message\":\"no\"}\ndata: x\n\n",
        ),
        ("application/json", "{\"error\":{\"message\":\"no\"}}"),
        ("application/x-ndjson", "{\"error\":\"no\"}\n"),
    ] {
        let span = serve(recorder, &layer, content_type, text, 2);
        assert_eq!(span.outcome(), "DEPARTED", "{text}");
        assert_eq!(span.attribute("api.error.code"), None, "{text}");
    }
    for (format, content_type, _, cut) in STREAMS {
        let span = serve(recorder, &layer, content_type, cut, 2);
        let is_cut = span.outcome() == "ABORTED(truncated_stream)";
        assert_eq!(is_cut, format != LlmFormat::Gemini, "{format:?}");
    }
    // An end whose JSON is cut is none.
    let cut = "event: response.failed\ndata: {";
    let span = serve(recorder, &layer, "text/event-stream", cut, 2);
    assert_eq!(span.outcome(), "ABORTED(truncated_stream)");
}

/// Servers send it alone.
#[test]
fn a_field_line_behind_data_of_its_event_is_no_failure() {
    let recorder = &Recorder::new();
    let layer = llm(recorder);
    for (text, outcome) in [
        ("error: no\ndata: x\n\n", "ABORTED(generation_error)"),
        ("data: x\n\nerror: no\n", "ABORTED(generation_error)"),
        ("data: x\nerror: no\n\n", "DEPARTED"),
        ("data: {}\nerror: no\n\n", "DEPARTED"),
        ("data\nerror: no\n\n", "ABORTED(truncated_stream)"),
    ] {
        let span = serve(recorder, &layer, "text/event-stream", text, 2);
        assert_eq!(span.outcome(), outcome, "{text:?}");
    }
}

/// As under the name `error`.
#[test]
fn a_text_under_the_name_of_a_failure_is_its_message() {
    let recorder = &Recorder::new();
    for text in [
        "event: error\ndata: out of\ndata: memory\n\n",
        "data: {\"type\":\"response.created\"}\n\n\
         event: response.failed\ndata: out of\ndata: memory\n\n",
    ] {
        let span = serve(recorder, &llm(recorder), "text/event-stream", text, 2);
        assert_eq!(span.outcome(), "ABORTED(generation_error)", "{text}");
        assert_eq!(span.error().as_deref(), Some("out of\nmemory"), "{text}");
    }
}

#[test]
fn an_application_sets_its_own_ends() {
    let recorder = &Recorder::new();
    let by_name = llm(recorder).stream_terminator_event("done");
    let by_data = llm(recorder).stream_terminator("[END]");
    for (case, layer, text, is_end) in [
        (
            "a name before data",
            &by_name,
            "event: done\ndata: {}\n",
            true,
        ),
        (
            "a name behind data",
            &by_name,
            "data: {}\nevent: done\n\n",
            true,
        ),
        ("a name without data", &by_name, "event: done\n\n", true),
        (
            "a name whose event is open",
            &by_name,
            "event: done\n",
            false,
        ),
        (
            "a longer name",
            &by_name,
            "event: done!\ndata: {}\n\n",
            false,
        ),
        ("a name as data", &by_name, "data: done\n\n", false),
        ("data", &by_data, "data: [END]\n", true),
        ("other data", &by_data, "data: [ENDE]\n\n", false),
        ("data as a name", &by_data, "event: [END]\n\n", false),
    ] {
        let span = serve(recorder, layer, "text/event-stream", text, 1);
        let expected = if is_end {
            "DEPARTED"
        } else {
            "ABORTED(client_disconnect)"
        };
        assert_eq!(span.outcome(), expected, "{case}");
    }
}
