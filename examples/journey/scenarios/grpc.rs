//! The scenarios over gRPC.

use std::time::Duration;

use tower_api_span::GrpcCode;

use super::{
    CLIENT_DISCONNECT, CLIENT_ERROR, DEPARTED, ERROR, EXCEPTION, GENERATION_ERROR,
    NO_TERMINAL_EVENT, PANIC, Scenario, TO_THE_END, TO_THE_TOKENS, Target, UNSET, VALIDATION_ERROR,
};
use crate::client::Behaviour::{DisconnectsAfter, DisconnectsBeforeHead};
use crate::client::Method::{self, Check, Watch};
use crate::client::{Call, Seen};
use crate::engine::TOKENS;

const MESSAGES: usize = TOKENS as usize;
/// Longer than the tokens take, shorter than the engine hangs.
const DEADLINE: Duration = Duration::from_millis(25);

pub(super) fn scenarios() -> Vec<Scenario> {
    let streamed = Seen::grpc(MESSAGES, Some(GrpcCode::OK));
    let answered = Seen::grpc(1, Some(GrpcCode::OK));
    let refused = |code| Seen::grpc(0, Some(code));
    vec![
        call("success, streaming", Watch, "success")
            .client_sees(streamed)
            .span_has(DEPARTED, UNSET)
            .span_lasts(TO_THE_END)
            .drawn(),
        call("success, unary", Check, "success")
            .client_sees(answered)
            .span_has(DEPARTED, UNSET)
            .span_lasts(TO_THE_TOKENS),
        call(
            "handler reports an error, streaming",
            Watch,
            "handler-error",
        )
        .client_sees(streamed)
        .span_has(GENERATION_ERROR, ERROR)
        .span_lasts(TO_THE_END),
        call("handler reports an error, unary", Check, "handler-error")
            .client_sees(answered)
            .span_has(GENERATION_ERROR, ERROR)
            .span_lasts(TO_THE_TOKENS),
        call("client cancels, streaming", Watch, "cancelled")
            .client(DisconnectsAfter(MESSAGES))
            .client_sees(Seen::grpc(MESSAGES, None))
            .span_code(Some("CANCELLED"))
            .span_has(CLIENT_DISCONNECT, UNSET)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        call("client cancels, unary", Check, "cancelled")
            .client(DisconnectsBeforeHead)
            .client_sees(Seen::grpc(0, None))
            .span_code(Some("CANCELLED"))
            .span_has(CLIENT_DISCONNECT, UNSET)
            .span_lasts(TO_THE_TOKENS),
        // The server itself answers, with a status that the layer does not see.
        with_deadline("deadline passed, unary", Check, "cancelled")
            .client_sees(refused(GrpcCode::CANCELLED))
            .span_code(Some("DEADLINE_EXCEEDED"))
            .span_has("ABORTED(deadline_exceeded)", ERROR)
            .span_lasts(TO_THE_TOKENS)
            .drawn(),
        call("invalid argument, unary", Check, "")
            .client_sees(refused(GrpcCode::INVALID_ARGUMENT))
            .span_has(VALIDATION_ERROR, UNSET),
        call("no such service, unary", Check, "unknown")
            .client_sees(refused(GrpcCode::NOT_FOUND))
            .span_has(CLIENT_ERROR, UNSET),
        unknown_method("no such method, unary", Check, "success")
            .client_sees(refused(GrpcCode::UNIMPLEMENTED))
            .span_has(EXCEPTION, ERROR),
        call("server error, streaming", Watch, "exception")
            .client_sees(Seen::grpc(MESSAGES, Some(GrpcCode::UNAVAILABLE)))
            .span_has(EXCEPTION, ERROR)
            .span_lasts(TO_THE_END)
            .drawn(),
        call("server error, unary", Check, "exception")
            .client_sees(refused(GrpcCode::UNAVAILABLE))
            .span_has(EXCEPTION, ERROR)
            .span_lasts(TO_THE_TOKENS),
        // A gRPC client reports a reset stream as CANCELLED.
        call("handler panics, streaming", Watch, "uncaught")
            .client_sees(Seen::grpc(MESSAGES, Some(GrpcCode::CANCELLED)))
            .span_code(None)
            .span_has(PANIC, ERROR)
            .span_lasts(TO_THE_END),
        call("handler panics, unary", Check, "uncaught")
            .client_sees(refused(GrpcCode::CANCELLED))
            .span_code(None)
            .span_has(PANIC, ERROR)
            .span_lasts(TO_THE_TOKENS),
        call("telemetry callback panics, unary", Check, "tracing-panic")
            .client_sees(answered)
            .span_has(NO_TERMINAL_EVENT, UNSET)
            .span_lasts(TO_THE_TOKENS),
    ]
}

fn call(name: &'static str, method: Method, service: &'static str) -> Scenario {
    scenario(name, method, service, "", None)
}

fn with_deadline(name: &'static str, method: Method, service: &'static str) -> Scenario {
    scenario(name, method, service, "", Some(DEADLINE))
}

fn unknown_method(name: &'static str, method: Method, service: &'static str) -> Scenario {
    scenario(name, method, service, "/unknown", None)
}

fn scenario(
    name: &'static str,
    method: Method,
    service: &'static str,
    prefix: &'static str,
    timeout: Option<Duration>,
) -> Scenario {
    let call = Call {
        method,
        service,
        prefix,
        timeout,
    };
    Scenario::new(name, Target::Grpc(call))
}
