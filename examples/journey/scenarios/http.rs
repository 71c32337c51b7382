//! The scenarios over HTTP/1.1 and HTTP/2, with the same expected results.

use http::Method;

use super::{
    CLIENT_DISCONNECT, CLIENT_ERROR, DEPARTED, ERROR, EXCEPTION, GENERATION_ERROR,
    NO_TERMINAL_EVENT, PANIC, Scenario, TO_THE_END, TO_THE_TOKENS, Target, UNSET, VALIDATION_ERROR,
};
use crate::app::SERVICE_ERROR;
use crate::client::Behaviour::{DisconnectsAfter, DisconnectsBeforeHead};
use crate::client::End::{Complete, CutOff, Disconnected};
use crate::client::Seen;
use crate::http_api::{ANSWER, CHAT_BYTES, STREAM_BYTES, TOKENS_BYTES};

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = answered();
    scenarios.extend(stopped_early());
    scenarios.extend(failed());
    scenarios
}

/// The response is complete. The handler may report an error.
fn answered() -> Vec<Scenario> {
    let streamed = Seen::http(200, STREAM_BYTES, Complete);
    let answered = Seen::http(200, ANSWER.len(), Complete).with_length(ANSWER.len());
    vec![
        get("success, streaming", "/success/streaming")
            .client_sees(streamed)
            .span_has(DEPARTED, UNSET)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("success, buffered", "/success/buffered")
            .client_sees(answered)
            .span_has(DEPARTED, UNSET)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        request("HEAD", Method::HEAD, "/success/buffered")
            .client_sees(Seen::http(200, 0, Complete).with_length(ANSWER.len()))
            .span_has(DEPARTED, UNSET)
            .span_lasts(TO_THE_TOKENS),
        get("streaming with Content-Length", "/content-length")
            .client_sees(streamed.with_length(STREAM_BYTES))
            .span_has(DEPARTED, UNSET)
            .span_lasts(TO_THE_END),
        get(
            "handler reports an error, streaming",
            "/handler-error/streaming",
        )
        .client_sees(streamed)
        .span_has(GENERATION_ERROR, ERROR)
        .span_lasts(TO_THE_END)
        .drawn(),
        get(
            "handler reports an error, buffered",
            "/handler-error/buffered",
        )
        .client_sees(answered)
        .span_has("ABORTED(content_filter)", ERROR)
        .span_lasts(TO_THE_TOKENS)
        .drawn(),
    ]
}

/// The response's body is dropped, or stops before its end.
fn stopped_early() -> Vec<Scenario> {
    vec![
        get("client disconnects, streaming", "/cancelled/streaming")
            .client(DisconnectsAfter(TOKENS_BYTES))
            .client_sees(Seen::http(200, TOKENS_BYTES, Disconnected))
            .span_has(CLIENT_DISCONNECT, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("client disconnects, buffered", "/cancelled/buffered")
            .client(DisconnectsBeforeHead)
            .client_sees(Seen::no_response(Disconnected))
            .span_has(CLIENT_DISCONNECT, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("stream stops before its end", "/truncated/streaming")
            .client_sees(Seen::http(200, CHAT_BYTES, Complete))
            .span_has("ABORTED(truncated_stream)", ERROR)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("middleware drops the body, streaming", "/closed/streaming")
            .client_sees(Seen::http(304, 0, Complete))
            .span_code(Some("200"))
            .span_has("ABORTED(generator_exit)", ERROR)
            .drawn(),
    ]
}

/// The request is refused, or the server fails.
fn failed() -> Vec<Scenario> {
    let streamed = Seen::http(200, STREAM_BYTES, Complete);
    let answered = Seen::http(200, ANSWER.len(), Complete).with_length(ANSWER.len());
    let empty = |status| Seen::http(status, 0, Complete).with_length(0);
    vec![
        get("invalid request: 400", "/invalid/buffered")
            .client_sees(empty(400))
            .span_has(VALIDATION_ERROR, UNSET)
            .drawn(),
        get("unknown path: 404", "/unknown")
            .client_sees(empty(404))
            .span_has(CLIENT_ERROR, UNSET),
        get("body fails, streaming", "/exception/streaming")
            .client_sees(Seen::http(200, TOKENS_BYTES, CutOff))
            .span_has(EXCEPTION, ERROR)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("server error, buffered: 500", "/exception/buffered")
            .client_sees(empty(500))
            .span_has(EXCEPTION, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("service fails without a response", SERVICE_ERROR)
            .client_sees(Seen::no_response(CutOff))
            .span_has(EXCEPTION, ERROR),
        get("handler panics, streaming", "/uncaught/streaming")
            .client_sees(Seen::http(200, TOKENS_BYTES, CutOff))
            .span_has(PANIC, ERROR)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("handler panics, buffered", "/uncaught/buffered")
            .client_sees(Seen::no_response(CutOff))
            .span_has(PANIC, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get(
            "telemetry callback panics, streaming",
            "/tracing-panic/streaming",
        )
        .client_sees(streamed)
        .span_has(NO_TERMINAL_EVENT, UNSET)
        .span_lasts(TO_THE_END)
        .drawn(),
        get(
            "telemetry callback panics, buffered",
            "/tracing-panic/buffered",
        )
        .client_sees(answered)
        .span_has(NO_TERMINAL_EVENT, UNSET)
        .span_lasts(TO_THE_TOKENS)
        .drawn(),
    ]
}

fn get(name: &'static str, path: &'static str) -> Scenario {
    request(name, Method::GET, path)
}

fn request(name: &'static str, method: Method, path: &'static str) -> Scenario {
    Scenario::new(name, Target::Http { method, path })
}
