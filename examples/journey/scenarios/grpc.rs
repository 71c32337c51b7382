//! Over gRPC, where a call ends with a status of its own.

use std::time::Duration;

use tower_api_span::GrpcCode;

use super::{
    Asks, CLIENT_DISCONNECT, CLIENT_ERROR, DEPARTED, ERROR, EXCEPTION, GENERATION_ERROR,
    NO_TERMINAL_EVENT, PANIC, Scenario, TO_THE_END, TO_THE_TOKENS, UNSET, VALIDATION_ERROR,
};
use crate::client::Behaviour::{LeavesAfter, LeavesBeforeTheHead};
use crate::client::Method::{self, Check, Watch};
use crate::client::{Call, Seen};
use crate::engine::TOKENS;

const MESSAGES: usize = TOKENS as usize;
/// More than the tokens take, less than the engine hangs for.
const DEADLINE: Duration = Duration::from_millis(25);

pub(super) fn scenarios() -> Vec<Scenario> {
    let streamed = Seen::grpc(MESSAGES, Some(GrpcCode::OK));
    let answered = Seen::grpc(1, Some(GrpcCode::OK));
    let refused = |code| Seen::grpc(0, Some(code));
    vec![
        call("success, streaming", Watch, "success")
            .sees(streamed)
            .says(DEPARTED, UNSET)
            .covers(TO_THE_END)
            .drawn(),
        call("success, unary", Check, "success")
            .sees(answered)
            .says(DEPARTED, UNSET)
            .covers(TO_THE_TOKENS),
        call("error told, streaming", Watch, "told")
            .sees(streamed)
            .says(GENERATION_ERROR, ERROR)
            .covers(TO_THE_END),
        call("error told, unary", Check, "told")
            .sees(answered)
            .says(GENERATION_ERROR, ERROR)
            .covers(TO_THE_TOKENS),
        call("cancelled, streaming", Watch, "cancelled")
            .client(LeavesAfter(MESSAGES))
            .sees(Seen::grpc(MESSAGES, None))
            .knows(Some("CANCELLED"))
            .says(CLIENT_DISCONNECT, UNSET)
            .covers(TO_THE_TOKENS)
            .drawn(),
        call("cancelled, unary", Check, "cancelled")
            .client(LeavesBeforeTheHead)
            .sees(Seen::grpc(0, None))
            .knows(Some("CANCELLED"))
            .says(CLIENT_DISCONNECT, UNSET)
            .covers(TO_THE_TOKENS),
        // The server answers in the call's stead, with a status that the layer does not see.
        with_deadline("deadline passed, unary", Check, "cancelled")
            .sees(refused(GrpcCode::CANCELLED))
            .knows(Some("DEADLINE_EXCEEDED"))
            .says("ABORTED(deadline_exceeded)", ERROR)
            .covers(TO_THE_TOKENS)
            .drawn(),
        call("invalid argument, unary", Check, "")
            .sees(refused(GrpcCode::INVALID_ARGUMENT))
            .says(VALIDATION_ERROR, UNSET),
        call("no such service, unary", Check, "unheard-of")
            .sees(refused(GrpcCode::NOT_FOUND))
            .says(CLIENT_ERROR, UNSET),
        elsewhere("no such method, unary", Check, "success")
            .sees(refused(GrpcCode::UNIMPLEMENTED))
            .says(EXCEPTION, ERROR),
        call("exception, streaming", Watch, "exception")
            .sees(Seen::grpc(MESSAGES, Some(GrpcCode::UNAVAILABLE)))
            .says(EXCEPTION, ERROR)
            .covers(TO_THE_END)
            .drawn(),
        call("exception, unary", Check, "exception")
            .sees(refused(GrpcCode::UNAVAILABLE))
            .says(EXCEPTION, ERROR)
            .covers(TO_THE_TOKENS),
        // A stream that is reset is CANCELLED to a client of gRPC, whoever did it.
        call("uncaught panic, streaming", Watch, "uncaught")
            .sees(Seen::grpc(MESSAGES, Some(GrpcCode::CANCELLED)))
            .knows(None)
            .says(PANIC, ERROR)
            .covers(TO_THE_END),
        call("uncaught panic, unary", Check, "uncaught")
            .sees(refused(GrpcCode::CANCELLED))
            .knows(None)
            .says(PANIC, ERROR)
            .covers(TO_THE_TOKENS),
        call("telemetry fails, unary", Check, "telemetry")
            .sees(answered)
            .says(NO_TERMINAL_EVENT, UNSET)
            .covers(TO_THE_TOKENS),
    ]
}

fn call(name: &'static str, method: Method, service: &'static str) -> Scenario {
    scenario(name, method, service, "", None)
}

fn with_deadline(name: &'static str, method: Method, service: &'static str) -> Scenario {
    scenario(name, method, service, "", Some(DEADLINE))
}

fn elsewhere(name: &'static str, method: Method, service: &'static str) -> Scenario {
    scenario(name, method, service, "/elsewhere", None)
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
    Scenario::new(name, Asks::Grpc(call))
}
