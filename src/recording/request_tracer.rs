//! A tracer for tracing-opentelemetry, which exports the request's span of `tracing` no second time.
//!
//! tracing-opentelemetry starts a span of OpenTelemetry for each span of `tracing`, with the tracer that it was given.
//! For the request's span this tracer returns the SERVER span. So the children of the one are children of the other,
//! and events outside of any other span are events of the SERVER span.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use opentelemetry::trace::{Span, SpanBuilder, SpanContext, Status, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::recording::context_span::ContextSpan;
use crate::recording::shared_span::SharedSpan;

/// Whether a [`RequestTracer`] was made. Without one nothing is announced.
static IS_USED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static STARTING: RefCell<Option<Starting>> = const { RefCell::new(None) };
    static IS_MUTED: Cell<bool> = const { Cell::new(false) };
}

/// A span of `tracing` that tracing-opentelemetry is about to start.
pub(crate) enum Starting {
    /// The span of a request, for which the layer has a span, and its span context.
    Request(Arc<SharedSpan>, SpanContext),
    /// A span that is not exported, and whose children have this parent.
    Hidden(SpanContext),
    /// The span has started. A further one only makes tracing-opentelemetry start the first, and is hidden.
    Started,
}

pub(crate) fn is_used() -> bool {
    IS_USED.load(Ordering::Relaxed)
}

/// Calls `f`, in which tracing-opentelemetry starts the span. Passes `f` a function that returns whether it has started.
pub(crate) fn announce(starting: Starting, f: impl FnOnce(fn() -> bool)) {
    struct Withdraw;
    impl Drop for Withdraw {
        fn drop(&mut self) {
            STARTING.set(None);
        }
    }
    STARTING.set(Some(starting));
    let _withdraw = Withdraw;
    f(|| STARTING.with_borrow(|starting| matches!(starting, Some(Starting::Started))));
}

/// Calls `f`, whose events of `tracing` are no events of the request's SERVER span.
pub(crate) fn muted(f: impl FnOnce()) {
    struct Unmute(bool);
    impl Drop for Unmute {
        fn drop(&mut self) {
            IS_MUTED.set(self.0);
        }
    }
    let _unmute = Unmute(IS_MUTED.replace(true));
    f();
}

/// A tracer for tracing-opentelemetry that does not export the request's span of `tracing` a second time.
///
/// With [`ApiSpanLayer::tracing_span`](crate::ApiSpanLayer::tracing_span), each request has a span of `tracing` besides
/// its SERVER span. tracing-opentelemetry would export it as a child of the SERVER span. With this tracer it does not:
/// spans of `#[instrument]` are children of the SERVER span, and an event outside of any other span is an event of
/// that. What is recorded in the span's fields becomes attributes of the SERVER span.
///
/// All other spans are those of the wrapped tracer. An event of level ERROR does not make the request an error: the
/// end of the response decides that, or [`SpanHandle::mark_aborted`](crate::SpanHandle::mark_aborted).
///
/// ```
/// use opentelemetry::trace::TracerProvider as _;
/// use opentelemetry_sdk::trace::SdkTracerProvider;
/// use tower_api_span::{ApiSpanLayer, RequestTracer};
/// use tracing_subscriber::layer::SubscriberExt as _;
///
/// let provider = SdkTracerProvider::default();
/// let tracer = RequestTracer::new(provider.tracer("app"));
/// let subscriber = tracing_subscriber::registry()
///     .with(tracing_opentelemetry::layer().with_tracer(tracer));
/// let layer = ApiSpanLayer::new().tracer_provider(&provider).tracing_span(true);
/// # let _ = (subscriber, layer);
/// ```
#[derive(Clone, Debug)]
pub struct RequestTracer<T> {
    inner: T,
}

impl<T> RequestTracer<T> {
    /// Wraps the tracer of the application.
    ///
    /// ```
    /// use opentelemetry::trace::noop::NoopTracer;
    ///
    /// let tracer = tower_api_span::RequestTracer::new(NoopTracer::new());
    /// # let _ = tracer;
    /// ```
    pub fn new(tracer: T) -> Self {
        IS_USED.store(true, Ordering::Relaxed);
        Self { inner: tracer }
    }
}

impl<T: Tracer> Tracer for RequestTracer<T> {
    type Span = RequestTracerSpan<T::Span>;

    fn build_with_context(&self, builder: SpanBuilder, parent_cx: &Context) -> Self::Span {
        // A thread that ends may drop a span when its storage is gone.
        let starting = STARTING.try_with(|starting| {
            let mut starting = starting.try_borrow_mut().ok()?;
            Some(std::mem::replace(starting.as_mut()?, Starting::Started))
        });
        let starting = starting.ok().flatten();
        RequestTracerSpan(match starting {
            Some(Starting::Request(span, span_context)) => {
                Kind::Request(ContextSpan::new(span), span_context)
            }
            Some(Starting::Hidden(context)) => Kind::Hidden(context),
            Some(Starting::Started) => Kind::Hidden(SpanContext::NONE),
            None => Kind::Other(self.inner.build_with_context(builder, parent_cx)),
        })
    }
}

/// A span of a [`RequestTracer`].
///
/// ```
/// use opentelemetry::trace::noop::NoopTracer;
/// use opentelemetry::trace::Tracer as _;
///
/// let tracer = tower_api_span::RequestTracer::new(NoopTracer::new());
/// let span: tower_api_span::RequestTracerSpan<_> = tracer.start("cache");
/// # let _ = span;
/// ```
pub struct RequestTracerSpan<S>(Kind<S>);

enum Kind<S> {
    Request(ContextSpan, SpanContext),
    Hidden(SpanContext),
    Other(S),
}

impl<S: Span> Span for RequestTracerSpan<S> {
    fn add_event_with_timestamp<T>(&mut self, name: T, at: SystemTime, attributes: Vec<KeyValue>)
    where
        T: Into<Cow<'static, str>>,
    {
        match &mut self.0 {
            Kind::Request(..) if IS_MUTED.get() => {}
            Kind::Request(span, _) => span.add_event_with_timestamp(name, at, attributes),
            Kind::Hidden(_) => {}
            Kind::Other(span) => span.add_event_with_timestamp(name, at, attributes),
        }
    }

    fn span_context(&self) -> &SpanContext {
        match &self.0 {
            Kind::Request(_, span_context) => span_context,
            Kind::Hidden(context) => context,
            Kind::Other(span) => span.span_context(),
        }
    }

    fn is_recording(&self) -> bool {
        match &self.0 {
            Kind::Request(span, _) => span.is_recording(),
            Kind::Hidden(_) => false,
            Kind::Other(span) => span.is_recording(),
        }
    }

    fn set_attribute(&mut self, attribute: KeyValue) {
        match &mut self.0 {
            // tracing-opentelemetry's own, from the last drop of the span, which may be before or after the end.
            Kind::Request(..) if ["busy_ns", "idle_ns"].contains(&attribute.key.as_str()) => {}
            Kind::Request(span, _) => span.set_attribute(attribute),
            Kind::Hidden(_) => {}
            Kind::Other(span) => span.set_attribute(attribute),
        }
    }

    /// Sets the status of any span but the request's: tracing-opentelemetry sets an Error at each event of level ERROR.
    fn set_status(&mut self, status: Status) {
        if let Kind::Other(span) = &mut self.0 {
            span.set_status(status);
        }
    }

    fn update_name<T>(&mut self, new_name: T)
    where
        T: Into<Cow<'static, str>>,
    {
        match &mut self.0 {
            Kind::Request(span, _) => span.update_name(new_name),
            Kind::Hidden(_) => {}
            Kind::Other(span) => span.update_name(new_name),
        }
    }

    fn add_link(&mut self, span_context: SpanContext, attributes: Vec<KeyValue>) {
        match &mut self.0 {
            Kind::Request(span, _) => span.add_link(span_context, attributes),
            Kind::Hidden(_) => {}
            Kind::Other(span) => span.add_link(span_context, attributes),
        }
    }

    fn end_with_timestamp(&mut self, timestamp: SystemTime) {
        // The request's span ends with the response.
        if let Kind::Other(span) = &mut self.0 {
            span.end_with_timestamp(timestamp);
        }
    }
}

impl<S: Span> fmt::Debug for RequestTracerSpan<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestTracerSpan")
            .field(self.span_context())
            .finish()
    }
}
