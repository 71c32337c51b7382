//! The calls, each with its expected client result and span attributes.

use futures_util::future::BoxFuture;
use tonic::Code;

use super::client::Client;
use crate::matrix::client_result::ClientResult;

pub struct Call {
    pub name: &'static str,
    pub method: &'static str,
    pub run: Run,
    pub result: ClientResult,
    pub outcome: &'static str,
    /// The expected `rpc.status_code`.
    pub code: Option<&'static str>,
    /// The expected `error.type`; if set, the span status is Error.
    pub error_type: Option<&'static str>,
}

type Run = Box<dyn FnOnce(Client) -> BoxFuture<'static, ClientResult> + Send>;

fn run<F>(run: impl FnOnce(Client) -> F + Send + 'static) -> Run
where
    F: Future<Output = ClientResult> + Send + 'static,
{
    Box::new(|client| Box::pin(run(client)))
}

const UNARY: &str = "matrix.Test/Unary";
const SERVER: &str = "matrix.Test/ServerStreaming";
const CLIENT: &str = "matrix.Test/ClientStreaming";
const BOTH: &str = "matrix.Test/Bidirectional";
const CHECK: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";
const NO_METHOD: &str = "matrix.Test/Unknown";
const NO_SERVICE: &str = "matrix.Unknown/Unknown";

const DEPARTED: &str = "DEPARTED";
const DISCONNECT: &str = "ABORTED(client_disconnect)";
const INVALID: &str = "ABORTED(validation_error)";
const CLIENT_ERROR: &str = "ABORTED(client_error)";
const FAILED: &str = "ABORTED(exception)";
const LATE: &str = "ABORTED(deadline_exceeded)";
const PANIC: &str = "ABORTED(panic)";

/// This many messages, and then this code.
fn finished(messages: usize, code: Code) -> ClientResult {
    ClientResult::Grpc { messages, code }
}

/// The client disconnected before the response or midway.
const DISCONNECTED_EARLY: ClientResult = ClientResult::Disconnected { status: None };
const DISCONNECTED_MIDWAY: ClientResult = ClientResult::Disconnected { status: Some(200) };

#[rustfmt::skip]
pub fn all() -> Vec<Call> {
    let call = |name, method, run, result, outcome, code, error_type| {
        Call { name, method, run, result, outcome, code, error_type }
    };
    let ok = Some("OK");
    let cancelled = Some("CANCELLED");
    vec![
        call("unary", UNARY, run(|c| c.unary(UNARY, "ok")), finished(1, Code::Ok), DEPARTED, ok, None),
        call("server streaming", SERVER, run(|c| c.server_streaming("ok")), finished(3, Code::Ok), DEPARTED, ok, None),
        call("server streaming, no messages", SERVER, run(|c| c.server_streaming("no messages")), finished(0, Code::Ok), DEPARTED, ok, None),
        call("client streaming", CLIENT, run(|c| c.client_streaming(&["one", "two"])), finished(1, Code::Ok), DEPARTED, ok, None),
        call("bidirectional", BOTH, run(Client::bidirectional), finished(3, Code::Ok), DEPARTED, ok, None),
        call("health check", CHECK, run(|c| c.check_health("")), finished(1, Code::Ok), DEPARTED, ok, None),

        // An error before the first message is a trailers-only response.
        call("unary, rejected", UNARY, run(|c| c.unary(UNARY, "reject")), finished(0, Code::InvalidArgument), INVALID, Some("INVALID_ARGUMENT"), None),
        call("server streaming, rejected", SERVER, run(|c| c.server_streaming("reject")), finished(0, Code::InvalidArgument), INVALID, Some("INVALID_ARGUMENT"), None),
        call("client streaming, rejected", CLIENT, run(|c| c.client_streaming(&["rej", "ect"])), finished(0, Code::InvalidArgument), INVALID, Some("INVALID_ARGUMENT"), None),
        call("rejected by an interceptor", UNARY, run(Client::call_rejecting_interceptor), finished(0, Code::Unauthenticated), CLIENT_ERROR, Some("UNAUTHENTICATED"), None),
        call("health check, unknown", CHECK, run(|c| c.check_health("unknown")), finished(0, Code::NotFound), CLIENT_ERROR, Some("NOT_FOUND"), None),
        call("no such method", NO_METHOD, run(|c| c.unary(NO_METHOD, "ok")), finished(0, Code::Unimplemented), FAILED, Some("UNIMPLEMENTED"), Some("UNIMPLEMENTED")),
        call("no such service", NO_SERVICE, run(|c| c.unary(NO_SERVICE, "ok")), finished(0, Code::Unimplemented), FAILED, Some("UNIMPLEMENTED"), Some("UNIMPLEMENTED")),
        // An error of a stream is in the trailers.
        call("fails at once", SERVER, run(|c| c.server_streaming("fail at once")), finished(0, Code::Aborted), CLIENT_ERROR, Some("ABORTED"), None),
        call("fails midway", SERVER, run(|c| c.server_streaming("fail midway")), finished(1, Code::Internal), FAILED, Some("INTERNAL"), Some("INTERNAL")),

        call("handler panics", UNARY, run(|c| c.unary(UNARY, "panic")), finished(0, Code::Cancelled), PANIC, None, Some("panic")),
        call("handler panics, streaming", SERVER, run(|c| c.server_streaming("panic")), finished(0, Code::Cancelled), PANIC, None, Some("panic")),
        call("panics midway", SERVER, run(|c| c.server_streaming("panic midway")), finished(1, Code::Cancelled), PANIC, None, Some("panic")),

        call("client disconnects before the response", UNARY, run(Client::disconnect_before_response), DISCONNECTED_EARLY, DISCONNECT, cancelled, None),
        call("client disconnects while sending", CLIENT, run(Client::disconnect_while_sending), DISCONNECTED_EARLY, DISCONNECT, cancelled, None),
        call("client disconnects midway", SERVER, run(Client::disconnect_after_first_message), DISCONNECTED_MIDWAY, DISCONNECT, cancelled, None),
        call("client disconnects from a health watch", WATCH, run(Client::disconnect_health_watch), DISCONNECTED_MIDWAY, DISCONNECT, cancelled, None),
        call("bidirectional, responses dropped", BOTH, run(Client::drop_responses), DISCONNECTED_MIDWAY, DISCONNECT, cancelled, None),

        // The timeout of tonic's server is outside the layer and responds with CANCELLED.
        call("deadline exceeded before the response", UNARY, run(Client::exceed_deadline), finished(0, Code::Cancelled), LATE, Some("DEADLINE_EXCEEDED"), Some("DEADLINE_EXCEEDED")),
        call("deadline exceeded midway", SERVER, run(Client::exceed_deadline_midway), DISCONNECTED_MIDWAY, LATE, Some("DEADLINE_EXCEEDED"), Some("DEADLINE_EXCEEDED")),

        call("server shuts down", SERVER, run(Client::shut_down_server), finished(2, Code::Ok), DEPARTED, ok, None),
    ]
}
