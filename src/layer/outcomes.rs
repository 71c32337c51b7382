//! Setters for the classification, disconnects and lifecycle events.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use super::ApiSpanLayer;
use crate::outcome::lifecycle::LifecycleEvents;
use crate::outcome::{Completion, Outcome};
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Replaces the function that decides the [`Outcome`] of a request.
    ///
    /// Default: [`classify`](crate::classify()), which a replacement may call for the cases that it
    /// does not decide itself. If the callback panics, the span ends without a terminal event.
    ///
    /// The error type and the message are truncated to 1,024 bytes. An empty reason becomes `exception`, and an empty
    /// error type becomes `_OTHER`.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_api_span::{ApiSpanLayer, Outcome, classify};
    ///
    /// let layer = ApiSpanLayer::new().classify(|completion| match completion.status() {
    ///     // Here "not found" is an answer like any other.
    ///     Some(StatusCode::NOT_FOUND) if completion.verdict().is_none() => Outcome::Departed,
    ///     _ => classify(completion),
    /// });
    /// # let _ = layer;
    /// ```
    pub fn classify(
        self,
        classify: impl Fn(&Completion) -> Outcome + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| {
            config.classify = Callback::new("ApiSpanLayer::classify", Arc::new(classify));
        })
    }

    /// Sets the function that is called once for each request, when its outcome is decided.
    ///
    /// Default: none.
    ///
    /// The [guide](crate::guide::completion) has examples.
    ///
    /// It is called for every request that the service was called with, however it ended: completed, failed, abandoned
    /// by the client, panicked or upgraded. That includes requests that have no span: without a tracer, sampled out,
    /// or refused by [`filter`](Self::filter). Use it for an access log, for billing, or for metrics of another
    /// library.
    ///
    /// It runs after the metrics, the log events and the access log, and before the end of the span, which is current. No lock is held.
    /// It may set attributes on the current span, and they are recorded; but the outcome and the span's duration are
    /// decided. If the callback panics, the span still ends. With feature `internal-logs`, the first
    /// panic is reported.
    ///
    /// It runs where the request ends: in a poll of the response, just before its last frame is returned, or where the
    /// response is dropped. So it must be quick, and must not block. A runtime that shuts down drops its responses
    /// outside of its context: there `tokio::spawn` panics, so send to a channel, or use a `tokio::runtime::Handle`.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// use opentelemetry::Value;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// // Bills the tokens that the handler has counted, or that the answer has reported.
    /// let (bills, receiver) = mpsc::channel();
    /// let layer = ApiSpanLayer::llm().on_completion(move |completion| {
    ///     let tenant = completion.attribute("app.tenant");
    ///     let tokens = completion.attribute("gen_ai.usage.output_tokens");
    ///     if let (Some(Value::String(tenant)), Some(Value::I64(tokens))) = (tenant, tokens) {
    ///         let _ = bills.send((tenant.to_string(), *tokens));
    ///     }
    /// });
    /// # let _ = (layer, receiver);
    /// ```
    pub fn on_completion(self, callback: impl Fn(&Completion) + Send + Sync + 'static) -> Self {
        self.with(|config| {
            config.on_completion = Callback::new("ApiSpanLayer::on_completion", Arc::new(callback));
        })
    }

    /// Sets whether a client disconnect (`client_disconnect`, `generator_exit`) is an error.
    ///
    /// Default: true.
    ///
    /// If false, the span of a disconnect has status Unset and no `error.type`. Its terminal event and its reason are
    /// the same. The setting applies after [`classify`](Self::classify), to a response that was dropped and has no
    /// verdict.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().disconnect_is_error(false);
    /// # let _ = layer;
    /// ```
    pub fn disconnect_is_error(self, is_error: bool) -> Self {
        self.with(|settings| settings.disconnect_is_error = is_error)
    }

    /// Sets the limit of an error's message, in bytes; 0 records no message.
    ///
    /// Default: 1,024, which is also the maximum.
    ///
    /// Messages are those of errors, gRPC statuses, failures in a response, and the handler's verdict. They can
    /// hold what must not leave the process: addresses, queries, credentials. The limit applies after
    /// [`classify`](Self::classify), to the span, to the log events, and to [`Completion::outcome`]. A callback still
    /// reads the whole message in [`Completion::end`] and [`Completion::verdict`]. The kind of an error, in
    /// `error.type`, is not affected, nor is what the handler itself records.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().max_error_message(0);
    /// # let _ = layer;
    /// ```
    pub fn max_error_message(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_error_message = bytes)
    }

    /// Sets the function that returns the kind of an error: `error.type`, of low cardinality, on
    /// span, metrics and log events.
    ///
    /// Default: the kinds that the layer knows. Those are `timeout` (tower, tower-http, tokio, I/O),
    /// `overloaded` (tower's load shed), `body_limit` (http-body-util) and the other kinds of I/O errors, such as
    /// `connection_reset`. An error whose kind is unknown is an `exception`. It also applies where the callback
    /// returns `None` or an empty name. If the callback panics, it counts as `None`. Truncated to 1,024 bytes.
    ///
    /// The callback is called with the error and each of its [sources](std::error::Error::source), from the outermost
    /// in. Its first answer counts. Of the known kinds, the innermost counts.
    ///
    /// The layer sees sources, and calls the callback, if the error type of the service or the body is one of these:
    /// `Box<dyn Error + Send + Sync>`, as in most stacks of tower, `Box<dyn Error + Send>`, `Box<dyn Error>`,
    /// `Arc<dyn Error + Send + Sync>`, [`std::io::Error`] and, with feature `axum`, `axum::Error`. Any other type
    /// needs only `Display`: then the layer knows its name and its text, and the kinds of the four crates above. To
    /// have the callback called with it, box it: `ServiceExt::map_err(Into::into)`.
    ///
    /// Some errors forward to another error and hide its type: a boxed `anyhow::Error` without a context, or a
    /// variant that is `#[error(transparent)]`. Of those, only errors of the operating system are known, by their
    /// text. For `anyhow` use `reallocate_into_boxed_dyn_error_without_backtrace`, which keeps the type.
    ///
    /// ```
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// #[derive(Debug)]
    /// struct QuotaExceeded;
    /// # impl std::fmt::Display for QuotaExceeded {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    /// #         f.write_str("quota exceeded")
    /// #     }
    /// # }
    /// # impl std::error::Error for QuotaExceeded {}
    ///
    /// let layer = ApiSpanLayer::new()
    ///     .error_type_fn(|error| error.is::<QuotaExceeded>().then_some("quota"));
    /// # let _ = layer;
    /// ```
    pub fn error_type_fn<T: Into<Cow<'static, str>>>(
        self,
        error_type: impl Fn(&(dyn Error + 'static)) -> Option<T> + Send + Sync + 'static,
    ) -> Self {
        let name = move |error: &(dyn Error + 'static)| error_type(error).map(Into::into);
        self.with(|config| {
            config.error_type_fn = Callback::new("ApiSpanLayer::error_type_fn", Arc::new(name));
        })
    }

    /// Sets where the lifecycle events of a request are recorded, if anywhere.
    ///
    /// Default: on its span. Those that should be log events stay there without a
    /// [`logger_provider`](Self::logger_provider).
    ///
    /// ```
    /// use opentelemetry_sdk::logs::SdkLoggerProvider;
    /// use tower_api_span::{ApiSpanLayer, LifecycleEvents};
    ///
    /// let loggers = SdkLoggerProvider::builder().build();
    /// let layer = ApiSpanLayer::new()
    ///     .logger_provider(&loggers)
    ///     .lifecycle_events(LifecycleEvents::AsLogs);
    /// # let _ = layer;
    /// ```
    pub fn lifecycle_events(self, events: LifecycleEvents) -> Self {
        self.with(|settings| settings.lifecycle_events = events)
    }
}
