//! What a handler records on the span of its request.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use opentelemetry::KeyValue;
use opentelemetry::trace::SpanContext;

use super::SpanHandle;
use crate::catch_panic::PanicReport;
use crate::outcome::Verdict;
use crate::semconv as key;
use crate::settings::metric_attributes::bounded;
use crate::text::{format_bounded, truncate_cow};

impl SpanHandle {
    /// Sets an attribute of the span.
    ///
    /// The last value of a key wins, except that the attributes from the span's start keep their values. The first
    /// 128 keys are kept, and `api.dropped_attributes` counts the others.
    ///
    /// [Reserved keys](crate::guide::attributes#refused-attributes-events-and-links) are refused and counted, too. Report an error with
    /// [`mark_aborted`](Self::mark_aborted).
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.set_attribute(opentelemetry::KeyValue::new("tenant", "blue"));
    /// ```
    pub fn set_attribute(&self, attribute: KeyValue) {
        // Without a list of one: most handlers set one attribute.
        self.record(|buffer| buffer.set_attribute(attribute));
    }

    /// Sets attributes of the span, as [`set_attribute`](Self::set_attribute) does.
    ///
    /// If the iterator panics, no attribute is set.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::KeyValue;
    ///
    /// span.set_attributes([KeyValue::new("tenant", "blue"), KeyValue::new("retries", 2)]);
    /// ```
    pub fn set_attributes(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::set_attributes");
        if !self.begin_record() {
            return;
        }
        // The iterator runs before the lock is taken, because it may use this handle.
        let attributes = collect(attributes, &PANICS);
        self.record(|buffer| {
            for attribute in attributes {
                buffer.set_attribute(attribute);
            }
        });
    }

    /// Sets an attribute of the request's metrics. The span does not get it.
    ///
    /// It applies to each histogram, if its key is [listed](crate::ApiSpanLayer::metric_attribute_keys). The last value
    /// of a key wins; a value from [`metric_attributes`](crate::ApiSpanLayer::metric_attributes) wins over it. An empty
    /// text is ignored, and a text is truncated to 1,024 bytes. After the end of the request it has no effect.
    ///
    /// With stacked layers the handler has the handle of the innermost, and the outermost measures. Then set
    /// [`nested_metrics`](crate::ApiSpanLayer::nested_metrics) on the inner layer, or let the outer one read what the
    /// response says, in its callback.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.set_metric_attribute(opentelemetry::KeyValue::new("app.plan", "free"));
    /// ```
    pub fn set_metric_attribute(&self, attribute: KeyValue) {
        if self.begin_record() {
            self.record(|buffer| {
                buffer.metric_attributes.insert(bounded(attribute));
            });
        }
    }

    /// Sets the route: a template of the path, of low cardinality, such as `/users/{id}`.
    ///
    /// It sets `http.route` and the span's name, `{method} {route}`, unless a route was known at the start. A name
    /// from the settings stays. The last route wins, and an empty route is ignored. Truncated to 1,024 bytes.
    ///
    /// Samplers do not see the route, because they decide at the start. A gRPC call has its own name and no route.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.set_route("/users/{id}");
    /// ```
    pub fn set_route(&self, route: impl fmt::Display) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::set_route");
        if self.begin_record()
            && let Some(route) = format_bounded(&route, &PANICS)
        {
            self.record(|buffer| buffer.route = Some(route));
        }
    }

    /// Sets the span's name, in place of the conventions'. It has low cardinality.
    ///
    /// An empty name is ignored, and the last one wins. Truncated to 1,024 bytes. Samplers do not see it.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.update_name("POST /graphql ListUsers");
    /// ```
    pub fn update_name(&self, name: impl Into<Cow<'static, str>>) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::update_name");
        if self.begin_record()
            && let Some(name) = PANICS.catch(|| truncate_cow(name.into()))
            && !name.is_empty()
        {
            self.record(|buffer| buffer.name = Some(name));
        }
    }

    /// Adds a link to another span, with these attributes.
    ///
    /// The first 128 are kept, as many as the SDK keeps by default, and `api.dropped_links` counts the others. If
    /// the iterator panics, the link has no attributes.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// use opentelemetry::trace::SpanContext;
    ///
    /// span.add_link(SpanContext::NONE, []);
    /// ```
    pub fn add_link(
        &self,
        span_context: SpanContext,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::add_link");
        if !self.begin_record() {
            return;
        }
        let attributes = collect(attributes, &PANICS);
        self.record(|buffer| buffer.add_link(span_context, attributes));
    }

    /// Adds event `exception` with `exception.message`: the error, followed by its sources.
    ///
    /// The outcome is not changed: [`mark_aborted`](Self::mark_aborted) does that. Truncated to 1,024 bytes.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// let error = "x".parse::<u32>().unwrap_err();
    /// span.record_error(&error);
    /// ```
    pub fn record_error(&self, error: &dyn Error) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::record_error");
        if self.begin_record()
            && let Some(message) = format_bounded(&Chain(error), &PANICS)
        {
            let message = KeyValue::new(key::EXCEPTION_MESSAGE, message);
            self.add_event(key::EVENT_EXCEPTION, [message]);
        }
    }

    /// Adds an event to the span, with the current time.
    ///
    /// The first 120 events of a request are kept, and `api.dropped_events` counts the others. So the terminal event
    /// fits into the SDK's default limit of 128. With a lower limit in the SDK it may be lost.
    ///
    /// An event whose name is empty, or is that of a lifecycle event, is refused and counted. If the iterator panics, the event has no
    /// attributes.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.add_event("cache.miss", [opentelemetry::KeyValue::new("key", "model")]);
    /// ```
    pub fn add_event(
        &self,
        name: impl Into<Cow<'static, str>>,
        attributes: impl IntoIterator<Item = KeyValue>,
    ) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::add_event");
        if self.begin_record()
            && let Some(request) = &self.0
            && let Some(name) = PANICS.catch(|| name.into())
        {
            let attributes = collect(attributes, &PANICS);
            request.span.add_event(name, attributes, |now| now);
        }
    }

    /// Marks the response as aborted, even if it is complete: its outcome is `ABORTED(reason)`. The response itself
    /// is unchanged.
    ///
    /// The first call counts, and only a panic overrides it. `reason` has low cardinality. It becomes
    /// `api.abort.reason` and `error.type`, with status Error. `validation_error` and `client_error` are errors of
    /// the client and leave the status Unset. An empty `message` is ignored. Truncated to 1,024 bytes.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.mark_aborted("generation_error", "the engine ran out of memory");
    /// span.mark_aborted("quota", format_args!("{} tokens left", 0));
    /// ```
    pub fn mark_aborted(&self, reason: &'static str, message: impl fmt::Display) {
        static PANICS: PanicReport = PanicReport::new("SpanHandle::mark_aborted");
        if !self.begin_record() {
            return;
        }
        let verdict = Verdict::new(reason, format_bounded(&message, &PANICS));
        self.record(|buffer| {
            buffer.verdict.get_or_insert(verdict);
        });
    }

    /// Allows the client to disconnect at any time, as from an endless feed. A disconnect is then not an error: the
    /// outcome is still `ABORTED(client_disconnect)`, but the span's status is Unset.
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.allow_disconnect();
    /// ```
    pub fn allow_disconnect(&self) {
        self.record(|buffer| buffer.is_disconnect_allowed = true);
    }

    /// Declares that the response is a stream, whatever its content type. Metrics then apply
    /// [`stream_durations`](crate::ApiSpanLayer::stream_durations).
    ///
    /// ```
    /// # let span = tower_api_span::SpanHandle::default();
    /// span.declare_stream();
    /// ```
    pub fn declare_stream(&self) {
        self.record(|buffer| buffer.is_stream = true);
    }

    /// Adds event `api.HANDOFF_TO_CORE`, with the current time: the handler passed the request to the engine. Only
    /// the first call has an effect.
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

    /// Whether what is recorded now will be read. Counts the call if the span has ended.
    pub(super) fn begin_record(&self) -> bool {
        self.0
            .as_ref()
            .is_some_and(|request| request.span.begin_record())
    }
}

/// Collects attributes before the lock is taken, because the iterator may use the handle. None if it panics.
fn collect(attributes: impl IntoIterator<Item = KeyValue>, panics: &PanicReport) -> Vec<KeyValue> {
    panics
        .catch(|| attributes.into_iter().collect())
        .unwrap_or_default()
}

/// Formats an error, followed by its sources.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}
