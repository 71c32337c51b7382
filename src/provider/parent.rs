//! The parent context of a request's span.

use opentelemetry::Context;

/// The caller's context, or the current one.
pub(crate) struct Parent<'a> {
    current: &'a Context,
    caller: &'a mut Option<Context>,
    /// Whether the caller's context is the current one with another span.
    is_only_span: bool,
}

impl<'a> Parent<'a> {
    pub(crate) fn new(
        current: &'a Context,
        caller: &'a mut Option<Context>,
        is_only_span: bool,
    ) -> Self {
        Self {
            current,
            caller,
            is_only_span,
        }
    }

    pub(crate) fn context(&self) -> &Context {
        self.caller.as_ref().unwrap_or(self.current)
    }

    /// Returns the context to put the new span into. It needs no caller's span. So that is dropped if it can be, and the
    /// memory of its trace state is free for the copy that comes next.
    pub(crate) fn drop_caller_span(&mut self) -> &Context {
        if self.is_only_span {
            *self.caller = None;
        }
        self.context()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Name(&'static str);

    fn context(name: &'static str) -> Context {
        Context::new().with_value(Name(name))
    }

    fn name(context: &Context) -> Option<&Name> {
        context.get()
    }

    #[test]
    fn a_callers_context_is_dropped_only_if_nothing_but_its_span_is_its_own() {
        let current = context("current");
        for (caller, is_only_span, parent, base) in [
            (None, false, "current", "current"),
            (Some("caller"), false, "caller", "caller"),
            (Some("caller"), true, "caller", "current"),
        ] {
            let mut caller = caller.map(context);
            let has_caller = caller.is_some();
            let mut both = Parent::new(&current, &mut caller, is_only_span);
            assert_eq!(name(both.context()), Some(&Name(parent)));
            assert_eq!(name(both.drop_caller_span()), Some(&Name(base)));
            assert_eq!(name(both.context()), Some(&Name(base)));
            assert_eq!(caller.is_some(), has_caller && !is_only_span);
        }
    }
}
