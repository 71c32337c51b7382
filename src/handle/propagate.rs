//! The context of a request, for child spans and for outgoing requests.

use http::HeaderMap;
use opentelemetry::Context;

use super::SpanHandle;
use crate::propagation::Propagation;
use crate::propagation::current::current;

impl SpanHandle {
    /// Returns the request's context, for use as the parent of other spans. It can be used in spawned tasks and after
    /// the span's end. A handle that no layer inserted returns the current context.
    ///
    /// The span in the context accepts attributes and events like this handle, and also a name and links. An Error
    /// status is a verdict with reason `exception`, unless [`mark_aborted`](Self::mark_aborted) is called. Setting `Ok` and ending
    /// the span have no effect. An event added with `add_event` has the time of the request's clock, and one added with
    /// `add_event_with_timestamp` the given time, unless that is within a millisecond of the wall clock's.
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

    /// Injects the request's context into the headers of an outgoing request, with the layer's propagator, else the
    /// global one. If no global propagator is set, it writes the W3C headers. A handle that no layer inserted
    /// injects the current context, with the global propagator.
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

    /// Injects another context, such as that of a child span, into the headers of an outgoing request, with the
    /// same propagator as [`inject`](Self::inject).
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::Context;
    ///
    /// let child = Context::current();
    /// let mut to_the_engine = http::Request::get("http://engine.internal/").body(()).unwrap();
    /// span.inject_context(&child, to_the_engine.headers_mut());
    /// ```
    pub fn inject_context(&self, context: &Context, headers: &mut HeaderMap) {
        match &self.0 {
            Some(request) => request.propagation.inject(context, headers),
            None => Propagation::Global.inject(context, headers),
        }
    }
}
