//! The layer: configured here, applied here.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderName, request};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Tracer, TracerProvider};
use tower_layer::Layer;

use crate::config::Config;
use crate::outcome::{End, Head, Outcome, Verdict};
use crate::propagation::Propagation;
use crate::sampling::Rate;
use crate::service::ApiSpan;
use crate::tracer::TracerSource;

/// Opens one OpenTelemetry SERVER span for each request and ends it exactly once, at the true end
/// of the response.
///
/// A layer and the services it makes share their settings; cloning any of them is cheap.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_api_span::ApiSpanLayer;
///
/// let service = ServiceBuilder::new()
///     .layer(ApiSpanLayer::new())
///     .service_fn(async |_: http::Request<()>| {
///         Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
///     });
/// # let _ = service;
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ApiSpanLayer {
    config: Arc<Config>,
}

impl ApiSpanLayer {
    /// A layer with the global tracer provider and propagator, and the conventions for HTTP and
    /// gRPC.
    ///
    /// The global provider may be set later: while there is none, requests are served without a
    /// span. It is looked for at the 1st, 2nd, 4th, 8th … request and at every 1,024th, so that after
    /// it is set up to 1,023 requests may pass without one: set it first. The first one that makes a
    /// span is kept.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new();
    /// # let _ = layer;
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer for an API in front of a language model: all of [`new`](Self::new), with
    /// [`span_name`](Self::span_name) `llm_request`, [`request_id_header`](Self::request_id_header)
    /// `x-request-id`, [`stream_terminator`](Self::stream_terminator) `[DONE]`,
    /// [`stream_errors`](Self::stream_errors) and [`journey_events`](Self::journey_events).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::llm();
    /// # let _ = layer;
    /// ```
    pub fn llm() -> Self {
        Self::new()
            .span_name("llm_request")
            .request_id_header(HeaderName::from_static("x-request-id"))
            .stream_terminator("[DONE]")
            .stream_errors(true)
            .journey_events(true)
    }

    /// Where spans come from; by default the global provider. With a given one, no lock is shared
    /// between requests.
    ///
    /// ```
    /// use opentelemetry_sdk::trace::SdkTracerProvider;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let provider = SdkTracerProvider::default();
    /// let layer = ApiSpanLayer::new().tracer_provider(&provider);
    /// # let _ = layer;
    /// ```
    pub fn tracer_provider<P>(self, provider: &P) -> Self
    where
        P: TracerProvider,
        P::Tracer: Send + Sync + 'static,
        <P::Tracer as Tracer>::Span: Send + Sync + 'static,
    {
        self.with(|config| config.tracer = TracerSource::given(provider))
    }

    /// What reads the caller's context from the request's headers, and writes it for
    /// [`SpanHandle::inject`](crate::SpanHandle::inject); by default the global propagator, which
    /// reads nothing until the application sets one.
    ///
    /// It is asked if one of its [`fields`](TextMapPropagator::fields) is among the headers, and
    /// never sees a `traceparent` that is malformed or repeated.
    ///
    /// ```
    /// use opentelemetry_sdk::propagation::TraceContextPropagator;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let layer = ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    /// # let _ = layer;
    /// ```
    pub fn propagator(self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.with(|config| config.propagation = Propagation::Given(Arc::new(propagator)))
    }

    /// Which requests are traced; by default all. For one that is not, the caller's context still
    /// flows on, and the handle is inert (or that of another layer outside this one). A filter that
    /// panics has not said no: the request is traced.
    ///
    /// ```
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let layer = ApiSpanLayer::new().filter(|request| request.uri.path() != "/health");
    /// # let _ = layer;
    /// ```
    pub fn filter(
        self,
        is_traced: impl Fn(&request::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| config.filter = Some(Arc::new(is_traced)))
    }

    /// What an end means; by default [`classify`](crate::classify()), which a replacement may call
    /// for what it does not decide itself. If it panics, the span ends without a terminal event.
    /// Strings that it gives are cut at 1,024 bytes; an empty reason becomes `exception`, an empty
    /// error type `_OTHER`.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_api_span::{ApiSpanLayer, Outcome, classify};
    ///
    /// let layer = ApiSpanLayer::new().classify(|head, end, verdict| match head.status {
    ///     // Here "not found" is an answer like any other.
    ///     Some(StatusCode::NOT_FOUND) if verdict.is_none() => Outcome::Departed,
    ///     _ => classify(head, end, verdict),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn classify(
        self,
        classify: impl Fn(&Head, &End, Option<&Verdict>) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| config.classify = Some(Arc::new(classify)))
    }

    /// Whether a client that leaves is an error (`client_disconnect`, `generator_exit`); by default
    /// true. If not, the span's status stays Unset and it has no `error.type`; event and reason are
    /// the same. It acts after [`classify`](Self::classify), on a response that was dropped and of
    /// which the handler gave no verdict.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().disconnect_is_error(false);
    /// # let _ = layer;
    /// ```
    pub fn disconnect_is_error(self, is_error: bool) -> Self {
        self.with(|config| config.disconnect_is_error = is_error)
    }

    /// Which share of traces is sampled, from 0 to 1; by default 1. Decided before any span work, by
    /// the trace id, as the SDK's `TraceIdRatioBased` does. A request that is sampled out hands on a
    /// context whose sampled flag is cleared, so that the spans inside and behind it are dropped too;
    /// its handle is inert. A caller that is not sampled stays so, whatever the rate.
    ///
    /// Without a caller it is decided by chance, for the trace id is not known before there is a span.
    /// So set a rate where traces begin: another one behind it would decide anew, by the trace id.
    /// To who is behind, [`propagate_to_inner`](Self::propagate_to_inner) and the inert handle's
    /// [`inject`](crate::SpanHandle::inject) say that the trace is not sampled.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().sample_rate(0.1);
    /// # let _ = layer;
    /// ```
    pub fn sample_rate(self, rate: f64) -> Self {
        self.with(|config| config.rate = Rate::new(rate))
    }

    /// The name of all spans, in place of `{method} {route}` and its like; by default none. An empty
    /// one is none.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().span_name("checkout");
    /// # let _ = layer;
    /// ```
    pub fn span_name(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = Some(name.into()).filter(|name| !name.is_empty());
        self.with(|config| config.span_name = name)
    }

    /// The request header whose value becomes attribute `gen_ai.request.id`, cut at 1,024 bytes; by
    /// default none. A request without it gets no id.
    ///
    /// ```
    /// use http::HeaderName;
    ///
    /// let header = HeaderName::from_static("x-request-id");
    /// let layer = tower_api_span::ApiSpanLayer::new().request_id_header(header);
    /// # let _ = layer;
    /// ```
    pub fn request_id_header(self, name: HeaderName) -> Self {
        self.with(|config| config.request_id_header = Some(name))
    }

    /// The data of the event that ends an event stream; by default none. The span ends before the
    /// frame that completes this event's line is handed on, and what follows does not matter to it.
    ///
    /// Read in responses of `text/event-stream` without a content encoding, in frames whose `Buf` is
    /// contiguous. An empty one, or one longer than 1,000 bytes, is none.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_terminator("[DONE]");
    /// # let _ = layer;
    /// ```
    pub fn stream_terminator(self, data: impl Into<Cow<'static, str>>) -> Self {
        let data = Some(data.into()).filter(|data| (1..=1_000).contains(&data.len()));
        self.with(|config| config.stream_terminator = data)
    }

    /// Whether an error event in an event stream is a verdict `generation_error`, with its message;
    /// by default false. It is one of type `error`, or one whose data is a JSON object with first key
    /// `"error"`. Read where [`stream_terminator`](Self::stream_terminator) is.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().stream_errors(true);
    /// # let _ = layer;
    /// ```
    pub fn stream_errors(self, are_verdicts: bool) -> Self {
        self.with(|config| config.stream_errors = are_verdicts)
    }

    /// Whether the first non-empty data frame of a response below 400 is event `api.FIRST_RESPONSE_FROM_CORE` and, in an
    /// event stream, attribute `gen_ai.response.time_to_first_chunk` (double, seconds, from the
    /// arrival: the conventions measure it at the client); by default false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().journey_events(true);
    /// # let _ = layer;
    /// ```
    pub fn journey_events(self, are_added: bool) -> Self {
        self.with(|config| config.journey_events = are_added)
    }

    /// Whether the request that the inner service gets carries the span's context in its headers, in
    /// place of the caller's; by default false. With it, a reverse proxy makes the spans of what is
    /// behind it children of its own, with no code. Baggage stays as it came, and so do all headers
    /// without a span; of a request that [`sample_rate`](Self::sample_rate) has sampled out they say
    /// so.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().propagate_to_inner(true);
    /// # let _ = layer;
    /// ```
    pub fn propagate_to_inner(self, is_rewritten: bool) -> Self {
        self.with(|config| config.propagate_to_inner = is_rewritten)
    }

    fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(Arc::make_mut(&mut self.config));
        self
    }
}

impl<S> Layer<S> for ApiSpanLayer {
    type Service = ApiSpan<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApiSpan::with_config(inner, Arc::clone(&self.config))
    }
}
