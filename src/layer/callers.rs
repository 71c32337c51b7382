//! Settings: which requests are traced, and what is believed of their callers.

use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::propagation::sampling::Rate;
use crate::settings::callback::Callback;

impl ApiSpanLayer {
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
        self.with(|config| config.filter = Callback::new(Arc::new(is_traced)))
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

    /// Every caller is a stranger: what comes from the public internet may set no trace of ours, nor
    /// have it sampled or not; by default false. Each request starts a trace of its own, the caller's
    /// span is a link of it, and the caller's baggage is dropped, also where there is no span. What is
    /// current around the layer stays the parent.
    ///
    /// The request's headers are as they came, so that what reads them anew inside believes the caller
    /// all the same: [`propagate_to_inner`](Self::propagate_to_inner) takes the stranger out of them,
    /// with the baggage, whether or not there is a span.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().public_endpoint(true);
    /// # let _ = layer;
    /// ```
    pub fn public_endpoint(self, is_public: bool) -> Self {
        self.with(|config| config.public_endpoint = is_public)
    }

    /// Which callers are strangers, beside all of them with
    /// [`public_endpoint`](Self::public_endpoint); by default none. A function that panics has not
    /// said that somebody is a friend.
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
        self.with(|config| config.public_endpoint_fn = Callback::new(Arc::new(is_public)))
    }

    /// Whether the response has header `traceresponse` (W3C), by which a caller finds the request's
    /// trace; by default false. One that the handler has set stays. There is none without a span: off,
    /// filtered out, or sampled out by [`sample_rate`](Self::sample_rate).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().traceresponse(true);
    /// # let _ = layer;
    /// ```
    pub fn traceresponse(self, is_written: bool) -> Self {
        self.with(|config| config.trace_headers.traceresponse = is_written)
    }

    /// Whether the response has header `Server-Timing` with `traceparent;desc="…"`, by which scripts in
    /// browsers find the request's trace; by default false. What the handler has measured stays, and so
    /// does a `traceparent` of its own. When there is none is as with
    /// [`traceresponse`](Self::traceresponse).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().server_timing(true);
    /// # let _ = layer;
    /// ```
    pub fn server_timing(self, is_written: bool) -> Self {
        self.with(|config| config.trace_headers.server_timing = is_written)
    }

    /// Whether these two are named in `Access-Control-Expose-Headers`, so that scripts of other origins
    /// may read `traceresponse`; by default false. (For `Server-Timing` browsers want
    /// `Timing-Allow-Origin` as well, which is for the application to say.) A `CorsLayer` outside that
    /// exposes headers itself writes that list anew: then both are to be named there.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().traceresponse(true).expose_trace_headers(true);
    /// # let _ = layer;
    /// ```
    pub fn expose_trace_headers(self, are_exposed: bool) -> Self {
        self.with(|config| config.trace_headers.exposed = are_exposed)
    }

    /// Whether the request that the inner service gets carries the span's context in its headers, in
    /// place of the caller's; by default false. With it, a reverse proxy makes the spans of what is
    /// behind it children of its own, with no code. Baggage stays as it came, and so do all headers
    /// without a span (but for strangers': [`public_endpoint`](Self::public_endpoint)); of a request that [`sample_rate`](Self::sample_rate) has sampled out they say
    /// so.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().propagate_to_inner(true);
    /// # let _ = layer;
    /// ```
    pub fn propagate_to_inner(self, is_rewritten: bool) -> Self {
        self.with(|config| config.propagate_to_inner = is_rewritten)
    }
}
