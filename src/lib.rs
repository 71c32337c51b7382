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
//! | `None` | [`End::Complete`] |
//! | any of these three, if bytes and declared length differ | [`End::LengthMismatch`] |
//! | the body's error | [`End::BodyError`] |
//! | a panic of the service or the body, which goes on | [`End::Panicked`] |
//!
//! or else when the response is dropped: [`End::Complete`] if nothing was owed any more, with the
//! time of the last frame; [`End::Dropped`] if something was; [`End::Panicked`] if the thread is
//! unwinding. What a message owes is its Content-Length, or else the body's exact size hint.
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
//! | attribute | type, unit | when | source |
//! |---|---|---|---|
//! | `http.request.method` | string | HTTP; `_OTHER` if not known | HTTP 1.45.0 |
//! | `http.request.method_original` | string | if that is `_OTHER` | HTTP 1.45.0 |
//! | `url.path` | string | HTTP | HTTP 1.45.0 |
//! | `url.query` | string | HTTP, if there is one; signatures `REDACTED` | HTTP 1.45.0 |
//! | `url.scheme` | string | HTTP; `http` where the request does not say | HTTP 1.45.0 |
//! | `http.route` | string | `MatchedPath` (feature `axum`), or [`SpanHandle::set_route`] | HTTP 1.45.0 |
//! | `network.protocol.version` | string: `1.0`, `1.1`, `2` | HTTP | HTTP 1.45.0 |
//! | `user_agent.original` | string | HTTP, if sent | HTTP 1.45.0 |
//! | `server.address`, `server.port` | string, int | of `:authority` or Host | HTTP, gRPC 1.45.0 |
//! | `http.response.status_code` | int | HTTP; gRPC if it is not 200 | HTTP 1.45.0 |
//! | `rpc.system.name` | string: `grpc` | gRPC | gRPC 1.45.0 |
//! | `rpc.method` | string: `service/method` | gRPC; `_OTHER` if the path is none | gRPC 1.45.0 |
//! | `rpc.method_original` | string: the path | if that is `_OTHER` | gRPC 1.45.0 |
//! | `rpc.status_code` | string: the code's name | gRPC, if known | gRPC 1.45.0 |
//! | `error.type` | string | status Error | HTTP, gRPC 1.45.0 |
//! | `api.outcome` | string: `DEPARTED`, `ABORTED` | unless `classify` panics | this crate |
//! | `api.abort.reason` | string | aborted | this crate |
//! | `api.dropped_attributes`, `api.dropped_events` | int | the handler told more than is kept | this crate |
//! | `api.time_to_head` | double, seconds | there was a head | this crate |
//! | `api.time_to_first_byte` | double, seconds | there was a non-empty data frame | this crate |
//! | `gen_ai.request.id` | string | [`request_id_header`](ApiSpanLayer::request_id_header), if sent | this crate |
//! | `gen_ai.response.time_to_first_chunk` | double, seconds from the arrival | event streams, with [`journey_events`](ApiSpanLayer::journey_events) | `GenAI` 1.42.0, which measures it at the client |
//! | other `gen_ai.*` | see [`GenAi`] | the handler says so | `GenAI` 1.42.0 |
//!
//! Those known at the start are given to samplers. Strings from the wire are cut at 1,024 bytes,
//! between characters. The name is `{method} {route}`, or `{method}` without a route; `service/method`
//! for gRPC.
//!
//! A request is gRPC's if it is a POST whose content type says so, and its name then is what its path
//! says, which is for the client to choose. If the answer is not gRPC's, HTTP says what its end
//! means. `rpc.status_code` is the code that was sent; for a call that was dropped it is `CANCELLED`
//! or `DEADLINE_EXCEEDED`, as gRPC calls that, whatever the wire said.
//!
//! # Settings
//!
//! | setting | default |
//! |---|---|
//! | [`tracer_provider`](ApiSpanLayer::tracer_provider) | the global one, whenever it is set |
//! | [`propagator`](ApiSpanLayer::propagator) | the global one |
//! | [`filter`](ApiSpanLayer::filter) | all requests are traced |
//! | [`classify`](ApiSpanLayer::classify) | [`classify()`] |
//! | [`disconnect_is_error`](ApiSpanLayer::disconnect_is_error) | true |
//! | [`sample_rate`](ApiSpanLayer::sample_rate) | 1: the SDK's sampler decides |
//! | [`propagate_to_inner`](ApiSpanLayer::propagate_to_inner) | false |
//! | [`span_name`](ApiSpanLayer::span_name) | by the conventions; with [`llm`](ApiSpanLayer::llm) `llm_request` |
//! | [`request_id_header`](ApiSpanLayer::request_id_header) | none; with `llm` `x-request-id` |
//! | [`stream_terminator`](ApiSpanLayer::stream_terminator) | none; with `llm` `[DONE]` |
//! | [`stream_errors`](ApiSpanLayer::stream_errors) | false; with `llm` true |
//! | [`journey_events`](ApiSpanLayer::journey_events) | false; with `llm` true |
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | `http.route` from `MatchedPath`, `url.path` with the prefixes of nested routers, and [`SpanHandle`] as an extractor |
//!
//! # What can go wrong
//!
//! Nothing that telemetry does fails a request: panics of tracers, processors, hooks and iterators
//! are contained, which needs `panic = "unwind"`. Where they happen at the end of a span, it is
//! ended without a terminal event.
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod attributes;
mod body;
mod config;
mod contain;
mod delivery;
#[cfg_attr(not(test), expect(dead_code, reason = "nothing asks it yet"))]
mod forwarded;
mod future;
mod gen_ai;
mod grpc;
mod handle;
mod inside;
mod layer;
mod outcome;
mod propagation;
mod sampling;
mod semconv;
mod service;
mod slot;
mod span;
mod sse;
mod text;
mod timeline;
mod tracer;

pub use body::ResponseBody;
pub use forwarded::ProxyHeaders;
pub use future::ResponseFuture;
pub use gen_ai::GenAi;
pub use grpc::{GrpcCode, GrpcStatus, Protocol};
pub use handle::SpanHandle;
pub use layer::ApiSpanLayer;
pub use outcome::{Aborted, End, Head, Outcome, Stage, Verdict, classify};
pub use service::ApiSpan;

/// The README's example is a test like any other.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
