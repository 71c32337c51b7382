//! The calls: what the client does, what it gets, and what the span says.

use futures_util::future::BoxFuture;
use tonic::Code;

use super::caller::Caller;
use crate::matrix::got::Got;

pub struct Call {
    pub name: &'static str,
    pub method: &'static str,
    pub run: Run,
    pub got: Got,
    pub outcome: &'static str,
    /// `rpc.status_code`
    pub code: Option<&'static str>,
    /// `error.type`, with which the span's status is Error.
    pub error: Option<&'static str>,
}

type Run = Box<dyn FnOnce(Caller) -> BoxFuture<'static, Got> + Send>;

fn run<F>(run: impl FnOnce(Caller) -> F + Send + 'static) -> Run
where
    F: Future<Output = Got> + Send + 'static,
{
    Box::new(|caller| Box::pin(run(caller)))
}

const UNARY: &str = "matrix.Talk/Unary";
const SERVER: &str = "matrix.Talk/ServerStreaming";
const CLIENT: &str = "matrix.Talk/ClientStreaming";
const BOTH: &str = "matrix.Talk/Bidirectional";
const CHECK: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";
const NO_METHOD: &str = "matrix.Talk/Nothing";
const NO_SERVICE: &str = "matrix.Nowhere/Nothing";

const DEPARTED: &str = "DEPARTED";
const LEFT: &str = "ABORTED(client_disconnect)";
const INVALID: &str = "ABORTED(validation_error)";
const REFUSED: &str = "ABORTED(client_error)";
const FAILED: &str = "ABORTED(exception)";
const LATE: &str = "ABORTED(deadline_exceeded)";
const PANIC: &str = "ABORTED(panic)";

/// So many messages, and then this code.
fn got(messages: usize, code: Code) -> Got {
    Got::Grpc { messages, code }
}

/// The client left, before there was an answer or in its middle.
const LEFT_EARLY: Got = Got::Left { status: None };
const LEFT_MIDWAY: Got = Got::Left { status: Some(200) };

#[rustfmt::skip]
pub fn all() -> Vec<Call> {
    let call = |name, method, run, got, outcome, code, error| {
        Call { name, method, run, got, outcome, code, error }
    };
    let ok = Some("OK");
    let cancelled = Some("CANCELLED");
    vec![
        call("unary", UNARY, run(|c| c.unary(UNARY, "ok")), got(1, Code::Ok), DEPARTED, ok, None),
        call("server streaming", SERVER, run(|c| c.server_streaming("ok")), got(3, Code::Ok), DEPARTED, ok, None),
        call("server streaming, nothing", SERVER, run(|c| c.server_streaming("nothing")), got(0, Code::Ok), DEPARTED, ok, None),
        call("client streaming", CLIENT, run(|c| c.client_streaming(&["one", "two"])), got(1, Code::Ok), DEPARTED, ok, None),
        call("bidirectional", BOTH, run(Caller::bidirectional), got(3, Code::Ok), DEPARTED, ok, None),
        call("health check", CHECK, run(|c| c.check_health("")), got(1, Code::Ok), DEPARTED, ok, None),

        // An error before the first message is nothing but a head.
        call("unary, refused", UNARY, run(|c| c.unary(UNARY, "refuse")), got(0, Code::InvalidArgument), INVALID, Some("INVALID_ARGUMENT"), None),
        call("server streaming, refused", SERVER, run(|c| c.server_streaming("refuse")), got(0, Code::InvalidArgument), INVALID, Some("INVALID_ARGUMENT"), None),
        call("client streaming, refused", CLIENT, run(|c| c.client_streaming(&["ref", "use"])), got(0, Code::InvalidArgument), INVALID, Some("INVALID_ARGUMENT"), None),
        call("refused by an interceptor", UNARY, run(Caller::refused), got(0, Code::Unauthenticated), REFUSED, Some("UNAUTHENTICATED"), None),
        call("health check, unknown", CHECK, run(|c| c.check_health("nobody")), got(0, Code::NotFound), REFUSED, Some("NOT_FOUND"), None),
        call("no such method", NO_METHOD, run(|c| c.unary(NO_METHOD, "ok")), got(0, Code::Unimplemented), FAILED, Some("UNIMPLEMENTED"), Some("UNIMPLEMENTED")),
        call("no such service", NO_SERVICE, run(|c| c.unary(NO_SERVICE, "ok")), got(0, Code::Unimplemented), FAILED, Some("UNIMPLEMENTED"), Some("UNIMPLEMENTED")),
        // In a stream it is in the trailers.
        call("fails at once", SERVER, run(|c| c.server_streaming("fail at once")), got(0, Code::Aborted), REFUSED, Some("ABORTED"), None),
        call("fails midway", SERVER, run(|c| c.server_streaming("fail midway")), got(1, Code::Internal), FAILED, Some("INTERNAL"), Some("INTERNAL")),

        call("handler panics", UNARY, run(|c| c.unary(UNARY, "panic")), got(0, Code::Cancelled), PANIC, None, Some("panic")),
        call("handler panics, streaming", SERVER, run(|c| c.server_streaming("panic")), got(0, Code::Cancelled), PANIC, None, Some("panic")),
        call("panics midway", SERVER, run(|c| c.server_streaming("panic midway")), got(1, Code::Cancelled), PANIC, None, Some("panic")),

        call("left before the answer", UNARY, run(Caller::leave_before_the_answer), LEFT_EARLY, LEFT, cancelled, None),
        call("left while asking", CLIENT, run(Caller::leave_while_asking), LEFT_EARLY, LEFT, cancelled, None),
        call("left midway", SERVER, run(Caller::leave_midway), LEFT_MIDWAY, LEFT, cancelled, None),
        call("left a health watch", WATCH, run(Caller::watch_health), LEFT_MIDWAY, LEFT, cancelled, None),
        call("bidirectional, answers dropped", BOTH, run(Caller::stop_listening), LEFT_MIDWAY, LEFT, cancelled, None),

        // tonic's server answers CANCELLED, outside of the layer.
        call("too late for the answer", UNARY, run(Caller::too_late), got(0, Code::Cancelled), LATE, Some("DEADLINE_EXCEEDED"), Some("DEADLINE_EXCEEDED")),
        call("too late midway", SERVER, run(Caller::too_late_midway), LEFT_MIDWAY, LATE, Some("DEADLINE_EXCEEDED"), Some("DEADLINE_EXCEEDED")),

        call("the server stops", SERVER, run(Caller::see_it_stop), got(2, Code::Ok), DEPARTED, ok, None),
    ]
}
