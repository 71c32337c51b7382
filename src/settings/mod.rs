//! Every setting and its default: plain data and optional callbacks.
//!
//! Tracers, meters and loggers are not settings. `exchange::shared` has them beside the settings.

pub(crate) mod callback;
pub(crate) mod metric_attributes;
pub(crate) mod missing;
pub(crate) mod queue;
pub(crate) mod streams;
#[cfg(feature = "tracing")]
pub(crate) mod tracing;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::{HeaderName, request, response};
use opentelemetry::KeyValue;

use crate::catch_panic::PanicReport;
use crate::outcome::error_kind::DynError;
use crate::outcome::lifecycle::LifecycleEvents;
use crate::outcome::{Completion, Outcome, classify};
use crate::propagation::Propagation;
use crate::propagation::sampling::Rate;
use crate::protocol::http::captured::{CapturedHeaders, SensitiveHeaders};
use crate::protocol::http::forwarded::ProxyHeaders;
use crate::protocol::http::methods::{HttpMethods, RpcMethods};
use crate::protocol::http::query::SensitiveParameters;
use crate::protocol::http::trace_headers::TraceHeaders;
use crate::protocol::llm::{Formats, Terminators};
use crate::settings::callback::Callback;
use crate::settings::metric_attributes::MetricAttributes;
use crate::settings::missing::Missing;
use crate::settings::queue::QueueSettings;
use crate::settings::streams::{ContentTypes, StreamDurations, StreamTerminators};
#[cfg(feature = "tracing")]
use crate::settings::tracing::TracingSettings;
use crate::text::{MAX_BYTES, truncate_cow};

/// A callback that reads a request.
pub(crate) type RequestFn<T> = dyn Fn(&request::Parts) -> T + Send + Sync;
/// A callback that reads the head of a response.
pub(crate) type ResponseFn<T> = dyn Fn(&response::Parts) -> T + Send + Sync;
/// A callback that names the kind of an error.
pub(crate) type ErrorTypeFn = dyn Fn(&DynError) -> Option<Cow<'static, str>> + Send + Sync;
pub(crate) type Classify = dyn Fn(&Completion) -> Outcome + Send + Sync;
pub(crate) type OnCompletion = dyn Fn(&Completion) + Send + Sync;

/// The settings of a layer, shared by all services it makes.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) propagation: Propagation,
    pub(crate) filter: Callback<RequestFn<bool>>,
    pub(crate) rate: Rate,
    pub(crate) public_endpoint: bool,
    pub(crate) public_endpoint_fn: Callback<RequestFn<bool>>,
    pub(crate) propagate_to_inner: bool,
    pub(crate) queue: QueueSettings,
    pub(crate) trace_headers: TraceHeaders,

    pub(crate) span_name: Option<Cow<'static, str>>,
    pub(crate) span_name_fn: Callback<RequestFn<Option<Cow<'static, str>>>>,
    pub(crate) route_fn: Callback<RequestFn<Option<Cow<'static, str>>>>,
    pub(crate) http_methods: HttpMethods,
    pub(crate) rpc_methods: RpcMethods,

    pub(crate) trusted_proxies: usize,
    pub(crate) proxy_headers: ProxyHeaders,
    pub(crate) scheme: Option<Cow<'static, str>>,
    pub(crate) peer_address_fn: Callback<RequestFn<Option<SocketAddr>>>,
    pub(crate) local_address_fn: Callback<RequestFn<Option<SocketAddr>>>,
    pub(crate) client_port: bool,

    pub(crate) sensitive_parameters: SensitiveParameters,
    pub(crate) sensitive_headers: SensitiveHeaders,
    pub(crate) request_headers: Captured,
    pub(crate) response_headers: Captured,
    pub(crate) body_sizes: bool,
    pub(crate) request_id_header: Option<HeaderName>,
    pub(crate) request_attributes: Callback<RequestFn<Vec<KeyValue>>>,
    pub(crate) response_attributes: Callback<ResponseFn<Vec<KeyValue>>>,

    pub(crate) classify: Callback<Classify>,
    pub(crate) on_completion: Callback<OnCompletion>,
    pub(crate) disconnect_is_error: bool,
    /// The limit, in bytes, on the message of an error.
    pub(crate) max_error_message: usize,
    pub(crate) error_type_fn: Callback<ErrorTypeFn>,
    /// Of the errors of services and bodies.
    pub(crate) error_panics: Arc<PanicReport>,

    pub(crate) metrics: MetricSettings,
    pub(crate) metric_attributes: MetricAttributes,
    pub(crate) stream_durations: StreamDurations,
    pub(crate) stream_content_types: ContentTypes,
    pub(crate) lifecycle_events: LifecycleEvents,
    /// The warnings about what is not set, each made once.
    pub(crate) missing: Missing,

    pub(crate) llm_formats: Formats,
    pub(crate) gen_ai_attributes: bool,
    pub(crate) stream_terminators: StreamTerminators,
    pub(crate) stream_errors: bool,
    pub(crate) journey_events: bool,

    #[cfg(feature = "tracing")]
    pub(crate) tracing: TracingSettings,
}

/// The optional metrics, except the sizes of bodies.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MetricSettings {
    pub(crate) active_requests: bool,
    pub(crate) response_times: bool,
    pub(crate) gen_ai: bool,
    /// Whether a request is measured that a layer outside measures already.
    pub(crate) nested: bool,
}

/// The same headers under the keys of HTTP and of gRPC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    pub(crate) http: CapturedHeaders,
    pub(crate) rpc: CapturedHeaders,
    /// gRPC also sends metadata after the messages.
    pub(crate) rpc_trailers: CapturedHeaders,
}

impl Captured {
    fn mark_sensitive(&mut self, sensitive: &SensitiveHeaders) {
        self.http.mark_sensitive(sensitive);
        self.rpc.mark_sensitive(sensitive);
        self.rpc_trailers.mark_sensitive(sensitive);
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            propagation: Propagation::Global,
            filter: Callback::default(),
            rate: Rate::ALL,
            public_endpoint: false,
            public_endpoint_fn: Callback::default(),
            propagate_to_inner: false,
            queue: QueueSettings::default(),
            trace_headers: TraceHeaders::default(),
            span_name: None,
            span_name_fn: Callback::default(),
            route_fn: Callback::default(),
            http_methods: HttpMethods::Standard,
            rpc_methods: RpcMethods::default(),
            trusted_proxies: 0,
            proxy_headers: ProxyHeaders::Either,
            scheme: None,
            peer_address_fn: Callback::default(),
            local_address_fn: Callback::default(),
            client_port: false,
            sensitive_parameters: SensitiveParameters::default(),
            sensitive_headers: SensitiveHeaders::default(),
            request_headers: Captured::default(),
            response_headers: Captured::default(),
            body_sizes: false,
            request_id_header: None,
            request_attributes: Callback::default(),
            response_attributes: Callback::default(),
            classify: Callback::default(),
            on_completion: Callback::default(),
            disconnect_is_error: true,
            max_error_message: MAX_BYTES,
            error_type_fn: Callback::default(),
            error_panics: Arc::new(PanicReport::new("the error's `Display`")),
            metrics: MetricSettings::default(),
            metric_attributes: MetricAttributes::default(),
            stream_durations: StreamDurations::default(),
            stream_content_types: ContentTypes::default(),
            lifecycle_events: LifecycleEvents::default(),
            missing: Missing::default(),
            llm_formats: Formats::default(),
            gen_ai_attributes: false,
            stream_terminators: StreamTerminators::default(),
            stream_errors: false,
            journey_events: false,
            #[cfg(feature = "tracing")]
            tracing: TracingSettings::default(),
        }
    }
}

/// The conventions' environment variable for the list of known methods.
const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

impl Settings {
    /// Returns the defaults, with what the environment sets.
    pub(crate) fn from_environment() -> Self {
        let known_methods = std::env::var(KNOWN_METHODS).ok();
        Self {
            http_methods: HttpMethods::from_comma_separated(known_methods.as_deref()),
            ..Self::default()
        }
    }

    /// Marks the captured headers whose values are redacted. To be called when one of these settings has changed.
    pub(crate) fn mark_sensitive_headers(&mut self) {
        self.request_headers.mark_sensitive(&self.sensitive_headers);
        self.response_headers
            .mark_sensitive(&self.sensitive_headers);
    }

    /// Whether this request is traced. It is if the filter panics.
    pub(crate) fn should_trace(&self, parts: &request::Parts) -> bool {
        let answer = self.filter.call(|filter| filter(parts));
        answer.is_none_or(|answer| answer.unwrap_or(true))
    }

    /// Whether the caller is untrusted, so that the request starts a new trace. If the callback panics, it is
    /// untrusted.
    pub(crate) fn is_public(&self, parts: &request::Parts) -> bool {
        let answer = || self.public_endpoint_fn.call(|is_public| is_public(parts));
        self.public_endpoint || answer().is_some_and(|answer| answer.unwrap_or(true))
    }

    /// Whether event streams are read: for their end or failures, or for the first event with data.
    pub(crate) fn reads_event_streams(&self) -> bool {
        let terminators = self.terminators();
        self.stream_errors
            || self.journey_events
            || !self.llm_formats.is_empty()
            || terminators.data.is_some()
            || terminators.event.is_some()
    }

    /// Returns the terminators of event streams.
    pub(crate) fn terminators(&self) -> Terminators<'_> {
        Terminators {
            data: self.stream_terminators.data.as_deref(),
            event: self.stream_terminators.event.as_deref(),
        }
    }

    /// Returns the name of this request's span, if the settings name it.
    pub(crate) fn name(&self, parts: &request::Parts) -> Option<Cow<'static, str>> {
        let name = call_for_text(&self.span_name_fn, parts);
        name.or_else(|| self.span_name.clone())
    }

    /// Returns the route of this request, if the settings have one.
    pub(crate) fn route(&self, parts: &request::Parts) -> Option<Cow<'static, str>> {
        call_for_text(&self.route_fn, parts)
    }

    /// Decides what an end means. Returns `None` if the user's classification panics.
    pub(crate) fn classify(&self, completion: &Completion) -> Option<Outcome> {
        match self.classify.call(|classify| classify(completion)) {
            Some(outcome) => outcome.ok().map(Outcome::bounded),
            None => Some(classify(completion)),
        }
    }

    /// Whether a callback reads the completion.
    pub(crate) fn passes_completion(&self) -> bool {
        self.classify.is_set()
            || self.on_completion.is_set()
            || self.metric_attributes.callback.is_set()
    }

    /// Whether headers of responses are recorded.
    pub(crate) fn captures_response(&self) -> bool {
        let Captured { http, rpc, .. } = &self.response_headers;
        !http.is_empty() || !rpc.is_empty()
    }

    /// Returns the operator's name for the kind of an error.
    pub(crate) fn error_type(&self, error: &DynError) -> Option<Cow<'static, str>> {
        let name = self.error_type_fn.call(|name| name(error))?.ok()??;
        bounded(name)
    }

    /// Whether streams have attribute `api.stream`.
    pub(crate) fn marks_streams(&self) -> bool {
        self.stream_durations == StreamDurations::Marked
    }
}

/// Returns the callback's text, unless it is empty or the callback panics.
#[inline]
fn call_for_text(
    callback: &Callback<RequestFn<Option<Cow<'static, str>>>>,
    parts: &request::Parts,
) -> Option<Cow<'static, str>> {
    let text = callback.call(|function| function(parts))?.ok()??;
    bounded(text)
}

/// Returns the text, truncated, unless it is empty.
fn bounded(text: Cow<'static, str>) -> Option<Cow<'static, str>> {
    Some(truncate_cow(text)).filter(|text| !text.is_empty())
}
