//! Opens one OpenTelemetry SERVER span for each request, and ends it exactly once, at the true end of
//! the response.
//!
//! [`ApiSpanLayer`] is a Tower layer for any `Service<http::Request<_>>`: an axum router, a hyper
//! service, a tonic server. It starts a span before it calls the service. It ends the span when the
//! response body is complete, fails, or is dropped, as after a client disconnect. The span of a streamed
//! response lasts as long as the stream.
//!
//! A *span* is the record of one operation: its start and end time, attributes and events. A SERVER span
//! records a request at the server. Spans of several services form a *trace*. A caller sends its *trace
//! context* in headers such as `traceparent`, and the layer's span becomes a child of the caller's span. A
//! *sampler* decides at the start of a span whether it is recorded.
//!
//! The application sets up two objects. A *tracer provider* makes spans and exports them. Without one there
//! are no spans. A *propagator* reads the trace context. Without one each span starts its own trace.
//!
//! ```
//! use axum::{Router, routing::get};
//! use opentelemetry_sdk::propagation::TraceContextPropagator;
//! use opentelemetry_sdk::trace::SdkTracerProvider;
//! use tower_api_span::{ApiSpanLayer, SpanHandle};
//!
//! async fn hello(span: SpanHandle) -> &'static str {
//!     span.add_event("greeted", Vec::new());
//!     "hello"
//! }
//!
//! // Prints each span when it has ended. In production, use the exporter of opentelemetry-otlp.
//! let provider = SdkTracerProvider::builder()
//!     .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
//!     .build();
//! let layer = ApiSpanLayer::new()
//!     .tracer_provider(&provider)
//!     .propagator(TraceContextPropagator::new());
//! let app: Router = Router::new().route("/", get(hello)).layer(layer);
//! ```
//!
//! Without these two setters, the layer uses the global provider and the global propagator. Handlers
//! record on the span with [`SpanHandle`]. [`ApiSpanLayer::llm`] is the layer for an API in front of a
//! language model: see its [guide](guide::llm).
//!
//! # When the span ends
//!
//! The response has two parts: the *head* (status and headers) and the body, a sequence of frames. The
//! span ends just before the layer returns the part, the `None` or the error that makes the end certain.
//! The variants of [`End`] name the ends:
//!
//! | event | end |
//! |---|---|
//! | the service returns an error | [`End::ServiceError`] |
//! | the head of a message that cannot have a body: response to HEAD, 101, 204, 304, CONNECT 2xx | [`End::Complete`] |
//! | the head, if `is_end_stream` of the body is true | [`End::Complete`] |
//! | a frame after which `is_end_stream` of the body is true | [`End::Complete`] |
//! | the trailers | [`End::Complete`] |
//! | the frame that completes the end of an [answer](guide::llm), or a [terminator](ApiSpanLayer::stream_terminator) | [`End::Complete`] |
//! | the frame that completes the trailers of gRPC-Web, if they contain a status | [`End::Complete`] |
//! | the body returns `None` | [`End::Complete`] |
//! | the body is at its end (`is_end_stream`, trailers or `None`), but it has fewer or more bytes than declared | [`End::LengthMismatch`] |
//! | the same, but it is a stream without the end of its [format](LlmFormat) | [`End::Truncated`] |
//! | the body returns an error | [`End::BodyError`] |
//! | the service or the body panics; the panic propagates | [`End::Panicked`] |
//!
//! If no row applies, the span ends when the response is dropped:
//!
//! | state of the response when it is dropped | end |
//! |---|---|
//! | all declared bytes were returned | [`End::Complete`], with the time of the last frame |
//! | the same, but more bytes than declared were returned | [`End::LengthMismatch`] |
//! | bytes are missing, or the length is unknown | [`End::Dropped`] |
//! | the thread is unwinding from a panic | [`End::Panicked`] |
//!
//! If the client disconnects while its request is being read, it usually receives no later part of the response.
//! With a [`RequestBodyLayer`] inside, the end is then [`End::Dropped`] at [`Stage::ReadingRequest`], unless there is a
//! panic, or all declared bytes were returned before. The span ends with the head or, after it, with the body.
//!
//! The declared length is the `Content-Length`, else the body's exact size hint. It is not checked
//! after a terminator or the trailers of gRPC-Web. For a gRPC response it is not used, because the
//! trailers complete the response.
//!
//! [`classify()`] then decides the [`Outcome`]: [`Departed`](Outcome::Departed) for success, or
//! [`Aborted`](Outcome::Aborted) with a reason. It reads the end, the response's status, and the
//! verdict that the handler gave with [`SpanHandle::mark_aborted`]. Its documentation has the table of reasons.
//!
//! # Events of the span
//!
//! 1. `api.ARRIVED`, when the request arrives.
//! 2. Events that the handler adds. `api.HANDOFF_TO_CORE` is one of them, if it calls
//!    [`SpanHandle::handoff_to_core`].
//! 3. `api.FIRST_RESPONSE_FROM_CORE`, at the [first token](guide::llm) of a stream, or the first non-empty frame of
//!    another response below 400, with [`journey_events`](ApiSpanLayer::journey_events). It is placed among the
//!    handler's events by its time.
//! 4. `api.DEPARTED`, or `api.ABORTED` with attribute `reason` and, if there are a message and a code, `error` and
//!    `code`. These attributes are this crate's own, without a prefix, since dashboards read them. `reason` is the
//!    value of `api.abort.reason`.
//!
//! An event's time is the wall-clock time of the arrival plus the monotonic time since then. So times
//! never decrease if the wall clock is set back, and these events lie inside the span. The same applies to
//! events that `add_event` adds through the span of [`SpanHandle::context`]. A time that the application passes to
//! `add_event_with_timestamp` is kept, unless it is within a millisecond of the wall clock's current time.
//!
//! # Attributes of the span
//!
//! | attribute | type, unit | when | source | stability |
//! |---|---|---|---|---|
//! | `http.request.method` | string | HTTP; `_OTHER` if the method is not [known](ApiSpanLayer::known_http_methods) | HTTP | stable |
//! | `http.request.method_original` | string | HTTP, if `http.request.method` is `_OTHER` | HTTP | stable |
//! | `url.path` | string | HTTP; gRPC, if the response is not gRPC; [as the client sent it](#rewritten-targets); `/` for a CONNECT, whose target has no path | HTTP | stable |
//! | `url.query` | string | the same, if the URL has a query; values of [secret parameters](ApiSpanLayer::sensitive_query_parameters) are `REDACTED` | HTTP | stable |
//! | `url.scheme` | string | HTTP; from a [trusted proxy](ApiSpanLayer::trusted_proxies), else the [setting](ApiSpanLayer::scheme), else the request, else `http` | HTTP | stable |
//! | `http.route` | string | HTTP; from [`route_fn`](ApiSpanLayer::route_fn), `MatchedPath` (feature `axum`, [if it is certain](#rewritten-targets)) or [`SpanHandle::set_route`] | HTTP | stable |
//! | `network.protocol.version` | string: `1.0`, `1.1`, `2` | HTTP | HTTP | stable |
//! | `user_agent.original` | string | HTTP, if the request has a `User-Agent` | HTTP | stable |
//! | `server.address`, `server.port` | string, int | HTTP: from a trusted proxy, `:authority` or `Host`; gRPC: from `:authority` or `Host` | HTTP, gRPC | stable |
//! | `client.address` | string: an IP address | HTTP, if known: from a trusted proxy, else the peer's address | HTTP | stable |
//! | `client.port` | int | HTTP, if known, with [`client_port`](ApiSpanLayer::client_port) | HTTP | stable |
//! | `network.peer.address`, `network.peer.port` | string, int | if known: from [`peer_address_fn`](ApiSpanLayer::peer_address_fn) or `ConnectInfo` (feature `connect-info`) | HTTP, gRPC | stable |
//! | `network.local.address`, `network.local.port` | string, int | if known: from [`local_address_fn`](ApiSpanLayer::local_address_fn) | HTTP, gRPC | stable |
//! | `http.request.header.<name>`, `http.response.header.<name>` | string[] | HTTP, for the [request headers](ApiSpanLayer::capture_request_headers) and [response headers](ApiSpanLayer::capture_response_headers) in the settings; [secrets](ApiSpanLayer::sensitive_headers) are `REDACTED` | HTTP | stable |
//! | `http.request.body.size`, `http.response.body.size` | int, bytes | HTTP, with [`body_sizes`](ApiSpanLayer::body_sizes) | HTTP | development |
//! | `http.response.status_code` | int | HTTP, if there was a head; gRPC, if the status is not 200 or the response is not gRPC | HTTP | stable |
//! | `rpc.system.name` | string: `grpc` | gRPC | gRPC | stable |
//! | `rpc.method` | string: `service/method` | gRPC; `_OTHER` if the method is not [known](#grpc) | gRPC | stable |
//! | `rpc.method_original` | string | gRPC, if `rpc.method` is `_OTHER` | gRPC | stable |
//! | `rpc.status_code` | string: the code's name | gRPC, if known | gRPC | stable |
//! | `rpc.request.header.<name>`, `rpc.response.header.<name>`, `rpc.response.trailer.<name>` | string[] | gRPC, with the same settings as HTTP headers | gRPC | development |
//! | `error.type` | string: few values; [the kind](ApiSpanLayer::error_type_fn) of an error | if the span's status is Error | HTTP, gRPC | stable |
//! | `api.error.code` | string | a failure that was [read in the response](ApiSpanLayer::stream_errors), if it has a code | this crate | |
//! | `api.outcome` | string: `DEPARTED`, `ABORTED` | unless `classify` panics | this crate | |
//! | `api.abort.reason` | string | if `api.outcome` is `ABORTED` | this crate | |
//! | `api.dropped_attributes`, `api.dropped_events`, `api.dropped_links` | int | if any of the operator's or the handler's were [refused](#refused-attributes-events-and-links) | this crate | |
//! | `api.queue_time` | double, seconds | if the [start of the wait](ApiSpanLayer::queue_start_header) is known | this crate | |
//! | `api.stream` | boolean: true | streams, if they are [marked](ApiSpanLayer::stream_durations) | this crate | |
//! | `api.time_to_head` | double, seconds | if there was a head | this crate | |
//! | `api.time_to_first_byte` | double, seconds | if there was a non-empty data frame | this crate | |
//! | `gen_ai.request.id` | string | with [`request_id_header`](ApiSpanLayer::request_id_header), if the request has that header | servers of language models; not in the conventions | |
//! | `gen_ai.response.time_to_first_chunk` | double, seconds from the arrival | streams with a [first token](guide::llm), with [`journey_events`](ApiSpanLayer::journey_events) | `GenAI`, which measures it at the client | development |
//! | other `gen_ai.*` | see [the guide](guide::llm) and [`GenAi`] | if they are [read](ApiSpanLayer::gen_ai_attributes), or the handler sets them | `GenAI` | development |
//!
//! Sources: HTTP and gRPC are the conventions for server spans in the OpenTelemetry semantic conventions
//! 1.45.0. `GenAI` is the conventions for generative AI, 1.42.0. The schema URL of 1.45.0 is on the
//! instrumentation scope.
//!
//! Samplers see the attributes that are known at the start. Strings from the wire are truncated to 1,024
//! bytes, at a character boundary. An empty string sets no attribute, and no key occurs twice. An IPv4
//! address is recorded as IPv4 even if the socket reports it as IPv6.
//!
//! The conventions define some attributes that the layer does not record. These are `network.transport`,
//! `user_agent.synthetic.type` and the contents of bodies. `http.request.size` and `http.response.size`
//! include the framing, which a Tower layer cannot see.
//!
//! ## Refused attributes, events and links
//!
//! The layer alone sets `api.outcome`, `api.abort.reason`, `api.error.code`, `api.queue_time`, `api.stream`,
//! `api.time_to_head`, `api.time_to_first_byte`, `api.dropped_attributes`, `api.dropped_events`, `api.dropped_links`,
//! `http.response.status_code`, `rpc.status_code` and `error.type`. It alone adds its five events. All other
//! names are free: an application's attribute `api.version` and event `api.cache` are kept.
//!
//! What is refused is counted on the span:
//!
//! | count | refused |
//! |---|---|
//! | `api.dropped_attributes` | a handler's or operator's attribute with an empty key, one of the keys above, or a key that the span has already; more than the [operator's](ApiSpanLayer::request_attributes) 64 or the [handler's](SpanHandle::set_attribute) 128 |
//! | `api.dropped_events` | an event with an empty name or one of the layer's names; more than the handler's [120](SpanHandle::add_event) |
//! | `api.dropped_links` | more than the handler's 128 |
//!
//! Not counted: a value that is an empty string, and a handler's value that its later value replaces.
//!
//! ## Span name
//!
//! The name of an HTTP request is `{method} {route}`, or `{method}` if there is no route. `HTTP` replaces
//! an unknown method. The name of a gRPC call is `service/method` if the method is [known](#grpc), and otherwise
//! `grpc`. With [`llm`](ApiSpanLayer::llm) each name is `llm_request`.
//!
//! ## Rewritten targets
//!
//! With feature `axum`, `url.path` is from axum's `OriginalUri`, and the route from `MatchedPath`. So they have the prefixes of nested routers. They also survive middleware in front of a nested router
//! that rewrites the target: `NormalizePath`, case folding, percent-decoding, or a rewrite to another route.
//!
//! A handler can make another request with the extensions of the first. So the layer uses these values in three cases
//! only. The present target is the original one. It is the original one without the prefix of nested routers, apart
//! from case, percent-encoding and slashes. Or the innermost router has matched it. Otherwise the path is the present
//! one, and there is no route. A rewrite outside the outermost router is not noticed, because axum does not see the
//! target before it.
//!
//! ## gRPC
//!
//! A request is gRPC if it is a POST with a gRPC content type. If its response is not gRPC, the outcome
//! and the name follow the rules for HTTP. The span then also gets `http.request.method`, `http.route`,
//! `url.path`, `url.query`, `url.scheme` and `network.protocol.version`.
//!
//! A client can call any method, also one that the server does not have. So only a *known* method is `rpc.method`, in
//! span and metrics, and the span's name. A method is known in three cases:
//!
//! * It is in the [list of methods](ApiSpanLayer::known_rpc_methods).
//! * There is no such list, and this response or an earlier one has confirmed it. A response with HTTP status 200
//!   confirms the method if it is `OK`. So does one with a message, except in gRPC-Web. The
//!   layer learns up to 1,024 methods of up to 256 bytes, also if the server answers any path.
//! * It is a method of a [known service](ApiSpanLayer::known_rpc_services), and a response has confirmed it. There,
//!   some failures confirm it, too: up to 128 methods.
//!
//! A known method keeps its name however the call ends: with an error, `UNIMPLEMENTED`, a panic, a deadline or a
//! disconnect. For another one `rpc.method` is `_OTHER`, `rpc.method_original` is the method, and the span's name is
//! `grpc`. The server may have it, but no response has confirmed it.
//!
//! Samplers see no `rpc.method` if only the response can confirm the method. They see that method in the span's name,
//! `service/method`. [`rpc_path_prefix`](ApiSpanLayer::rpc_path_prefix) removes what is in front of it.
//!
//! `rpc.status_code` is the code that the server sent. For a dropped call it is gRPC's own code for that
//! case: `CANCELLED` or `DEADLINE_EXCEEDED`.
//!
//! For gRPC-Web the layer reads the status from the trailers at the end of the body, unless the body is
//! compressed. Inside a layer that translates gRPC-Web, the trailers are ordinary ones.
//!
//! The Connect protocol is plain HTTP for the layer. The outcome of a unary call is that of its HTTP status, which
//! Connect sets from the error's code. A stream always has status 200, and an error at its end is in its last message,
//! the `EndStreamResponse`, which the layer does not read. So the outcome is [`Departed`](Outcome::Departed), unless the
//! handler reports the error with [`SpanHandle::mark_aborted`]. A client that disconnects is an error, as in HTTP, and
//! `Connect-Timeout-Ms` is not read.
//!
//! # The parent, and `tracing`
//!
//! The layer's span is a child of the caller's span or, without a caller, of the current span. If the current span is
//! in the caller's trace, it is the parent, because it was started for this request. A current span in another trace is
//! not the parent: by the specification, a propagator's `extract` sets it. Otherwise the caller's trace would end here.
//!
//! So a layer outside makes a second trace if it starts a span for each request without reading the caller. An example
//! is tower-http's `TraceLayer` with tracing-opentelemetry. Make its span a child of the caller. The span of
//! `ApiSpanLayer` is then a child of that span:
//!
//! ```
//! use axum::{Router, body::Body, routing::get};
//! use opentelemetry_http::HeaderExtractor;
//! use tower_api_span::ApiSpanLayer;
//! use tower_http::trace::TraceLayer;
//! use tracing_opentelemetry::OpenTelemetrySpanExt as _;
//!
//! let traces = TraceLayer::new_for_http().make_span_with(|request: &http::Request<Body>| {
//!     let span = tracing::info_span!("request");
//!     let headers = HeaderExtractor(request.headers());
//!     let caller = opentelemetry::global::get_text_map_propagator(|w3c| w3c.extract(&headers));
//!     // An error means that tracing-opentelemetry does not export this span.
//!     let _ = span.set_parent(caller);
//!     span
//! });
//! let app: Router = Router::new()
//!     .route("/", get(|| async { "hello" }))
//!     .layer(ApiSpanLayer::new())
//!     .layer(traces); // outside
//! ```
//!
//! A layer inside that reads the request's headers itself, such as `OtelAxumLayer`, makes a sibling of this span. With
//! [`propagate_to_inner(true)`](ApiSpanLayer::propagate_to_inner) it makes a child. Better remove such a layer, because
//! two SERVER spans count a request twice. Spans of `tracing` that handlers make are children of this span, if
//! tracing-opentelemetry activates their contexts, which is its default.
//!
//! # How to read the spans
//!
//! * **One span per request, as long as its response.** A stream of ten minutes is a span of ten
//!   minutes. For latency, use `api.time_to_head` and `api.time_to_first_byte`.
//! * **Names you can group by.** `GET /users/{id}`; `GET` if there is no route, as for a 404 or for a
//!   service outside axum that sets no route; `package.Service/Method`.
//! * **Errors.** The span status is Error for a 5xx, for one of gRPC's six server codes, and for gRPC without
//!   `grpc-status`. It is Error for an error or panic of the service or its body, a length mismatch, a disconnect,
//!   and a [mark](SpanHandle::mark_aborted) other than `validation_error` and `client_error`. A disconnect is Unset
//!   in three cases: gRPC before the deadline; [`disconnect_is_error`](ApiSpanLayer::disconnect_is_error) is false;
//!   the handler [allows it](SpanHandle::allow_disconnect). Other spans are Unset, also those of a 4xx. Ok is never
//!   set.
//! * **One field has the cause.** `api.abort.reason` is set on every request that did not depart, whether
//!   or not it is an error. It has few values. `error.type` is set on errors: `500`, `UNAVAILABLE`,
//!   `client_disconnect`, `panic`; for an error of the service or the body its kind, such as `timeout`, else
//!   `exception`.
//! * **Client addresses are personal data** in many places. `client.address` and `network.peer.address`
//!   are recorded whenever the layer has them.
//!
//! # Metrics
//!
//! If a meter provider is set, the layer also measures each request, from the same data as the span. It
//! measures requests that are sampled out, but not requests that are [filtered](ApiSpanLayer::filter) out.
//! Spans and metrics are turned off separately: spans with `NoopTracerProvider`, metrics with
//! [`meter_provider`](ApiSpanLayer::meter_provider)`(&NoopMeterProvider::new())`. Routes and verdicts set
//! through [`SpanHandle`] apply to both.
//!
//! | metric | instrument, unit | requests | attributes | when | source | stability |
//! |---|---|---|---|---|---|---|
//! | `http.server.request.duration` | histogram, s | HTTP | A | always | HTTP | stable |
//! | `rpc.server.call.duration` | histogram, s | gRPC | B | always | gRPC | stable |
//! | `http.server.active_requests` | up-down counter, {request} | all | `http.request.method`, `url.scheme` | with [`active_requests`](ApiSpanLayer::active_requests) | HTTP | development |
//! | `http.server.request.body.size`, `http.server.response.body.size` | histogram, By | HTTP | A | with [`body_sizes`](ApiSpanLayer::body_sizes), if the size is known | HTTP | development |
//! | `api.server.time_to_head`, `api.server.time_to_first_byte` | histogram, s | all that have a head, or a first byte | A or B | with [`response_times`](ApiSpanLayer::response_times) | this crate | |
//! | `gen_ai.server.request.duration` | histogram, s | language models | C | with [`gen_ai_metrics`](ApiSpanLayer::gen_ai_metrics), if the operation is read, or the handler set [`operation_name`](GenAi::operation_name) | `GenAI` | development |
//! | `gen_ai.server.time_to_first_token` | histogram, s | language models: streams that departed | C | the same, and there was a [first token](guide::llm) | `GenAI` | development |
//! | `gen_ai.server.time_per_output_token` | histogram, s | language models: streams that departed | C | the same, and there are two or more [`output_tokens`](GenAi::output_tokens), read or set | `GenAI` | development |
//!
//! * **A**: `http.request.method`, `url.scheme`; if known, `http.response.status_code`, `http.route`,
//!   `network.protocol.version`; for an error, the span's `error.type`.
//! * **B**: `rpc.system.name`, `rpc.method`; if known, `rpc.status_code`; for an error, `error.type`.
//! * **A** and **B**: for a stream, `api.stream`, if streams are
//!   [marked](ApiSpanLayer::stream_durations).
//! * **C**: `gen_ai.operation.name`; `gen_ai.provider.name`, or `_OTHER` if it is neither read nor set; for an
//!   error, `error.type`. If the response status is below 400, also `gen_ai.request.model` and
//!   `gen_ai.response.model`, if they are read or set.
//!
//! The application adds attributes of its own, from a fixed list of keys, with
//! [`metric_attributes`](ApiSpanLayer::metric_attributes) and
//! [`SpanHandle::set_metric_attribute`]. The buckets of durations follow the conventions, unless
//! [`bucket_boundaries`](ApiSpanLayer::bucket_boundaries) sets others. The request's context is current while it is
//! measured at its end, so that a meter provider can take exemplars.
//!
//! Client input cannot create many time series. Only the method, the scheme and the HTTP version come
//! from the client, and each is limited to few values:
//!
//! * An unknown HTTP method is `_OTHER`.
//! * A scheme that is neither from the [setting](ApiSpanLayer::scheme) nor from a
//!   [trusted proxy](ApiSpanLayer::trusted_proxies) is recorded as `https` or `http`.
//! * A gRPC method is recorded if it is [known](#grpc), by a list or because the server has confirmed it.
//!   Otherwise it is `_OTHER`.
//! * `server.address` is not recorded. Routes and models come from the application.
//!
//! If the durations of streams break a latency SLO, use the time to the head or to the first byte. Or have
//! streams [marked or excluded](ApiSpanLayer::stream_durations). The setting
//! [`disconnect_is_error`](ApiSpanLayer::disconnect_is_error) applies to spans and metrics alike.
//!
//! # Log events
//!
//! With a [`logger_provider`](ApiSpanLayer::logger_provider), the layer emits log events. They carry the
//! context of the span, or without a span the caller's.
//!
//! | event | severity | when | attributes |
//! |---|---|---|---|
//! | `http.server.request.exception`, `rpc.server.call.exception` | ERROR | an error of the service or the body; a panic; a length mismatch; a gRPC client that disconnected after its deadline; a handler's verdict that is an error | `exception.type` (the error's Rust type; if boxed, that of the innermost known error, else its kind; else the reason), `exception.message` (the texts of the error and its sources) |
//! | the same events | DEBUG | the client disconnected | the same attributes |
//! | `api.ARRIVED` and the other events of the layer, as on the span | INFO | with [`lifecycle_events`](ApiSpanLayer::lifecycle_events) | as on the span |
//!
//! All are emitted at the end of the request, before the span ends. Their timestamps are the times at which
//! the events occurred.
//!
//! # Settings
//!
//! | setting | default |
//! |---|---|
//! | [`tracer_provider`](ApiSpanLayer::tracer_provider) | the [global one](#global-providers), even if it is set or replaced later |
//! | [`propagator`](ApiSpanLayer::propagator) | the global one, even if it is set or replaced later; it decides which headers are read |
//! | **callers** | |
//! | [`filter`](ApiSpanLayer::filter) | all requests are traced |
//! | [`sample_rate`](ApiSpanLayer::sample_rate) | 1: the SDK's sampler decides |
//! | [`public_endpoint`](ApiSpanLayer::public_endpoint), [`public_endpoint_fn`](ApiSpanLayer::public_endpoint_fn) | callers are trusted |
//! | [`propagate_to_inner`](ApiSpanLayer::propagate_to_inner) | false |
//! | [`traceresponse`](ApiSpanLayer::traceresponse), [`server_timing`](ApiSpanLayer::server_timing), [`expose_trace_headers`](ApiSpanLayer::expose_trace_headers) | false: responses carry no trace context |
//! | **names** | |
//! | [`span_name`](ApiSpanLayer::span_name), [`span_name_fn`](ApiSpanLayer::span_name_fn) | from the conventions; with [`llm`](ApiSpanLayer::llm) `llm_request` |
//! | [`route_fn`](ApiSpanLayer::route_fn) | `MatchedPath` with feature `axum`, else no route |
//! | [`known_http_methods`](ApiSpanLayer::known_http_methods) | from `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, else the ten standard ones |
//! | [`known_rpc_methods`](ApiSpanLayer::known_rpc_methods) | those that the server has [confirmed](#grpc) |
//! | [`known_rpc_services`](ApiSpanLayer::known_rpc_services) | no services |
//! | [`rpc_path_prefix`](ApiSpanLayer::rpc_path_prefix) | no prefix |
//! | **addresses** | |
//! | [`trusted_proxies`](ApiSpanLayer::trusted_proxies) | 0: `Forwarded` and `X-Forwarded-*` are ignored |
//! | [`proxy_headers`](ApiSpanLayer::proxy_headers) | either kind, if they agree |
//! | [`scheme`](ApiSpanLayer::scheme) | the request's, else `http` |
//! | [`peer_address_fn`](ApiSpanLayer::peer_address_fn) | `ConnectInfo` with feature `connect-info`, else unknown |
//! | [`local_address_fn`](ApiSpanLayer::local_address_fn) | unknown |
//! | [`client_port`](ApiSpanLayer::client_port) | false |
//! | **attributes** | |
//! | [`capture_request_headers`](ApiSpanLayer::capture_request_headers), [`capture_response_headers`](ApiSpanLayer::capture_response_headers) | no headers |
//! | [`sensitive_headers`](ApiSpanLayer::sensitive_headers), [`only_sensitive_headers`](ApiSpanLayer::only_sensitive_headers) | eight that carry credentials |
//! | [`sensitive_query_parameters`](ApiSpanLayer::sensitive_query_parameters), [`only_sensitive_query_parameters`](ApiSpanLayer::only_sensitive_query_parameters) | the seven of the conventions |
//! | [`body_sizes`](ApiSpanLayer::body_sizes) | false |
//! | [`request_attributes`](ApiSpanLayer::request_attributes), [`response_attributes`](ApiSpanLayer::response_attributes) | no attributes |
//! | **outcomes** | |
//! | [`classify`](ApiSpanLayer::classify) | [`classify()`] |
//! | [`disconnect_is_error`](ApiSpanLayer::disconnect_is_error) | true |
//! | [`max_error_message`](ApiSpanLayer::max_error_message) | 1,024 bytes |
//! | [`on_completion`](ApiSpanLayer::on_completion) | no callback |
//! | [`error_type_fn`](ApiSpanLayer::error_type_fn) | the known kinds of errors, else `exception` |
//! | [`lifecycle_events`](ApiSpanLayer::lifecycle_events) | on the span |
//! | [`logger_provider`](ApiSpanLayer::logger_provider) | no log events: the API has no global logger provider |
//! | **metrics** | |
//! | [`meter_provider`](ApiSpanLayer::meter_provider) | the [global one](#global-providers), even if it is set or replaced later |
//! | [`active_requests`](ApiSpanLayer::active_requests), [`response_times`](ApiSpanLayer::response_times) | false |
//! | [`stream_durations`](ApiSpanLayer::stream_durations), [`stream_content_types`](ApiSpanLayer::stream_content_types) | included; five types |
//! | [`gen_ai_metrics`](ApiSpanLayer::gen_ai_metrics) | false; with `llm` true |
//! | [`nested_metrics`](ApiSpanLayer::nested_metrics) | false: stacked layers count a request once |
//! | **language models** | |
//! | [`request_id_header`](ApiSpanLayer::request_id_header) | no header; with `llm` `x-request-id` |
//! | [`llm_formats`](ApiSpanLayer::llm_formats) | none; with `llm` all |
//! | [`gen_ai_attributes`](ApiSpanLayer::gen_ai_attributes) | false; with `llm` true |
//! | [`stream_terminator`](ApiSpanLayer::stream_terminator) | no terminator; with `llm` `[DONE]` |
//! | [`stream_terminator_event`](ApiSpanLayer::stream_terminator_event) | no terminator |
//! | [`stream_errors`](ApiSpanLayer::stream_errors) | false; with `llm` true |
//! | [`journey_events`](ApiSpanLayer::journey_events) | false; with `llm` true |
//!
//! Callbacks run while a request waits, so they should be fast. If a callback panics, the request
//! continues. The documentation of each setting states the value that then applies. The first panic of each
//! callback is reported, with feature `internal-logs`.
//!
//! ## Global providers
//!
//! The application may set and replace the global tracer provider and the global meter provider at any time:
//!
//! * Until one is set, and after it was replaced with the API's no-op, the layer looks for it at the 1st, 2nd, 4th,
//!   8th, … 512th request and at every 1,024th. So up to 1,023 requests have no span, or no metrics.
//! * Once it has found one, it looks again at every 1,024th request with a span, or with metrics. It also looks at the
//!   first one a second or more after the last lookup. That request and all later ones use the provider set then. The
//!   lookup takes the API's lock. Other requests take no lock for a provider.
//! * Requests get no span from a provider that was shut down. After the 1st, 2nd, 4th, … of them, the next one looks
//!   again. A provider that was shut down before the layer used it is looked up at every request.
//!
//! A request ends in the provider in which it began. The layer keeps the old tracer until it looks again, and open
//! spans keep their own. So keep a clone of a provider, and shut it down after you have replaced it. Otherwise a
//! request may drop the last clone, and wait for its exporter.
//!
//! Providers that are given to the layer are not replaced. Each layer and its services look for themselves.
//!
//! # Features
//!
//! No feature is on by default. Spans, metrics and log events need no feature.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | `http.route` from `MatchedPath`, `url.path` [with the prefixes of nested routers](#rewritten-targets), and [`SpanHandle`] as an extractor |
//! | `connect-info` | `network.peer.*` and `client.address` from axum's `ConnectInfo<SocketAddr>`; turns on axum's feature `tokio` |
//! | `tracing` | an access log (`ApiSpanLayer::access_log`) and a span for each request (`ApiSpanLayer::tracing_span`), for the subscriber of the crate `tracing`; see the guide `tracing` |
//! | `internal-logs` | warnings of the layer's own, as events of `tracing` with target `tower-api-span`: `ApiSpanLayer.CallbackPanicked`, once for each callback of a layer and each method of a handle; `ApiSpanLayer.LoggerMissing`, once for each layer with [`LifecycleEvents::AsLogs`]; `ApiSpanLayer.MetricAttributeRefused`, once for each layer; `ApiSpanLayer.UnknownMetric` |
//!
//! # Failures
//!
//! A failure in telemetry never fails a request. Panics in tracers, span processors, callbacks and
//! iterators are caught; this needs `panic = "unwind"`. If such a panic occurs while a span ends, the span
//! still ends, but without a terminal event (`api.DEPARTED` or `api.ABORTED`).
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(clippy::unwrap_used)]

mod catch_panic;
mod exchange;
pub mod guide;
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
pub use middleware::request_body::{RequestBody, RequestBodyLayer, RequestBodyService};
pub use middleware::service::ApiSpan;
pub use outcome::lifecycle::LifecycleEvents;
pub use outcome::{Aborted, Completion, End, Outcome, Stage, Verdict, classify};
pub use protocol::grpc::{GrpcCode, GrpcStatus, Protocol};
pub use protocol::http::forwarded::ProxyHeaders;
pub use protocol::llm::LlmFormat;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use recording::request_tracer::{RequestTracer, RequestTracerSpan};
pub use settings::streams::StreamDurations;
#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
pub use settings::tracing::AccessLog;

/// The API of OpenTelemetry, in the version whose types the settings and the handle take.
pub use opentelemetry;

/// The README's example is a test like any other.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
