//! The layer: configured here, applied here. Each file has the settings of one matter.

mod addresses;
mod attributes;
mod callers;
mod llm;
mod logs;
mod metrics;
mod names;

use std::sync::Arc;

use http::HeaderName;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Tracer, TracerProvider};
use tower_layer::Layer;

use crate::exchange::shared::{Providers, Shared};
use crate::middleware::service::ApiSpan;
use crate::outcome::lifecycle::LifecycleEvents;
use crate::outcome::{End, Head, Outcome, Verdict};
use crate::propagation::Propagation;
use crate::provider::tracer::TracerSource;
use crate::settings::Settings;
use crate::settings::callback::Callback;

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
    shared: Arc<Shared>,
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
    /// [`stream_errors`](Self::stream_errors) and [`journey_events`](Self::journey_events), and with
    /// feature `metrics` the metrics of language models.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::llm();
    /// # let _ = layer;
    /// ```
    pub fn llm() -> Self {
        let layer = Self::new();
        layer
            .gen_ai_metrics(true)
            .span_name("llm_request")
            .request_id_header(HeaderName::from_static("x-request-id"))
            .stream_terminator("[DONE]")
            .stream_errors(true)
            .journey_events(true)
    }

    /// Where spans come from; by default the global provider. With a given one, no lock is shared
    /// between requests.
    ///
    /// Keep the provider until all responses have ended, and shut it down yourself: who drops the last of it
    /// waits for its exporters, and that would be a request.
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
        self.with_providers(|providers| providers.tracers = TracerSource::given(provider))
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
        self.with(|config| config.propagation = Propagation::given(propagator))
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
        self.with(|config| config.classify = Callback::new(Arc::new(classify)))
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

    /// Where the events of a request's life are told; by default on its span.
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, LifecycleEvents};
    ///
    /// let layer = ApiSpanLayer::new().lifecycle_events(LifecycleEvents::AsLogs);
    /// # let _ = layer;
    /// ```
    pub fn lifecycle_events(self, where_to: LifecycleEvents) -> Self {
        self.with(|config| config.lifecycle_events = where_to)
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).settings);
        self
    }

    fn with_providers(mut self, change: impl FnOnce(&mut Providers)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).providers);
        self
    }
}

impl<S> Layer<S> for ApiSpanLayer {
    type Service = ApiSpan<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApiSpan::with_shared(inner, Arc::clone(&self.shared))
    }
}
