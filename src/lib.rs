//! One OpenTelemetry SERVER span per request, ended exactly once, at the true end of the response.
//!
//! [`ApiSpanLayer`] wraps any `Service<http::Request<_>>`. It starts a span before the service is
//! called and hands it on with the response's body, which watches frames, trailers, errors and its
//! own drop. So the span covers the whole response, and a client that left midway is seen.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_api_span::{ApiSpanLayer, SpanHandle};
//!
//! async fn hello(span: SpanHandle) -> &'static str {
//!     span.add_event("greeted", Vec::new());
//!     "hello"
//! }
//!
//! let app: Router = Router::new().route("/", get(hello)).layer(ApiSpanLayer::new());
//! ```
//!
//! # When the span ends
//!
//! Before the thing that makes the end certain is handed on:
//!
//! | what | end |
//! |---|---|
//! | the service's error | [`End::ServiceError`] |
//! | the head of a message that can have no body: an answer to HEAD, 101, 204, 304, CONNECT 2xx | [`End::Complete`] |
//! | the head, if the body says that it is at its end | [`End::Complete`] |
//! | the frame after which the body says that it is at its end | [`End::Complete`] |
//! | the trailers | [`End::Complete`] |
//! | the frame that completes the [terminator](ApiSpanLayer::stream_terminator) of an event stream | [`End::Complete`] |
//! | the frame that completes gRPC-Web's trailers, if they tell a status | [`End::Complete`] |
//! | `None` | [`End::Complete`] |
//! | any of these three, if bytes and declared length differ | [`End::LengthMismatch`] |
//! | the body's error | [`End::BodyError`] |
//! | a panic of the service or the body, which goes on | [`End::Panicked`] |
//!
//! or else when the response is dropped: [`End::Complete`] if nothing was owed any more, with the
//! time of the last frame; [`End::Dropped`] if something was; [`End::Panicked`] if the thread is
//! unwinding. What a message owes is its Content-Length, or else the body's exact size hint; after a
//! terminator or the trailers of gRPC-Web that is not looked at any more.
//!
//! [`classify`] turns the end, the status and what the handler said into the [`Outcome`].
//!
//! # What the span says
//!
//! Events: `api.ARRIVED` first, then whatever the handler adds, `api.HANDOFF_TO_CORE` if it says so,
//! `api.FIRST_RESPONSE_FROM_CORE` with [`journey_events`](ApiSpanLayer::journey_events), then one of `api.DEPARTED` and
//! `api.ABORTED` (`reason`, and `error` where there is a message). Their times are the wall-clock
//! time of the arrival plus monotonic time, so they never run backwards.
//!
//! | attribute | type, unit | when | source | stability |
//! |---|---|---|---|---|
//! | `http.request.method` | string | HTTP; `_OTHER` if not [known](ApiSpanLayer::known_http_methods) | HTTP | stable |
//! | `http.request.method_original` | string | if that is `_OTHER` | HTTP | stable |
//! | `url.path` | string | HTTP | HTTP | stable |
//! | `url.query` | string | HTTP, if there is one; [secrets](ApiSpanLayer::sensitive_query_parameters) `REDACTED` | HTTP | stable |
//! | `url.scheme` | string | HTTP; by a [trusted proxy](ApiSpanLayer::trusted_proxies), the [setting](ApiSpanLayer::scheme), the request, else `http` | HTTP | stable |
//! | `http.route` | string | [`route_fn`](ApiSpanLayer::route_fn), `MatchedPath` (feature `axum`), or [`SpanHandle::set_route`] | HTTP | stable |
//! | `network.protocol.version` | string: `1.0`, `1.1`, `2` | HTTP | HTTP | stable |
//! | `user_agent.original` | string | HTTP, if sent | HTTP | stable |
//! | `server.address`, `server.port` | string, int | HTTP: of a trusted proxy, `:authority` or Host; gRPC: of `:authority` or Host | HTTP, gRPC | stable |
//! | `client.address` | string: an IP address | HTTP, if known: by a trusted proxy, else the peer | HTTP | stable |
//! | `client.port` | int | [`client_port`](ApiSpanLayer::client_port), if known | HTTP | stable |
//! | `network.peer.address`, `network.peer.port` | string, int | if known: [`peer_address_fn`](ApiSpanLayer::peer_address_fn), or `ConnectInfo` (feature `connect-info`) | HTTP, gRPC | stable |
//! | `network.local.address`, `network.local.port` | string, int | [`local_address_fn`](ApiSpanLayer::local_address_fn) | HTTP, gRPC | stable |
//! | `http.request.header.<name>`, `http.response.header.<name>` | string[] | HTTP, [asked](ApiSpanLayer::capture_request_headers) [for](ApiSpanLayer::capture_response_headers); [secrets](ApiSpanLayer::sensitive_headers) `REDACTED` | HTTP | stable |
//! | `http.request.body.size`, `http.response.body.size` | int, bytes | HTTP, [`body_sizes`](ApiSpanLayer::body_sizes) | HTTP | development |
//! | `http.response.status_code` | int | HTTP, if there was a head; gRPC if it is not 200, or the answer is not gRPC's | HTTP | stable |
//! | `rpc.system.name` | string: `grpc` | gRPC | gRPC | stable |
//! | `rpc.method` | string: `service/method` | gRPC; `_OTHER` if the path is none, or not [known](ApiSpanLayer::known_rpc_methods) | gRPC | stable |
//! | `rpc.method_original` | string | if that is `_OTHER` | gRPC | stable |
//! | `rpc.status_code` | string: the code's name | gRPC, if known | gRPC | stable |
//! | `rpc.request.header.<name>`, `rpc.response.header.<name>`, `rpc.response.trailer.<name>` | string[] | gRPC, asked for as headers are | gRPC | development |
//! | `error.type` | string | status Error | HTTP, gRPC | stable |
//! | `api.outcome` | string: `DEPARTED`, `ABORTED` | unless `classify` panics | this crate | |
//! | `api.abort.reason` | string | aborted | this crate | |
//! | `api.dropped_attributes`, `api.dropped_events` | int | the handler told more than is kept | this crate | |
//! | `api.stream` | boolean: true | streams, if [marked](ApiSpanLayer::stream_durations) (feature `metrics`) | this crate | |
//! | `api.time_to_head` | double, seconds | there was a head | this crate | |
//! | `api.time_to_first_byte` | double, seconds | there was a non-empty data frame | this crate | |
//! | `gen_ai.request.id` | string | [`request_id_header`](ApiSpanLayer::request_id_header), if sent | this crate | |
//! | `gen_ai.response.time_to_first_chunk` | double, seconds from the arrival | event streams, with [`journey_events`](ApiSpanLayer::journey_events) | `GenAI`, which measures it at the client | development |
//! | other `gen_ai.*` | see [`GenAi`] | the handler says so | `GenAI` | development |
//!
//! HTTP and gRPC are the semantic conventions' server spans, release 1.45.0, whose schema URL is on the
//! scope; `GenAI` is theirs for generative AI, 1.42.0. What is known at the start is given to samplers.
//! Strings from the wire are cut at 1,024 bytes, between characters; an empty one is no attribute, and
//! no key is there twice. An IPv4 address is told as one also where the socket has it as IPv6.
//!
//! The name is `{method} {route}`, or `{method}` without a route; `service/method` for gRPC, if a
//! [list](ApiSpanLayer::known_rpc_methods) has it or a gRPC server has answered and not denied it.
//!
//! A request is gRPC's if it is a POST whose content type says so. If the answer is not gRPC's, HTTP
//! says what its end means, the name is HTTP's, and `http.request.method`, `http.route`, `url.scheme` and
//! `network.protocol.version` are added. `rpc.status_code` is the code that was sent; for a
//! call that was dropped it is `CANCELLED` or `DEADLINE_EXCEEDED`, as gRPC calls that, whatever the wire
//! said. Of gRPC-Web it is read from the trailers at the end of the body, unless the layer stands inside
//! the one that translates, or the body is compressed.
//!
//! Not told, though the conventions have a name for it: `network.transport`, `http.request.size` and
//! `http.response.size` (nobody sees the framing here), bodies' contents, `user_agent.synthetic.type`.
//!
//! # What your dashboards will see
//!
//! * **One span a request, as long as its response.** A stream of ten minutes is a span of ten minutes:
//!   for latency look at `api.time_to_head` and `api.time_to_first_byte`.
//! * **Names you can group by**: `GET /users/{id}`, `GET` where there is no route (404s, services that
//!   are not axum's and say none), `HTTP` for methods nobody knows, `package.Service/Method`, `grpc` for
//!   methods that are not there, `llm_request` with [`llm`](ApiSpanLayer::llm).
//! * **Errors that are the server's.** Status Error: 5xx, gRPC's six server codes, errors and panics
//!   of the service or its body, responses that were cut short, clients that left (unless
//!   [`disconnect_is_error`](ApiSpanLayer::disconnect_is_error) or the handler says that they may).
//!   Unset: all else, every 4xx with it. Ok is never set.
//! * **Why, in one field.** `api.abort.reason`, of few values, for all that did not depart, errors or
//!   not; `error.type` for the errors: `500`, `UNAVAILABLE`, `client_disconnect`, `panic` ….
//! * **Questions**, in the words of `TraceQL`: errors without clients that left,
//!   `{ kind = server && status = error && span.api.abort.reason != "client_disconnect" && span.api.abort.reason != "generator_exit" }`; streams that
//!   broke, `{ span.http.response.status_code = 200 && span.api.outcome = "ABORTED" }`; slow heads,
//!   `{ span.api.time_to_head > 1 }`; who is turned away, `{ span.api.abort.reason = "client_error" }`.
//! * **Addresses of clients** are personal data in many places: `client.address` and
//!   `network.peer.address` are there where the layer knows them.
//!
//! # Metrics
//!
//! With feature `metrics`, from the same end and the same figures as the span: a request that is sampled
//! out is measured, too, and one that is [filtered](ApiSpanLayer::filter) out is not. They switch on and
//! off apart: `NoopTracerProvider` is for no spans,
//! [`meter_provider`](ApiSpanLayer::meter_provider)`(&NoopMeterProvider::new())` for no metrics. What the
//! handler says to its handle counts for both.
//!
//! | metric | instrument, unit | of | attributes | when | source | stability |
//! |---|---|---|---|---|---|---|
//! | `http.server.request.duration` | histogram, s | HTTP | A | always | HTTP | stable |
//! | `rpc.server.call.duration` | histogram, s | gRPC | B | always | gRPC | stable |
//! | `http.server.active_requests` | up-down counter, {request} | all | `http.request.method`, `url.scheme` | [`active_requests`](ApiSpanLayer::active_requests) | HTTP | development |
//! | `http.server.request.body.size`, `http.server.response.body.size` | histogram, By | HTTP | A | [`body_sizes`](ApiSpanLayer::body_sizes), where known | HTTP | development |
//! | `api.server.time_to_head`, `api.server.time_to_first_byte` | histogram, s | all that had one | A, B | [`response_times`](ApiSpanLayer::response_times) | this crate | |
//! | `gen_ai.server.request.duration` | histogram, s | language models | C | [`gen_ai_metrics`](ApiSpanLayer::gen_ai_metrics), [`operation_name`](GenAi::operation_name) told | `GenAI` | development |
//! | `gen_ai.server.time_to_first_token` | histogram, s | …event streams that departed | C | …and a first byte | `GenAI` | development |
//! | `gen_ai.server.time_per_output_token` | histogram, s | …event streams that departed | C | …and two [tokens](GenAi::output_tokens) or more told | `GenAI` | development |
//!
//! * **A**: `http.request.method`, `url.scheme`, and where they are known `http.response.status_code`,
//!   `http.route`, `network.protocol.version`; `error.type` of an error, the span's.
//! * **B**: `rpc.system.name`, `rpc.method`, `rpc.status_code` where it is known, `error.type`.
//! * **C**: `gen_ai.operation.name`, `gen_ai.provider.name` (`_OTHER` if not told), `error.type`; of a
//!   response below 400 `gen_ai.request.model` and `gen_ai.response.model`, if told.
//!
//! Buckets of durations are the conventions'. A client makes no more series than its method, scheme and
//! version make: methods that nobody knows are `_OTHER`; a scheme that is neither the
//! [setting's](ApiSpanLayer::scheme) nor a [trusted proxy's](ApiSpanLayer::trusted_proxies) is `https` or
//! else `http`; a gRPC method is told if it is [known](ApiSpanLayer::known_rpc_methods) or, without a
//! list, if the server has answered with OK or a message, and is else `_OTHER`; there is no
//! `server.address`. Routes and models are as few as the application makes them.
//!
//! Long streams need not spoil latency objectives: look at the time to the head or the first byte, or
//! have streams [marked or left out](ApiSpanLayer::stream_durations). Whether a client's leaving is an
//! error is [one setting](ApiSpanLayer::disconnect_is_error) for span and metric.
//!
//! # Log events
//!
//! With feature `logs` and a [`logger_provider`](ApiSpanLayer::logger_provider), with the span's context or,
//! without a span, with that of the caller, if there is one:
//!
//! | event | severity | when | attributes |
//! |---|---|---|---|
//! | `http.server.request.exception`, `rpc.server.call.exception` | ERROR | an error of the service or the body, a panic, a mismatch of lengths, a gRPC caller that left after its deadline, or the handler's verdict, if it is an error | `exception.type` (the error's Rust type, else the reason), `exception.message` |
//! | the same | DEBUG | the client has left | the same |
//! | `api.ARRIVED` …, as on the span | INFO | [`lifecycle_events`](ApiSpanLayer::lifecycle_events) | as on the span |
//!
//! They are emitted when the request is over, with the times at which things were; before the span ends.
//!
//! # Settings
//!
//! | setting | default |
//! |---|---|
//! | [`tracer_provider`](ApiSpanLayer::tracer_provider) | the global one, whenever it is set |
//! | [`propagator`](ApiSpanLayer::propagator) | the global one |
//! | **callers** | |
//! | [`filter`](ApiSpanLayer::filter) | all requests are traced |
//! | [`sample_rate`](ApiSpanLayer::sample_rate) | 1: the SDK's sampler decides |
//! | [`public_endpoint`](ApiSpanLayer::public_endpoint), [`public_endpoint_fn`](ApiSpanLayer::public_endpoint_fn) | callers are believed |
//! | [`propagate_to_inner`](ApiSpanLayer::propagate_to_inner) | false |
//! | [`traceresponse`](ApiSpanLayer::traceresponse), [`server_timing`](ApiSpanLayer::server_timing), [`expose_trace_headers`](ApiSpanLayer::expose_trace_headers) | false: callers are told no trace |
//! | **names** | |
//! | [`span_name`](ApiSpanLayer::span_name), [`span_name_fn`](ApiSpanLayer::span_name_fn) | by the conventions; with [`llm`](ApiSpanLayer::llm) `llm_request` |
//! | [`route_fn`](ApiSpanLayer::route_fn) | `MatchedPath` with feature `axum`, else none |
//! | [`known_http_methods`](ApiSpanLayer::known_http_methods) | of `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, else the ten standard ones |
//! | [`known_rpc_methods`](ApiSpanLayer::known_rpc_methods) | all paths of the form `/service/method` |
//! | **addresses** | |
//! | [`trusted_proxies`](ApiSpanLayer::trusted_proxies) | 0: no `Forwarded`, no `X-Forwarded-*` |
//! | [`proxy_headers`](ApiSpanLayer::proxy_headers) | either, if they agree |
//! | [`scheme`](ApiSpanLayer::scheme) | what the request says, else `http` |
//! | [`peer_address_fn`](ApiSpanLayer::peer_address_fn) | `ConnectInfo` with feature `connect-info`, else unknown |
//! | [`local_address_fn`](ApiSpanLayer::local_address_fn) | unknown |
//! | [`client_port`](ApiSpanLayer::client_port) | false |
//! | **attributes** | |
//! | [`capture_request_headers`](ApiSpanLayer::capture_request_headers), [`capture_response_headers`](ApiSpanLayer::capture_response_headers) | none |
//! | [`sensitive_headers`](ApiSpanLayer::sensitive_headers) | eight with credentials |
//! | [`sensitive_query_parameters`](ApiSpanLayer::sensitive_query_parameters) | the conventions' seven |
//! | [`body_sizes`](ApiSpanLayer::body_sizes) | false |
//! | [`request_attributes`](ApiSpanLayer::request_attributes), [`response_attributes`](ApiSpanLayer::response_attributes) | none |
//! | **outcomes** | |
//! | [`classify`](ApiSpanLayer::classify) | [`classify()`] |
//! | [`disconnect_is_error`](ApiSpanLayer::disconnect_is_error) | true |
//! | [`lifecycle_events`](ApiSpanLayer::lifecycle_events) | on the span |
//! | [`logger_provider`](ApiSpanLayer::logger_provider) (feature `logs`) | none |
//! | **metrics** (feature `metrics`) | |
//! | [`meter_provider`](ApiSpanLayer::meter_provider) | the global one, whenever it is set |
//! | [`active_requests`](ApiSpanLayer::active_requests), [`response_times`](ApiSpanLayer::response_times) | false |
//! | [`stream_durations`](ApiSpanLayer::stream_durations), [`stream_content_types`](ApiSpanLayer::stream_content_types) | included; five types |
//! | [`gen_ai_metrics`](ApiSpanLayer::gen_ai_metrics) | false; with `llm` true |
//! | **language models** | |
//! | [`request_id_header`](ApiSpanLayer::request_id_header) | none; with `llm` `x-request-id` |
//! | [`stream_terminator`](ApiSpanLayer::stream_terminator) | none; with `llm` `[DONE]` |
//! | [`stream_errors`](ApiSpanLayer::stream_errors) | false; with `llm` true |
//! | [`journey_events`](ApiSpanLayer::journey_events) | false; with `llm` true |
//!
//! Functions among them are called while a request waits: they should be quick. One that panics has
//! said nothing.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | `http.route` from `MatchedPath`, `url.path` with the prefixes of nested routers, and [`SpanHandle`] as an extractor |
//! | `logs` | [`ApiSpanLayer::logger_provider`] |
//! | `metrics` | [`ApiSpanLayer::meter_provider`], and metrics by the global one |
//! | `connect-info` | `network.peer.*` and `client.address` from axum's `ConnectInfo<SocketAddr>`, with axum's own feature `tokio` |
//!
//! # What can go wrong
//!
//! Nothing that telemetry does fails a request: panics of tracers, processors, hooks and iterators
//! are contained, which needs `panic = "unwind"`. Where they happen at the end of a span, it is
//! ended without a terminal event.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod catch_panic;
mod exchange;
mod handle;
mod layer;
mod middleware;
mod outcome;
mod propagation;
mod protocol;
mod provider;
mod recording;
mod semconv;
mod settings;
mod telemetry;
mod text;

pub use handle::SpanHandle;
pub use handle::gen_ai::GenAi;
pub use layer::ApiSpanLayer;
pub use middleware::body::ResponseBody;
pub use middleware::future::ResponseFuture;
pub use middleware::request_body::{CountRequestBody, CountRequestBodyLayer, CountedBody};
pub use middleware::service::ApiSpan;
pub use outcome::lifecycle::LifecycleEvents;
pub use outcome::{Aborted, End, Head, Outcome, Stage, Verdict, classify};
pub use protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
pub use protocol::http::forwarded::ProxyHeaders;
pub use settings::streams::StreamDurations;

/// The README's example is a test like any other.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
