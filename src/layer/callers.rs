//! Setters for the filter, the sampling rate, trust in callers, trace headers, and time in a queue.

use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderName, request};

use super::ApiSpanLayer;
use crate::propagation::sampling::Rate;
use crate::protocol::http::request_start::parse_request_start;
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Sets which requests are traced.
    ///
    /// Default: all requests. If the callback panics, the request is traced.
    ///
    /// A request that is not traced also has no metrics and no log events. It still propagates the caller's context.
    /// Without an access log or [`on_completion`](Self::on_completion) its handle is inert; with one, the handle records for
    /// it. The handle of an outer layer stays.
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
    /// The trace id decides before a span is started, as in the SDK's `TraceIdRatioBased`. A request that is sampled
    /// out has no span. It propagates a context whose sampled flag is cleared, so that its child spans are dropped,
    /// too. The rate never samples a request whose caller is not sampled.
    ///
    /// Without a parent a random number decides, because the trace id is not known before the span starts. So set
    /// the rate only where traces begin. A rate at a later service drops a share of the remaining traces.
    /// [`propagate_to_inner`](Self::propagate_to_inner) and [`SpanHandle::inject`](crate::SpanHandle::inject)
    /// propagate the cleared flag.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().sample_rate(0.1);
    /// # let _ = layer;
    /// ```
    pub fn sample_rate(self, rate: f64) -> Self {
        self.with(|settings| settings.rate = Rate::new(rate))
    }

    /// Sets whether all callers are untrusted, as on the public internet.
    ///
    /// Default: false.
    ///
    /// The trace context of an untrusted caller decides neither the trace nor its sampling. Each request starts a
    /// new trace and links the caller's span. The caller's baggage is dropped, with or without a span. A span that
    /// is current around the layer is still the parent.
    ///
    /// By default the headers are unchanged, so inner code that reads them again trusts the caller. With
    /// [`propagate_to_inner`](Self::propagate_to_inner) the layer removes the caller's context and baggage from
    /// them, with or without a span: the trace headers of all formats listed there, `baggage`, the fields of the
    /// propagator, and any other header that the propagator needs to find the caller. If the request has a span,
    /// headers that would add to its trace state are removed, too.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().public_endpoint(true);
    /// # let _ = layer;
    /// ```
    pub fn public_endpoint(self, is_public: bool) -> Self {
        self.with(|settings| settings.public_endpoint = is_public)
    }

    /// Sets which callers are untrusted, in addition to [`public_endpoint`](Self::public_endpoint).
    ///
    /// Default: no callers. If the callback panics, the caller is untrusted.
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

    /// Sets whether the request's headers carry the span's context to the inner service, instead of the caller's.
    ///
    /// Default: false.
    ///
    /// If true, spans of the services behind a reverse proxy are children of the proxy's span, without other code.
    ///
    /// The [propagator](Self::propagator) writes the headers. The caller's other trace headers are removed, so that
    /// every format leads to the same span. They are `traceparent`, `tracestate`, `b3`, `x-b3-*`, `uber-trace-id`,
    /// `uberctx-*`, `x-amzn-trace-id`, `_x_amzn_trace_id`, `x-cloud-trace-context`, `x-datadog-*`, `ot-tracer-*`,
    /// `grpc-trace-bin`, `sentry-trace`, and the propagator's fields.
    ///
    /// Trace headers and `baggage` of [untrusted callers](Self::public_endpoint) are removed. A trusted caller's
    /// `baggage` stays. Its trace headers stay in two cases: the request has no span, or the propagator writes none. If
    /// [`sample_rate`](Self::sample_rate) drops a request, its sampled flag is cleared. If no propagator is set at all,
    /// the layer writes W3C headers.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().propagate_to_inner(true);
    /// # let _ = layer;
    /// ```
    pub fn propagate_to_inner(self, propagates: bool) -> Self {
        self.with(|settings| settings.propagate_to_inner = propagates)
    }

    /// Sets whether the response has header `traceresponse` (W3C), which contains the ids of the SERVER span.
    ///
    /// Default: false.
    ///
    /// A value that the handler has set is kept. A request without a span gets no header, as when tracing is off or
    /// the request is filtered out or sampled out by [`sample_rate`](Self::sample_rate).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().traceresponse(true);
    /// # let _ = layer;
    /// ```
    pub fn traceresponse(self, is_written: bool) -> Self {
        self.with(|settings| settings.trace_headers.traceresponse = is_written)
    }

    /// Sets whether the response has header `Server-Timing` with `traceparent;desc="…"`, which browser scripts can
    /// read.
    ///
    /// Default: false.
    ///
    /// The handler's metrics in the header are kept. If they include `traceparent`, the layer adds no other. A
    /// request without a span gets no header, as with [`traceresponse`](Self::traceresponse).
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().server_timing(true);
    /// # let _ = layer;
    /// ```
    pub fn server_timing(self, is_written: bool) -> Self {
        self.with(|settings| settings.trace_headers.server_timing = is_written)
    }

    /// Sets whether `traceresponse` and `Server-Timing` are listed in `Access-Control-Expose-Headers`, so that
    /// scripts of other origins can read them.
    ///
    /// Default: false.
    ///
    /// For the timing entries browsers also require `Timing-Allow-Origin`, which the application sets. A `CorsLayer`
    /// outside this layer that exposes headers overwrites the list. Name both headers there.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().traceresponse(true).expose_trace_headers(true);
    /// # let _ = layer;
    /// ```
    pub fn expose_trace_headers(self, are_exposed: bool) -> Self {
        self.with(|settings| settings.trace_headers.exposed = are_exposed)
    }

    /// Sets the header in which a proxy writes the time at which it received the request, such as `X-Request-Start`. The time
    /// from then to the arrival is `api.queue_time` (double, seconds).
    ///
    /// Default: none.
    ///
    /// The value is a time since 1970, in seconds with a fraction (nginx: `t=${msec}`), milliseconds (Heroku),
    /// microseconds (Apache: `t=%t`) or nanoseconds, with or without `t=`. Another value, a time in the future and one
    /// longer ago than an hour are ignored. A client can forge the header, unless a proxy replaces it. The clocks of the
    /// two machines differ by some milliseconds.
    ///
    /// ```
    /// use http::HeaderName;
    ///
    /// let header = HeaderName::from_static("x-request-start");
    /// let layer = tower_api_span::ApiSpanLayer::new().queue_start_header(header);
    /// # let _ = layer;
    /// ```
    pub fn queue_start_header(self, name: HeaderName) -> Self {
        self.queue_start_fn(move |parts| parse_request_start(parts.headers.get(&name)?))
    }

    /// Sets the function that returns the time at which a request began to wait, in place of [`queue_start_header`](Self::queue_start_header): for a queue in
    /// the process, which puts the time into the request's extensions.
    ///
    /// Default: none. If the callback panics, the time is unknown.
    ///
    /// ```
    /// use std::time::SystemTime;
    ///
    /// #[derive(Clone)]
    /// struct Queued(SystemTime);
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .queue_start_fn(|parts| parts.extensions.get::<Queued>().map(|queued| queued.0));
    /// # let _ = (layer, Queued(SystemTime::now()));
    /// ```
    pub fn queue_start_fn(
        self,
        start: impl Fn(&request::Parts) -> Option<SystemTime> + Send + Sync + 'static,
    ) -> Self {
        self.with(|settings| {
            settings.queue.start = Callback::new("ApiSpanLayer::queue_start_fn", Arc::new(start));
        })
    }

    /// Sets whether the span starts when the request began to wait, if that is known.
    ///
    /// Default: false: the span starts when the request arrives. Durations in metrics, in the access log and in a
    /// [`Completion`](crate::Completion) begin at the arrival in either case, and so does event `api.ARRIVED`.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().start_in_queue(true);
    /// # let _ = layer;
    /// ```
    pub fn start_in_queue(self, starts: bool) -> Self {
        self.with(|settings| settings.queue.starts_span = starts)
    }
}
