//! What a handler may say to the span of its request.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap};
use opentelemetry::{Context, KeyValue};

pub(crate) mod gen_ai;

use crate::catch_panic::catch_panic;
use crate::handle::gen_ai::GenAi;
use crate::outcome::Verdict;
use crate::propagation::Propagation;
use crate::propagation::current::current;
use crate::recording::buffer::SpanBuffer;
use crate::recording::shared_span::SharedSpan;
use crate::semconv as key;
use crate::text::{format_bounded, truncate};

/// The span of a request, as its handler sees it.
///
/// Getting one never fails: where there is no span, because tracing is off or the request was
/// filtered out, the handle is inert, and so it is once the span has ended. A handle neither ends
/// the span nor keeps it open, may be cloned, sent to other threads and kept as long as one likes.
///
/// ```
/// use opentelemetry::KeyValue;
/// use tower_api_span::SpanHandle;
///
/// fn handler(request: &http::Request<()>) {
///     let span = SpanHandle::from_extensions(request.extensions());
///     span.set_attribute(KeyValue::new("tenant", "blue"));
///     if request.uri().path() == "/broken" {
///         span.abort("generation_error", "the engine ran out of memory");
///     }
/// }
/// # handler(&http::Request::new(()));
/// ```
///
/// With feature `axum` it is an extractor that never rejects:
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use tower_api_span::SpanHandle;
///
/// async fn handler(span: SpanHandle) {
///     span.add_event("cache.miss", Vec::new());
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(handler));
/// # }
/// ```
#[derive(Clone, Default)]
pub struct SpanHandle(Option<Request>);

#[derive(Clone)]
struct Request {
    span: Arc<SharedSpan>,
    context: Context,
    propagation: Propagation,
}

impl SpanHandle {
    pub(crate) fn new(span: Arc<SharedSpan>, context: Context, propagation: Propagation) -> Self {
        Self(Some(Request {
            span,
            context,
            propagation,
        }))
    }

    /// The handle that the layer has put into a request's extensions; an inert one if there is
    /// none.
    ///
    /// ```
    /// let span = tower_api_span::SpanHandle::from_extensions(&http::Extensions::new());
    /// assert!(!span.is_recording());
    /// ```
    #[must_use]
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Whether what is told here will be seen on a span: it is open and records. Routes, verdicts and
    /// what language models need are heard by metrics and logs as well, where there are any.
    ///
    /// ```
    /// assert!(!tower_api_span::SpanHandle::default().is_recording());
    /// ```
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|request| request.span.is_open_and_recording())
    }

    /// Sets an attribute of the span.
    ///
    /// The last value of a key wins; the first 128 keys are kept, and how
    /// many were too many is in `api.dropped_attributes`. What the layer has written at the
    /// start keeps its value, and `http.response.status_code`, `rpc.status_code`, `error.type` and
    /// `api.*` are the layer's alone: an error is told with [`abort`](Self::abort).
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.set_attribute(opentelemetry::KeyValue::new("tenant", "blue"));
    /// ```
    pub fn set_attribute(&self, attribute: KeyValue) {
        self.set_attributes([attribute]);
    }

    /// Sets attributes of the span, as [`set_attribute`](Self::set_attribute) does.
    ///
    /// An iterator that panics has set none.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::KeyValue;
    ///
    /// span.set_attributes([KeyValue::new("tenant", "blue"), KeyValue::new("retries", 2)]);
    /// ```
    pub fn set_attributes(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        if !self.accepts_records() {
            return;
        }
        // The caller's iterator runs before the lock is taken: it may use this very handle.
        let attributes = catch_panic(|| attributes.into_iter().collect::<Vec<_>>());
        self.record(|buffer| {
            for attribute in attributes.unwrap_or_default() {
                buffer.set_attribute(attribute);
            }
        });
    }

    /// Tells the route: the template of the path, of low cardinality, such as `/users/{id}`.
    ///
    /// Sets `http.route` and the span's name, `{method} {route}`, unless a route was known at the
    /// start. An empty one is none; the last one wins; it is cut at 1,024 bytes. Samplers do not see it, they have
    /// decided. A gRPC call has a name of its own and no route.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.set_route("/users/{id}");
    /// ```
    pub fn set_route(&self, route: &str) {
        if !route.is_empty() {
            self.record(|buffer| buffer.route = Some(truncate(route).to_owned()));
        }
    }

    /// Adds an event to the span, with the time of now.
    ///
    /// The first 120 of a request are kept, so that the terminal event always fits into the 128
    /// that the SDK keeps by default; with a smaller limit of its own it may be lost. How many were
    /// too many is in `api.dropped_events`. A name that is empty or begins with `api.` adds none.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.add_event("cache.miss", vec![opentelemetry::KeyValue::new("key", "model")]);
    /// ```
    pub fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
        if let Some(request) = &self.0
            && let Some(name) = catch_panic(|| name.into())
        {
            request.span.add_event(name, attributes, |now| now);
        }
    }

    /// Says that this response is not well, whatever it looks like on the wire: its outcome will be
    /// `ABORTED(reason)`. The first verdict counts; only a panic outweighs it. The response itself
    /// is not touched.
    ///
    /// `reason` is of low cardinality and becomes `api.abort.reason` and `error.type`, with status
    /// Error; `validation_error` and `client_error` are the caller's fault and leave the status
    /// Unset. `message` is cut at 1,024 bytes; an empty one is none.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.abort("generation_error", "the engine ran out of memory");
    /// span.abort("quota", format_args!("{} tokens left", 0));
    /// ```
    pub fn abort(&self, reason: &'static str, message: impl fmt::Display) {
        if !self.accepts_records() {
            return;
        }
        let verdict = Verdict::new(reason, format_bounded(&message));
        self.record(|buffer| {
            buffer.verdict.get_or_insert(verdict);
        });
    }

    /// Says that the client is meant to leave when it likes, as from an endless feed: dropping the
    /// response is no error then. The outcome still says `ABORTED(client_disconnect)`, with status
    /// Unset.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.allow_disconnect();
    /// ```
    pub fn allow_disconnect(&self) {
        self.record(|buffer| buffer.is_disconnect_allowed = true);
    }

    /// Says that this response is a stream, whatever its content type: how long it takes says nothing
    /// of latency. It is for metrics, see `ApiSpanLayer::stream_durations` with feature `metrics`.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.declare_stream();
    /// ```
    pub fn declare_stream(&self) {
        self.record(|buffer| buffer.is_stream = true);
    }

    /// Says that the request has been handed to the engine: event `api.HANDOFF_TO_CORE`, with the
    /// time of now, once.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.handoff_to_core();
    /// ```
    pub fn handoff_to_core(&self) {
        if let Some(request) = &self.0 {
            request.span.add_lifecycle_event(key::EVENT_HANDOFF_TO_CORE);
        }
    }

    /// What only the handler of an LLM API knows, under the names of the `GenAI` conventions, which are
    /// unstable, and so is this view.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.gen_ai().request_model("llama-4").max_tokens(256);
    /// ```
    #[must_use]
    pub fn gen_ai(&self) -> GenAi<'_> {
        GenAi(self)
    }

    /// The request's context, to make children in: also for tasks that the handler spawns, also
    /// after the span's end. That of an inert handle is the current one.
    ///
    /// The span in it may be told things as well: attributes and events as here, a name, links; an
    /// Error status is a verdict with reason `exception` unless [`abort`](Self::abort) is called;
    /// `Ok` and ending it do nothing.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::trace::FutureExt;
    ///
    /// let task = async { /* children made here hang under the request's span */ };
    /// let task = task.with_context(span.context());
    /// # drop(task);
    /// ```
    #[must_use]
    pub fn context(&self) -> Context {
        match &self.0 {
            Some(request) => request.context.clone(),
            None => current(),
        }
    }

    /// Writes the request's context into the headers of a request to somebody else, with the
    /// layer's propagator: the given one, else the global one or, where that writes nothing because
    /// none is set, W3C's. An inert handle does not know of a given one: it writes the current context
    /// as if there were none.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// let mut to_the_engine = http::Request::get("http://engine.internal/").body(()).unwrap();
    /// span.inject(to_the_engine.headers_mut());
    /// ```
    pub fn inject(&self, headers: &mut HeaderMap) {
        match &self.0 {
            Some(request) => request.propagation.inject(&request.context, headers),
            None => Propagation::Global.inject(&current(), headers),
        }
    }

    /// Whether anybody listens: the span, metrics or logs.
    pub(crate) fn accepts_records(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|request| request.span.accepts_records())
    }

    /// The slot behind this handle, for who watches the request's body.
    pub(crate) fn shared_span(&self) -> Option<Arc<SharedSpan>> {
        self.0.as_ref().map(|request| Arc::clone(&request.span))
    }

    fn record(&self, f: impl FnOnce(&mut SpanBuffer)) {
        if let Some(request) = &self.0 {
            request.span.record(f);
        }
    }
}

impl fmt::Debug for SpanHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span_context = self.0.as_ref().map(|request| request.span.span_context());
        f.debug_tuple("SpanHandle").field(&span_context).finish()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for SpanHandle {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self::from_extensions(&parts.extensions))
    }
}
