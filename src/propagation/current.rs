//! Reads the current context, and sets it while the inner service runs.

use opentelemetry::{Context, ContextGuard};

use crate::catch_panic::catch_panic;
#[cfg(feature = "tracing")]
use crate::propagation::tracing_span::TracingSpan;

/// Returns the current context, or an empty one if the thread-local storage is destroyed.
pub(crate) fn current() -> Context {
    catch_panic(Context::current).unwrap_or_default()
}

/// Calls `f` with `context` current.
///
/// Attaching panics if the thread's stack of contexts is borrowed or destroyed. `f` is still called.
pub(crate) fn with_current<R>(context: &Context, f: impl FnOnce() -> R) -> R {
    let _attached = attach(context);
    f()
}

/// The context in which the inner service, its future and its body run.
///
/// It is the context of the request's span or, without a span, the caller's. Without either it is `None`, and the
/// context around the layer stays current. With the feature `tracing` it may have the request's span of `tracing`, too.
#[derive(Clone, Default)]
pub(crate) struct InnerContext {
    context: Option<Context>,
    #[cfg(feature = "tracing")]
    span: Option<TracingSpan>,
}

impl InnerContext {
    pub(crate) fn new(context: Option<Context>) -> Self {
        Self {
            context,
            #[cfg(feature = "tracing")]
            span: None,
        }
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn set_tracing_span(&mut self, span: TracingSpan) {
        self.span = Some(span);
    }

    /// Calls `f` with this context current.
    #[inline]
    pub(crate) fn enter<R>(&self, f: impl FnOnce() -> R) -> R {
        #[cfg(feature = "tracing")]
        if let Some(span) = &self.span {
            let _attached = self.context.as_ref().and_then(attach);
            let _entered = span.enter();
            return f();
        }
        match &self.context {
            None => f(),
            Some(context) => with_current(context, f),
        }
    }
}

fn attach(context: &Context) -> Option<ContextGuard> {
    catch_panic(|| context.clone().attach())
}
