//! Setters: the providers of tracers, meters and loggers, and the propagator.

use opentelemetry::logs::LoggerProvider;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Tracer, TracerProvider};

use super::ApiSpanLayer;
use crate::propagation::Propagation;
use crate::provider::tracer::TracerSource;
use crate::telemetry::logs::Loggers;

impl ApiSpanLayer {
    /// Sets the tracer provider.
    ///
    /// Default: the [global one](crate#global-providers), which may be replaced later. A provider that is given here is
    /// not replaced, and the layer takes no lock for it.
    ///
    /// Keep the provider until all responses have ended, and shut it down yourself. Dropping its last clone blocks
    /// until export ends, so do not let a request drop it.
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

    /// Sets the meter provider.
    ///
    /// Default: the [global one](crate#global-providers), which may be replaced later. Requests that are active then
    /// are counted in the old one to their end. If the global provider's type has size 0, the layer creates an
    /// observable instrument, `api.server.probe`, to detect the API's no-op. The instrument observes no value.
    ///
    /// `NoopMeterProvider` turns metrics off. A `&dyn MeterProvider` is used as it is. Metrics are recorded
    /// with or without a span, but not for requests that are [filtered](Self::filter) out.
    ///
    /// ```
    /// use opentelemetry_sdk::metrics::SdkMeterProvider;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let provider = SdkMeterProvider::default();
    /// let layer = ApiSpanLayer::new().meter_provider(&provider);
    /// # let _ = layer;
    /// ```
    pub fn meter_provider<P>(self, provider: &P) -> Self
    where
        P: MeterProvider + ?Sized + 'static,
    {
        self.with_providers(|providers| providers.meters.set_provider(provider))
    }

    /// Sets the logger provider, for log events.
    ///
    /// Default: no log events, because the API has no global logger provider. So it cannot be replaced later.
    ///
    /// A request that ends with a disconnect, or with an error other than a status, emits an exception event. Its
    /// severity is DEBUG for a disconnect, else ERROR. Its name is `http.server.request.exception` or
    /// `rpc.server.call.exception`, and it has `exception.type` and `exception.message`. The type is the error's Rust
    /// type. If the error is boxed, it is the type of the innermost known error, else its
    /// [kind](Self::error_type_fn), else the reason. It is emitted while the span is open and current.
    /// [`lifecycle_events`](Self::lifecycle_events) may add other events.
    ///
    /// ```
    /// use opentelemetry_sdk::logs::SdkLoggerProvider;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let provider = SdkLoggerProvider::builder().build();
    /// let layer = ApiSpanLayer::new().logger_provider(&provider);
    /// # let _ = layer;
    /// ```
    pub fn logger_provider<P>(self, provider: &P) -> Self
    where
        P: LoggerProvider,
        P::Logger: Send + Sync + 'static,
    {
        self.with_providers(|providers| providers.loggers = Loggers::given(provider))
    }

    /// Sets the propagator. It extracts the caller's context from request headers, and injects the request's context
    /// for [`SpanHandle::inject`](crate::SpanHandle::inject).
    ///
    /// Default: the global propagator. Until the application sets one, callers are ignored.
    ///
    /// The propagator alone decides which headers are read, as with a direct
    /// [`extract`](TextMapPropagator::extract): it is called for each request. There are four differences:
    ///
    /// * It does not see a `traceparent` that is malformed or repeated, nor its `tracestate`.
    /// * It does not see a `tracestate` of more than 32 members. Empty members are not counted.
    /// * It sees several lines of `tracestate` or `baggage` as one.
    /// * A caller without a valid trace id and span id is ignored, such as the `X-Amzn-Trace-Id` of a load balancer.
    ///
    /// A span that is current around the layer stays the parent if the caller is in its trace.
    /// If the propagator panics, the request has no caller.
    ///
    /// ```
    /// use opentelemetry_sdk::propagation::TraceContextPropagator;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let layer = ApiSpanLayer::new().propagator(TraceContextPropagator::new());
    /// # let _ = layer;
    /// ```
    pub fn propagator(self, propagator: impl TextMapPropagator + Send + Sync + 'static) -> Self {
        self.with(|settings| settings.propagation = Propagation::given(propagator))
    }
}
