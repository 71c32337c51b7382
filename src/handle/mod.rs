//! The handle by which a handler records on the span of its request. Imports nothing of the layer or
//! the exchange.

#[cfg(feature = "axum")]
mod extractor;
pub(crate) mod gen_ai;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{Extensions, HeaderMap};
use opentelemetry::{Context, KeyValue};

use crate::catch_panic::PanicReport;
use crate::outcome::Verdict;
use crate::propagation::Propagation;
use crate::propagation::current::current;
use crate::recording::buffer::SpanBuffer;
use crate::recording::shared_span::SharedSpan;
use crate::semconv as key;
use crate::text::{format_bounded, truncate};

/// A handle to the span of a request, for its handler.
///
/// Getting one never fails. Without a span, because tracing is off or the request was filtered out, the
/// handle is inert; after the span's end, too. A handle neither ends the span nor keeps it open. It may
/// be cloned, sent to other threads and kept.
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

    /// Returns the handle from a request's extensions, where the layer inserts it, else an inert one.
    ///
    /// ```
    /// let span = tower_api_span::SpanHandle::from_extensions(&http::Extensions::new());
    /// assert!(!span.is_recording());
    /// ```
    #[must_use]
    pub fn from_extensions(extensions: &Extensions) -> Self {
        extensions.get().cloned().unwrap_or_default()
    }

    /// Whether the span is open and records. Without a recording span, metrics and logs still use
    /// routes, verdicts and the attributes of language models.
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
    /// The last value of a key wins. The first 128 keys are kept; `api.dropped_attributes` counts the
    /// others. The layer's start attributes keep their values. `http.response.status_code`,
    /// `rpc.status_code`, `error.type` and `api.*` are reserved: report an error with
    /// [`abort`](Self::abort).
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
    /// If the iterator panics, none is set.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::KeyValue;
    ///
    /// span.set_attributes([KeyValue::new("tenant", "blue"), KeyValue::new("retries", 2)]);
    /// ```
    pub fn set_attributes(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::set_attributes");
        if !self.accepts_records() {
            return;
        }
        // The iterator runs before the lock is taken, because it may use this handle.
        let attributes = PANICS.catch(|| attributes.into_iter().collect::<Vec<_>>());
        self.record(|buffer| {
            for attribute in attributes.unwrap_or_default() {
                buffer.set_attribute(attribute);
            }
        });
    }

    /// Sets the route: a template of the path, of low cardinality, such as `/users/{id}`.
    ///
    /// It sets `http.route` and the span's name, `{method} {route}`, unless a route was known at the
    /// start. An empty route is ignored, and the last one wins. Truncated to 1,024 bytes. Samplers do not
    /// see it, because they decide at the start. A gRPC call has its own name and no route.
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

    /// Adds an event to the span, with the current time.
    ///
    /// The first 120 of a request are kept, so that the terminal event fits into the SDK's default limit
    /// of 128. With a smaller limit in the SDK the terminal event may be lost. `api.dropped_events`
    /// counts the others. An event whose name is empty or begins with `api.` is ignored.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.add_event("cache.miss", vec![opentelemetry::KeyValue::new("key", "model")]);
    /// ```
    pub fn add_event(&self, name: impl Into<Cow<'static, str>>, attributes: Vec<KeyValue>) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::add_event");
        if let Some(request) = &self.0
            && let Some(name) = PANICS.catch(|| name.into())
        {
            request.span.add_event(name, attributes, |now| now);
        }
    }

    /// Marks the response as aborted, however it looks on the wire: its outcome is `ABORTED(reason)`. The
    /// first verdict counts, and only a panic overrides it. The response itself is unchanged.
    ///
    /// `reason` has low cardinality and becomes `api.abort.reason` and `error.type`, with status Error.
    /// `validation_error` and `client_error` are the caller's errors and leave the status Unset. An empty
    /// `message` is ignored. Truncated to 1,024 bytes.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.abort("generation_error", "the engine ran out of memory");
    /// span.abort("quota", format_args!("{} tokens left", 0));
    /// ```
    pub fn abort(&self, reason: &'static str, message: impl fmt::Display) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::abort");
        if !self.accepts_records() {
            return;
        }
        let verdict = Verdict::new(reason, format_bounded(&message, &PANICS));
        self.record(|buffer| {
            buffer.verdict.get_or_insert(verdict);
        });
    }

    /// Allows the client to disconnect at any time, as from an endless feed. A dropped response is then
    /// not an error: the outcome is still `ABORTED(client_disconnect)`, but with status Unset.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.allow_disconnect();
    /// ```
    pub fn allow_disconnect(&self) {
        self.record(|buffer| buffer.is_disconnect_allowed = true);
    }

    /// Declares the response a stream, whatever its content type, so that its duration need not count as
    /// latency. Metrics use it: see [`stream_durations`](crate::ApiSpanLayer::stream_durations).
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.declare_stream();
    /// ```
    pub fn declare_stream(&self) {
        self.record(|buffer| buffer.is_stream = true);
    }

    /// Records that the request was passed to the engine: event `api.HANDOFF_TO_CORE`, with the current
    /// time, once.
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

    /// Returns the request's context, as the parent of other spans. It stays usable in spawned tasks and
    /// after the span's end. An inert handle returns the current context.
    ///
    /// The span in the context takes attributes and events as this handle does, and a name and links. An
    /// Error status is a verdict with reason `exception`, unless [`abort`](Self::abort) is called. Setting
    /// `Ok` and ending the span have no effect.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::trace::FutureExt;
    ///
    /// let task = async { /* spans started here are children of the request's span */ };
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

    /// Injects the request's context into the headers of an outgoing request, with the layer's
    /// propagator, else the global one. If no global propagator is set, it writes W3C's headers. An inert
    /// handle injects the current context, with the global propagator.
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

    /// Whether the request is open, and a recording span, metrics or logs use what it records.
    pub(crate) fn accepts_records(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|request| request.span.accepts_records())
    }

    /// Returns the shared span, for counting the request's body.
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
