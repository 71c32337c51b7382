//! Setters: which requests are traced, which callers are trusted, and what they get back.

use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::propagation::sampling::Rate;
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Sets which requests are traced.
    ///
    /// Default: all. If the callback panics, the request is traced.
    ///
    /// The caller's context propagates also through a request that is not traced. Its handle is inert,
    /// or that of another layer outside this one.
    ///
    /// ```
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let layer = ApiSpanLayer::new().filter(|request| request.uri.path() != "/health");
    /// # let _ = layer;
    /// ```
    pub fn filter(
        self,
        should_trace: impl Fn(&request::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| {
            config.filter = Callback::new("ApiSpanLayer::filter", Arc::new(should_trace));
        })
    }

    /// Sets the share of traces that is sampled, from 0 to 1.
    ///
    /// Default: 1.
    ///
    /// The trace id decides, before any span work, as in the SDK's `TraceIdRatioBased`. A request that
    /// is sampled out has an inert handle. It propagates a context whose sampled flag is cleared, so
    /// that spans inside and behind it are dropped, too. A caller that is not sampled stays so at any
    /// rate.
    ///
    /// Without a caller a random number decides, because the trace id is not known before the span
    /// starts. So set a rate where traces begin: a rate behind it would decide anew, by the trace id.
    /// [`propagate_to_inner`](Self::propagate_to_inner) and the inert handle's
    /// [`inject`](crate::SpanHandle::inject) pass on that the trace is not sampled.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().sample_rate(0.1);
    /// # let _ = layer;
    /// ```
    pub fn sample_rate(self, rate: f64) -> Self {
        self.with(|config| config.rate = Rate::new(rate))
    }

    /// Sets whether all callers are untrusted, as on the public internet.
    ///
    /// Default: false.
    ///
    /// An untrusted caller decides neither the trace nor its sampling. Each request starts a new trace
    /// and links the caller's span. The caller's baggage is dropped, with or without a span. A span that
    /// is current around the layer stays the parent.
    ///
    /// The request's headers are unchanged, so code inside that reads them again trusts the caller.
    /// With [`propagate_to_inner`](Self::propagate_to_inner) the caller's context and baggage are
    /// removed from them, with or without a span.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().public_endpoint(true);
    /// # let _ = layer;
    /// ```
    pub fn public_endpoint(self, is_public: bool) -> Self {
        self.with(|config| config.public_endpoint = is_public)
    }

    /// Sets which callers are untrusted, in addition to [`public_endpoint`](Self::public_endpoint).
    ///
    /// Default: none. If the callback panics, the caller is untrusted.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .public_endpoint_fn(|request| !request.headers.contains_key("x-internal-token"));
    /// # let _ = layer;
    /// ```
    pub fn public_endpoint_fn(
        self,
        is_public: impl Fn(&request::Parts) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| {
            config.public_endpoint_fn =
                Callback::new("ApiSpanLayer::public_endpoint_fn", Arc::new(is_public));
        })
    }

    /// Sets whether the inner service's request carries the span's context in its headers, in place of
    /// the caller's.
    ///
    /// Default: false. If true, a reverse proxy makes the spans of the services behind it children of
    /// its own, without code.
    ///
    /// Baggage is unchanged. Without a span all headers are unchanged, with two exceptions. Headers of
    /// [untrusted callers](Self::public_endpoint) are removed. Those of a request that
    /// [`sample_rate`](Self::sample_rate) has sampled out are marked as not sampled.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().propagate_to_inner(true);
    /// # let _ = layer;
    /// ```
    pub fn propagate_to_inner(self, propagates: bool) -> Self {
        self.with(|config| config.propagate_to_inner = propagates)
    }

    /// Sets whether the response has header `traceresponse` (W3C), by which a caller finds the request's
    /// trace.
    ///
    /// Default: false. A value that the handler has set is kept. Without a span there is no header:
    /// tracing is off, or the request is filtered out, or sampled out by
    /// [`sample_rate`](Self::sample_rate).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().traceresponse(true);
    /// # let _ = layer;
    /// ```
    pub fn traceresponse(self, is_written: bool) -> Self {
        self.with(|config| config.trace_headers.traceresponse = is_written)
    }

    /// Sets whether the response has header `Server-Timing` with `traceparent;desc="…"`, by which browser
    /// scripts find the request's trace.
    ///
    /// Default: false. The handler's metrics in the header are kept, and so is a `traceparent` of its
    /// own. Without a span there is no header, as with [`traceresponse`](Self::traceresponse).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().server_timing(true);
    /// # let _ = layer;
    /// ```
    pub fn server_timing(self, is_written: bool) -> Self {
        self.with(|config| config.trace_headers.server_timing = is_written)
    }

    /// Sets whether these two headers are listed in `Access-Control-Expose-Headers`, so that scripts of
    /// other origins may read `traceresponse`.
    ///
    /// Default: false.
    ///
    /// For `Server-Timing` browsers also require `Timing-Allow-Origin`, which the application sets. A
    /// `CorsLayer` outside this layer that exposes headers overwrites the list: name both headers there.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().traceresponse(true).expose_trace_headers(true);
    /// # let _ = layer;
    /// ```
    pub fn expose_trace_headers(self, are_exposed: bool) -> Self {
        self.with(|config| config.trace_headers.exposed = are_exposed)
    }
}
