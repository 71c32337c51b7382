//! Over HTTP/1.1 and HTTP/2, where the same must come out.

use http::Method;

use super::{
    Asks, CLIENT_DISCONNECT, CLIENT_ERROR, DEPARTED, ERROR, EXCEPTION, GENERATION_ERROR,
    NO_TERMINAL_EVENT, PANIC, Scenario, TO_THE_END, TO_THE_TOKENS, UNSET, VALIDATION_ERROR,
};
use crate::app::SERVICE_ERROR;
use crate::client::Behaviour::{LeavesAfter, LeavesBeforeTheHead};
use crate::client::End::{CutOff, Left, Whole};
use crate::client::Seen;
use crate::http_api::{ANSWER, STREAM_BYTES, TOKENS_BYTES};

pub(super) fn scenarios() -> Vec<Scenario> {
    let streamed = Seen::http(200, STREAM_BYTES, Whole);
    let answered = Seen::http(200, ANSWER.len(), Whole).with_length(ANSWER.len());
    let empty = |status| Seen::http(status, 0, Whole).with_length(0);
    vec![
        get("success, streaming", "/success/streaming")
            .sees(streamed)
            .says(DEPARTED, UNSET)
            .covers(TO_THE_END)
            .drawn(),
        get("success, whole", "/success/whole")
            .sees(answered)
            .says(DEPARTED, UNSET)
            .covers(TO_THE_TOKENS)
            .drawn(),
        request("HEAD", Method::HEAD, "/success/whole")
            .sees(Seen::http(200, 0, Whole).with_length(ANSWER.len()))
            .says(DEPARTED, UNSET)
            .covers(TO_THE_TOKENS),
        get("Content-Length", "/content-length")
            .sees(streamed.with_length(STREAM_BYTES))
            .says(DEPARTED, UNSET)
            .covers(TO_THE_END),
        get("error told, streaming", "/told/streaming")
            .sees(streamed)
            .says(GENERATION_ERROR, ERROR)
            .covers(TO_THE_END)
            .drawn(),
        get("error told, whole", "/told/whole")
            .sees(answered)
            .says("ABORTED(content_filter)", ERROR)
            .covers(TO_THE_TOKENS)
            .drawn(),
        get("cancelled, streaming", "/cancelled/streaming")
            .client(LeavesAfter(TOKENS_BYTES))
            .sees(Seen::http(200, TOKENS_BYTES, Left))
            .says(CLIENT_DISCONNECT, ERROR)
            .covers(TO_THE_TOKENS)
            .drawn(),
        get("cancelled, whole", "/cancelled/whole")
            .client(LeavesBeforeTheHead)
            .sees(Seen::nothing(Left))
            .says(CLIENT_DISCONNECT, ERROR)
            .covers(TO_THE_TOKENS)
            .drawn(),
        get("closed by middleware, streaming", "/closed/streaming")
            .sees(Seen::http(304, 0, Whole))
            .knows(Some("200"))
            .says("ABORTED(generator_exit)", ERROR)
            .drawn(),
        get("invalid request: 400", "/invalid/whole")
            .sees(empty(400))
            .says(VALIDATION_ERROR, UNSET)
            .drawn(),
        get("invalid request: 404", "/nowhere")
            .sees(empty(404))
            .says(CLIENT_ERROR, UNSET),
        get("exception, streaming", "/exception/streaming")
            .sees(Seen::http(200, TOKENS_BYTES, CutOff))
            .says(EXCEPTION, ERROR)
            .covers(TO_THE_END)
            .drawn(),
        get("exception, whole: 500", "/exception/whole")
            .sees(empty(500))
            .says(EXCEPTION, ERROR)
            .covers(TO_THE_TOKENS)
            .drawn(),
        get("exception, whole: service error", SERVICE_ERROR)
            .sees(Seen::nothing(CutOff))
            .says(EXCEPTION, ERROR),
        get("uncaught panic, streaming", "/uncaught/streaming")
            .sees(Seen::http(200, TOKENS_BYTES, CutOff))
            .says(PANIC, ERROR)
            .covers(TO_THE_END)
            .drawn(),
        get("uncaught panic, whole", "/uncaught/whole")
            .sees(Seen::nothing(CutOff))
            .says(PANIC, ERROR)
            .covers(TO_THE_TOKENS)
            .drawn(),
        get("telemetry fails, streaming", "/telemetry/streaming")
            .sees(streamed)
            .says(NO_TERMINAL_EVENT, UNSET)
            .covers(TO_THE_END)
            .drawn(),
        get("telemetry fails, whole", "/telemetry/whole")
            .sees(answered)
            .says(NO_TERMINAL_EVENT, UNSET)
            .covers(TO_THE_TOKENS)
            .drawn(),
    ]
}

fn get(name: &'static str, path: &'static str) -> Scenario {
    request(name, Method::GET, path)
}

fn request(name: &'static str, method: Method, path: &'static str) -> Scenario {
    Scenario::new(name, Asks::Http { method, path })
}
