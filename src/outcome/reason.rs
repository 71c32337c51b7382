//! The reasons why a response is aborted, which are the values of `api.abort.reason`.

pub(crate) const CLIENT_DISCONNECT: &str = "client_disconnect";
pub(crate) const CLIENT_ERROR: &str = "client_error";
pub(crate) const DEADLINE_EXCEEDED: &str = "deadline_exceeded";
pub(crate) const EXCEPTION: &str = "exception";
pub(crate) const GENERATION_ERROR: &str = "generation_error";
pub(crate) const GENERATOR_EXIT: &str = "generator_exit";
pub(crate) const LENGTH_MISMATCH: &str = "length_mismatch";
pub(crate) const PANIC: &str = "panic";
pub(crate) const TRUNCATED_STREAM: &str = "truncated_stream";
pub(crate) const VALIDATION_ERROR: &str = "validation_error";

/// Whether a reason means that the client disconnected before the end.
pub(crate) fn is_disconnect(reason: &str) -> bool {
    [CLIENT_DISCONNECT, GENERATOR_EXIT].contains(&reason)
}
