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
//! # Guides
//!
//! | guide | |
//! |---|---|
//! | [`placement`](guide::placement) | where to put the layer, with a whole stack |
//! | [`endings`](guide::endings) | when the span ends, and what each end means |
//! | [`attributes`](guide::attributes) | every attribute, event, metric and log event |
//! | [`dashboards`](guide::dashboards) | queries in `PromQL` and `TraceQL` |
//! | [`grpc`](guide::grpc) | gRPC, gRPC-Web and Connect |
//! | [`proxies`](guide::proxies) | addresses behind proxies, trust, other trace headers |
//! | `tracing` (with the feature `tracing`) | the access log, lines with trace ids, tracing-opentelemetry |
//! | [`llm`](guide::llm) | APIs of language models |
//! | [`pictures`](guide::pictures) | drawings of spans, and a trace in a collector |
//! | [`completion`](guide::completion) | your own code at the end of a request |
//! | [`troubleshooting`](guide::troubleshooting) | spans that are missing or wrong |
//! | [`coming_from_trace_layer`](guide::coming_from_trace_layer), [`coming_from_opentelemetry_instrumentation_tower`](guide::coming_from_opentelemetry_instrumentation_tower), [`coming_from_axum_tracing_opentelemetry`](guide::coming_from_axum_tracing_opentelemetry), [`coming_from_tower_otel`](guide::coming_from_tower_otel) | how an application with another layer changes |
//! | [`comparison`](guide::comparison), [`performance`](guide::performance), [`proof`](guide::proof) | other layers, costs, tests |
//!
//! # When the span ends
//!
//! The layer ends the span just before it returns the last frame, the trailers, the `None` or the error that completes
//! the response, or when the response is dropped. [`End`] names the ends, and [`classify()`] decides what each means:
//! the [`Outcome`] is [`Departed`](Outcome::Departed), or [`Aborted`](Outcome::Aborted) with a reason. The
//! [guide](guide::endings) has both tables.
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
//! * **Errors.** The span status is Error for a 5xx or an undefined status, for one of gRPC's six server codes, and for
//!   gRPC without `grpc-status`. It is Error for an error or panic of the service or its body. It is Error for a length
//!   mismatch, a truncated stream, and a disconnect. It is Error for a failure that the response reports, and for a
//!   [mark](SpanHandle::mark_aborted) other than `validation_error` and `client_error`. A disconnect is Unset
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
//! | [`queue_start_header`](ApiSpanLayer::queue_start_header), [`queue_start_fn`](ApiSpanLayer::queue_start_fn) | no queue time |
//! | [`start_in_queue`](ApiSpanLayer::start_in_queue) | false |
//! | **names** | |
//! | [`span_name`](ApiSpanLayer::span_name), [`span_name_fn`](ApiSpanLayer::span_name_fn) | from the conventions; with [`llm`](ApiSpanLayer::llm) `llm_request` |
//! | [`route_fn`](ApiSpanLayer::route_fn) | `MatchedPath` with feature `axum`, else no route |
//! | [`known_http_methods`](ApiSpanLayer::known_http_methods) | from `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`, else the ten standard ones |
//! | [`known_rpc_methods`](ApiSpanLayer::known_rpc_methods) | those that the server has [confirmed](guide::grpc#known-methods) |
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
//! | [`metric_attribute_keys`](ApiSpanLayer::metric_attribute_keys), [`metric_attributes`](ApiSpanLayer::metric_attributes) | no attributes |
//! | [`bucket_boundaries`](ApiSpanLayer::bucket_boundaries) | [those of the guide](guide::attributes#metrics) |
//! | [`nested_metrics`](ApiSpanLayer::nested_metrics) | false: stacked layers count a request once |
//! | **language models** | |
//! | [`request_id_header`](ApiSpanLayer::request_id_header) | no header; with `llm` `x-request-id` |
//! | [`llm_formats`](ApiSpanLayer::llm_formats) | none; with `llm` all |
//! | [`gen_ai_attributes`](ApiSpanLayer::gen_ai_attributes) | false; with `llm` true |
//! | [`stream_terminator`](ApiSpanLayer::stream_terminator) | no terminator; with `llm` `[DONE]` |
//! | [`stream_terminator_event`](ApiSpanLayer::stream_terminator_event) | no terminator |
//! | [`stream_errors`](ApiSpanLayer::stream_errors) | false; with `llm` true |
//! | [`journey_events`](ApiSpanLayer::journey_events) | false; with `llm` true |
//! | **`tracing`** (feature) | |
//! | `access_log` | no log |
//! | `tracing_span`, `tracing_span_fn` | no span of `tracing` |
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
//! [`ApiSpanLayer::describe`] returns what a layer finds.
//!
//! # Features
//!
//! No feature is on by default. Spans, metrics and log events need no feature.
//!
//! | feature | adds |
//! |---|---|
//! | `axum` | `http.route` from `MatchedPath`, `url.path` [with the prefixes of nested routers](guide::attributes#rewritten-targets), and [`SpanHandle`] as an extractor |
//! | `connect-info` | `network.peer.*` and `client.address` from axum's `ConnectInfo<SocketAddr>`; turns on axum's feature `tokio` |
//! | `tracing` | an access log (`ApiSpanLayer::access_log`) and a span for each request (`ApiSpanLayer::tracing_span`), for the subscriber of the crate `tracing`; see the guide `tracing` |
//! | `internal-logs` | warnings of the layer's own, as events of `tracing` with target `tower-api-span`: `ApiSpanLayer.CallbackPanicked`, once for each callback of a layer and each method of a handle; `ApiSpanLayer.LoggerMissing`, once for each layer with [`LifecycleEvents::AsLogs`]; `ApiSpanLayer.MetricAttributeRefused`, once for each layer; `ApiSpanLayer.UnknownMetric`; `ApiSpanLayer.TracerProviderMissing`, once for each layer, if a request has no span because no global provider is set; `ApiSpanLayer.PropagatorMissing`, once for each layer, if a request with a span has a `traceparent` that is not read because no global propagator is set |
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
///
/// If the application sets its global providers through this, the compiler reports an SDK for
/// [another version](guide::troubleshooting#no-span-at-all-and-no-error).
pub use opentelemetry;

/// The README's example is a test like any other.
#[cfg(all(doctest, feature = "axum"))]
#[doc = include_str!("../README.md")]
struct Readme;
