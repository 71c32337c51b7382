//! Every setting and its default; no behaviour beyond asking them.

pub(crate) mod callback;

use std::borrow::Cow;
use std::net::SocketAddr;

use http::{HeaderName, request, response};
use opentelemetry::KeyValue;

use crate::catch_panic::catch_panic;
use crate::outcome::lifecycle::LifecycleEvents;
use crate::outcome::{End, Head, Outcome, Verdict, classify};
use crate::propagation::Propagation;
use crate::propagation::sampling::Rate;
use crate::protocol::http::captured::{CapturedHeaders, SensitiveHeaders};
use crate::protocol::http::forwarded::ProxyHeaders;
use crate::protocol::http::methods::{HttpMethods, RpcMethods};
use crate::protocol::http::query::SensitiveParameters;
use crate::protocol::http::trace_headers::TraceHeaders;
use crate::provider::tracer::TracerSource;
use crate::settings::callback::Callback;
use crate::telemetry::logs::Loggers;
use crate::telemetry::metrics::Meters;

/// What is asked of a request.
pub(crate) type OfRequest<T> = dyn Fn(&request::Parts) -> T + Send + Sync;
/// What is asked of the head of a response.
pub(crate) type OfResponse<T> = dyn Fn(&response::Parts) -> T + Send + Sync;
pub(crate) type Classify = dyn Fn(&Head, &End, Option<&Verdict>) -> Outcome + Send + Sync;

/// The settings of a layer, shared by all services it makes.
#[expect(clippy::struct_excessive_bools, reason = "settings are what they are")]
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) tracer: TracerSource,
    pub(crate) propagation: Propagation,
    pub(crate) filter: Callback<OfRequest<bool>>,
    pub(crate) rate: Rate,
    pub(crate) public_endpoint: bool,
    pub(crate) public_endpoint_fn: Callback<OfRequest<bool>>,
    pub(crate) propagate_to_inner: bool,
    pub(crate) trace_headers: TraceHeaders,

    pub(crate) span_name: Option<Cow<'static, str>>,
    pub(crate) span_name_fn: Callback<OfRequest<Option<Cow<'static, str>>>>,
    pub(crate) route_fn: Callback<OfRequest<Option<Cow<'static, str>>>>,
    pub(crate) http_methods: HttpMethods,
    pub(crate) rpc_methods: RpcMethods,

    pub(crate) trusted_proxies: usize,
    pub(crate) proxy_headers: ProxyHeaders,
    pub(crate) scheme: Option<Cow<'static, str>>,
    pub(crate) peer_address_fn: Callback<OfRequest<Option<SocketAddr>>>,
    pub(crate) local_address_fn: Callback<OfRequest<Option<SocketAddr>>>,
    pub(crate) client_port: bool,

    pub(crate) sensitive_parameters: SensitiveParameters,
    pub(crate) sensitive_headers: SensitiveHeaders,
    pub(crate) request_headers: Captured,
    pub(crate) response_headers: Captured,
    pub(crate) body_sizes: bool,
    pub(crate) request_id_header: Option<HeaderName>,
    pub(crate) request_attributes: Callback<OfRequest<Vec<KeyValue>>>,
    pub(crate) response_attributes: Callback<OfResponse<Vec<KeyValue>>>,

    pub(crate) classify: Callback<Classify>,
    pub(crate) disconnect_is_error: bool,

    pub(crate) meters: Meters,
    pub(crate) loggers: Loggers,
    pub(crate) lifecycle_events: LifecycleEvents,

    pub(crate) stream_terminator: Option<Cow<'static, str>>,
    pub(crate) stream_errors: bool,
    pub(crate) journey_events: bool,
}

/// The same headers under the keys of HTTP and of gRPC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captured {
    pub(crate) http: CapturedHeaders,
    pub(crate) rpc: CapturedHeaders,
    /// gRPC sends metadata after the response, too.
    pub(crate) rpc_trailers: CapturedHeaders,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tracer: TracerSource::global(),
            propagation: Propagation::Global,
            filter: Callback::default(),
            rate: Rate::ALL,
            public_endpoint: false,
            public_endpoint_fn: Callback::default(),
            propagate_to_inner: false,
            trace_headers: TraceHeaders::default(),
            span_name: None,
            span_name_fn: Callback::default(),
            route_fn: Callback::default(),
            http_methods: HttpMethods::from_comma_separated(
                std::env::var(KNOWN_METHODS).ok().as_deref(),
            ),
            rpc_methods: RpcMethods::All,
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
            disconnect_is_error: true,
            meters: Meters::default(),
            loggers: Loggers::default(),
            lifecycle_events: LifecycleEvents::default(),
            stream_terminator: None,
            stream_errors: false,
            journey_events: false,
        }
    }
}

/// The variable that the conventions have for the list of known methods.
const KNOWN_METHODS: &str = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS";

impl Settings {
    /// Whether this request is traced. A filter that panics has not said no.
    pub(crate) fn lets_through(&self, parts: &request::Parts) -> bool {
        match self.filter.get() {
            Some(filter) => catch_panic(|| filter(parts)).unwrap_or(true),
            None => true,
        }
    }

    /// Whether the caller of this request is a stranger. A function that panics has not said that it
    /// is a friend.
    pub(crate) fn is_public(&self, parts: &request::Parts) -> bool {
        self.public_endpoint
            || self
                .public_endpoint_fn
                .get()
                .is_some_and(|is_public| catch_panic(|| is_public(parts)).unwrap_or(true))
    }

    /// Whether event streams are read as they pass.
    pub(crate) fn reads_streams(&self) -> bool {
        self.stream_terminator.is_some() || self.stream_errors
    }

    /// The name that the settings give this span, in place of the conventions'.
    pub(crate) fn name(&self, parts: &request::Parts) -> Option<Cow<'static, str>> {
        let by_function = self.span_name_fn.get();
        let by_function = by_function.and_then(|function| text_of(function, parts));
        by_function.or_else(|| self.span_name.clone())
    }

    /// The route that the settings give this request, in place of the framework's.
    pub(crate) fn route(&self, parts: &request::Parts) -> Option<Cow<'static, str>> {
        text_of(self.route_fn.get()?, parts)
    }

    /// What an end means; `None` if the user's classification panics.
    pub(crate) fn classify(
        &self,
        head: &Head,
        end: &End,
        verdict: Option<&Verdict>,
    ) -> Option<Outcome> {
        match self.classify.get() {
            Some(user) => catch_panic(|| user(head, end, verdict)).map(Outcome::bounded),
            None => Some(classify(head, end, verdict)),
        }
    }
}

/// What a function of the user's says; nothing if that is empty, or if it panics.
fn text_of(
    function: &OfRequest<Option<Cow<'static, str>>>,
    parts: &request::Parts,
) -> Option<Cow<'static, str>> {
    let text = catch_panic(|| function(parts)).flatten()?;
    Some(crate::text::truncate_cow(text)).filter(|text| !text.is_empty())
}
