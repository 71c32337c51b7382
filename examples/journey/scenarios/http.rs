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
use crate::http_api::{ANSWER, STREAM_BYTES, TOKENS_BYTES};

pub(super) fn scenarios() -> Vec<Scenario> {
    let streamed = Seen::http(200, STREAM_BYTES, Complete);
    let answered = Seen::http(200, ANSWER.len(), Complete).with_length(ANSWER.len());
    let empty = |status| Seen::http(status, 0, Complete).with_length(0);
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
            "handler reported an error, streaming",
            "/handler-error/streaming",
        )
        .client_sees(streamed)
        .span_has(GENERATION_ERROR, ERROR)
        .span_lasts(TO_THE_END)
        .drawn(),
        get(
            "handler reported an error, buffered",
            "/handler-error/buffered",
        )
        .client_sees(answered)
        .span_has("ABORTED(content_filter)", ERROR)
        .span_lasts(TO_THE_TOKENS)
        .drawn(),
        get("cancelled, streaming", "/cancelled/streaming")
            .client(DisconnectsAfter(TOKENS_BYTES))
            .client_sees(Seen::http(200, TOKENS_BYTES, Disconnected))
            .span_has(CLIENT_DISCONNECT, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("cancelled, buffered", "/cancelled/buffered")
            .client(DisconnectsBeforeHead)
            .client_sees(Seen::no_response(Disconnected))
            .span_has(CLIENT_DISCONNECT, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("closed by middleware, streaming", "/closed/streaming")
            .client_sees(Seen::http(304, 0, Complete))
            .span_code(Some("200"))
            .span_has("ABORTED(generator_exit)", ERROR)
            .drawn(),
        get("invalid request: 400", "/invalid/buffered")
            .client_sees(empty(400))
            .span_has(VALIDATION_ERROR, UNSET)
            .drawn(),
        get("unknown path: 404", "/unknown")
            .client_sees(empty(404))
            .span_has(CLIENT_ERROR, UNSET),
        get("exception, streaming", "/exception/streaming")
            .client_sees(Seen::http(200, TOKENS_BYTES, CutOff))
            .span_has(EXCEPTION, ERROR)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("exception, buffered: 500", "/exception/buffered")
            .client_sees(empty(500))
            .span_has(EXCEPTION, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("exception: service error", SERVICE_ERROR)
            .client_sees(Seen::no_response(CutOff))
            .span_has(EXCEPTION, ERROR),
        get("uncaught panic, streaming", "/uncaught/streaming")
            .client_sees(Seen::http(200, TOKENS_BYTES, CutOff))
            .span_has(PANIC, ERROR)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("uncaught panic, buffered", "/uncaught/buffered")
            .client_sees(Seen::no_response(CutOff))
            .span_has(PANIC, ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        get("tracing code panics, streaming", "/tracing-panic/streaming")
            .client_sees(streamed)
            .span_has(NO_TERMINAL_EVENT, UNSET)
            .span_lasts(TO_THE_END)
            .drawn(),
        get("tracing code panics, buffered", "/tracing-panic/buffered")
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
