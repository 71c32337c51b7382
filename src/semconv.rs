//! Attribute keys, event names, scope name and schema URL. Imports no other file of the crate.
//!
//! Names follow the OpenTelemetry semantic conventions 1.45.0, the release in which the `rpc.*` names
//! used here became stable. The crate `opentelemetry-semantic-conventions` 0.33 is generated from an
//! older release and lacks them. The names below that begin with `api.` are this crate's own.

use opentelemetry::InstrumentationScope;

/// The name of the instrumentation scope.
pub(crate) const SCOPE_NAME: &str = env!("CARGO_PKG_NAME");
/// The version of the instrumentation scope.
pub(crate) const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");
/// The schema of the conventions' release.
pub(crate) const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.45.0";

/// Returns the instrumentation scope of spans, metrics and logs.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(SCOPE_NAME)
        .with_version(SCOPE_VERSION)
        .with_schema_url(SCHEMA_URL)
        .build()
}

pub(crate) const CLIENT_ADDRESS: &str = "client.address";
pub(crate) const CLIENT_PORT: &str = "client.port";
pub(crate) const ERROR_TYPE: &str = "error.type";
pub(crate) const EXCEPTION_MESSAGE: &str = "exception.message";
pub(crate) const EXCEPTION_TYPE: &str = "exception.type";
pub(crate) const HTTP_REQUEST_BODY_SIZE: &str = "http.request.body.size";
/// Followed by a dot and the name of a header.
pub(crate) const HTTP_REQUEST_HEADER: &str = "http.request.header";
pub(crate) const HTTP_REQUEST_METHOD: &str = "http.request.method";
pub(crate) const HTTP_REQUEST_METHOD_ORIGINAL: &str = "http.request.method_original";
pub(crate) const HTTP_RESPONSE_BODY_SIZE: &str = "http.response.body.size";
/// Followed by a dot and the name of a header.
pub(crate) const HTTP_RESPONSE_HEADER: &str = "http.response.header";
pub(crate) const HTTP_RESPONSE_STATUS_CODE: &str = "http.response.status_code";
pub(crate) const HTTP_ROUTE: &str = "http.route";
pub(crate) const NETWORK_LOCAL_ADDRESS: &str = "network.local.address";
pub(crate) const NETWORK_LOCAL_PORT: &str = "network.local.port";
pub(crate) const NETWORK_PEER_ADDRESS: &str = "network.peer.address";
pub(crate) const NETWORK_PEER_PORT: &str = "network.peer.port";
pub(crate) const NETWORK_PROTOCOL_VERSION: &str = "network.protocol.version";
pub(crate) const RPC_METHOD: &str = "rpc.method";
pub(crate) const RPC_METHOD_ORIGINAL: &str = "rpc.method_original";
/// Followed by a dot and the name of a metadata entry.
pub(crate) const RPC_REQUEST_HEADER: &str = "rpc.request.header";
/// Followed by a dot and the name of a metadata entry sent before the response.
pub(crate) const RPC_RESPONSE_HEADER: &str = "rpc.response.header";
/// Followed by a dot and the name of a metadata entry sent after the response.
pub(crate) const RPC_RESPONSE_TRAILER: &str = "rpc.response.trailer";
pub(crate) const RPC_STATUS_CODE: &str = "rpc.status_code";
pub(crate) const RPC_SYSTEM_NAME: &str = "rpc.system.name";
pub(crate) const SERVER_ADDRESS: &str = "server.address";
pub(crate) const SERVER_PORT: &str = "server.port";
pub(crate) const URL_PATH: &str = "url.path";
pub(crate) const URL_QUERY: &str = "url.query";
pub(crate) const URL_SCHEME: &str = "url.scheme";
pub(crate) const USER_AGENT_ORIGINAL: &str = "user_agent.original";

pub(crate) const GEN_AI_OPERATION_NAME: &str = "gen_ai.operation.name";
pub(crate) const GEN_AI_OUTPUT_TYPE: &str = "gen_ai.output.type";
pub(crate) const GEN_AI_PROVIDER_NAME: &str = "gen_ai.provider.name";
pub(crate) const GEN_AI_REQUEST_MAX_TOKENS: &str = "gen_ai.request.max_tokens";
pub(crate) const GEN_AI_REQUEST_MODEL: &str = "gen_ai.request.model";
pub(crate) const GEN_AI_REQUEST_STREAM: &str = "gen_ai.request.stream";
pub(crate) const GEN_AI_REQUEST_TEMPERATURE: &str = "gen_ai.request.temperature";
pub(crate) const GEN_AI_RESPONSE_FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
pub(crate) const GEN_AI_RESPONSE_ID: &str = "gen_ai.response.id";
pub(crate) const GEN_AI_RESPONSE_MODEL: &str = "gen_ai.response.model";
/// Seconds (f64) from the arrival to the frame with the first token, which was returned to the server. The
/// conventions measure it at the client, from its request to its first chunk.
pub(crate) const GEN_AI_RESPONSE_TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
pub(crate) const GEN_AI_USAGE_CACHE_CREATION_INPUT_TOKENS: &str =
    "gen_ai.usage.cache_creation.input_tokens";
pub(crate) const GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS: &str =
    "gen_ai.usage.cache_read.input_tokens";
pub(crate) const GEN_AI_USAGE_INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
pub(crate) const GEN_AI_USAGE_OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
pub(crate) const GEN_AI_USAGE_REASONING_OUTPUT_TOKENS: &str =
    "gen_ai.usage.reasoning.output_tokens";
/// The request's id, from a header. The conventions have no such key. LLM servers use this one.
pub(crate) const GEN_AI_REQUEST_ID: &str = "gen_ai.request.id";

/// `"DEPARTED"` or `"ABORTED"`.
pub(crate) const API_OUTCOME: &str = "api.outcome";
/// The reason of the terminal event `api.ABORTED`.
pub(crate) const API_ABORT_REASON: &str = "api.abort.reason";
/// The code (string) of a failure that was read in the response.
pub(crate) const API_ERROR_CODE: &str = "api.error.code";
/// Seconds (f64) from the arrival to the head of the response.
pub(crate) const API_TIME_TO_HEAD: &str = "api.time_to_head";
/// Seconds (f64) from the arrival to the first non-empty data frame.
pub(crate) const API_TIME_TO_FIRST_BYTE: &str = "api.time_to_first_byte";

/// Seconds (f64) that the request waited before it arrived, by what a proxy or the application says.
pub(crate) const API_QUEUE_TIME: &str = "api.queue_time";

/// Boolean, true: the response is a stream, and the settings mark streams.
pub(crate) const API_STREAM: &str = "api.stream";

/// The number (int) of attributes of the operator and the handler that were dropped.
pub(crate) const API_DROPPED_ATTRIBUTES: &str = "api.dropped_attributes";
/// The number (int) of the handler's events that were dropped.
pub(crate) const API_DROPPED_EVENTS: &str = "api.dropped_events";
/// The number (int) of the handler's links that were dropped.
pub(crate) const API_DROPPED_LINKS: &str = "api.dropped_links";

/// An error that the handler recorded. Carries [`EXCEPTION_MESSAGE`].
pub(crate) const EVENT_EXCEPTION: &str = "exception";
/// The first event of every span.
pub(crate) const EVENT_ARRIVED: &str = "api.ARRIVED";
/// The handler passed the request to the engine.
pub(crate) const EVENT_HANDOFF_TO_CORE: &str = "api.HANDOFF_TO_CORE";
/// The first token, or the first non-empty data frame of another response, is about to be returned to the server.
pub(crate) const EVENT_FIRST_RESPONSE_FROM_CORE: &str = "api.FIRST_RESPONSE_FROM_CORE";
/// Terminal event: the whole message was returned, and neither its status nor the handler reported a failure.
pub(crate) const EVENT_DEPARTED: &str = "api.DEPARTED";
/// Terminal event of every other request. Carries [`EVENT_REASON`] and, if there is a message, [`EVENT_ERROR`].
pub(crate) const EVENT_ABORTED: &str = "api.ABORTED";
/// Whether an event's name is one of the five that only the layer writes.
pub(crate) fn is_lifecycle_event(name: &str) -> bool {
    matches!(
        name,
        EVENT_ARRIVED
            | EVENT_HANDOFF_TO_CORE
            | EVENT_FIRST_RESPONSE_FROM_CORE
            | EVENT_DEPARTED
            | EVENT_ABORTED
    )
}
/// Attribute of [`EVENT_ABORTED`]: the reason.
pub(crate) const EVENT_REASON: &str = "reason";
/// Attribute of [`EVENT_ABORTED`]: the message, if there is one.
pub(crate) const EVENT_ERROR: &str = "error";
/// Attribute of [`EVENT_ABORTED`]: the code of a failure in the response, if there is one.
pub(crate) const EVENT_CODE: &str = "code";

/// Log event of HTTP: the request ended with an exception.
pub(crate) const EVENT_HTTP_EXCEPTION: &str = "http.server.request.exception";
/// Log event of gRPC: the call ended with an exception.
pub(crate) const EVENT_RPC_EXCEPTION: &str = "rpc.server.call.exception";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_are_lifecycle_events() {
        for name in [
            EVENT_ARRIVED,
            EVENT_HANDOFF_TO_CORE,
            EVENT_FIRST_RESPONSE_FROM_CORE,
        ] {
            assert!(is_lifecycle_event(name), "{name}");
        }
        assert!(is_lifecycle_event(EVENT_DEPARTED) && is_lifecycle_event(EVENT_ABORTED));
        for name in [
            "",
            "api.",
            "api.cache",
            "api.arrived",
            "api.ARRIVED.late",
            "ARRIVED",
        ] {
            assert!(!is_lifecycle_event(name), "{name}");
        }
    }
}
