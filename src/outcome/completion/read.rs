//! Reads a completion.

use std::time::Duration;

use http::{Method, StatusCode, Version};
use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry::{StringValue, Value};

use super::{Completion, RequestPath};
use crate::outcome::aborted::Outcome;
use crate::outcome::end::End;
use crate::outcome::verdict::Verdict;
use crate::protocol::grpc::{GrpcStatus, Protocol};

impl Completion {
    /// Returns the method of the request, as it came. Truncated to 1,024 bytes.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.method(), Method::GET);
    /// ```
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path of the request, as it came, without the query. Truncated to 1,024 bytes.
    ///
    /// `None` if no callback reads the completion: the layer keeps the path for a callback alone.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.path(), None);
    /// ```
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_ref().map(RequestPath::path)
    }

    /// Returns the route, a template such as `/users/{id}`: from the settings, the framework or the handler.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.route(), None);
    /// ```
    #[must_use]
    pub fn route(&self) -> Option<&str> {
        self.route.as_ref().map(StringValue::as_str)
    }

    /// Returns the version of HTTP.
    ///
    /// ```
    /// use http::{Method, Version};
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.version(), Version::HTTP_11);
    /// ```
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// Returns the protocol on top of HTTP: the one that the request claimed by its content type, or HTTP if the
    /// answer is not gRPC's.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End, Protocol};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.protocol(), Protocol::Http);
    /// ```
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Returns the status of the response; `None` if the inner service returned no response.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.status(), None);
    /// ```
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Returns the status of a gRPC call: the one in the trailers, else the one in the head.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End, GrpcCode, GrpcStatus};
    ///
    /// let status = GrpcStatus::new(GrpcCode::OK, None);
    /// let end = End::complete().with_grpc_status(status.clone());
    /// let completion = Completion::new(Method::POST, end);
    /// assert_eq!(completion.grpc_status(), Some(&status));
    /// ```
    #[must_use]
    pub fn grpc_status(&self) -> Option<&GrpcStatus> {
        self.end.grpc_status()
    }

    /// Returns how the response ended.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.end(), &End::complete());
    /// ```
    #[must_use]
    pub fn end(&self) -> &End {
        &self.end
    }

    /// Returns the verdict: the handler's, or that of an error event in the stream.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.verdict(), None);
    /// ```
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        self.verdict.as_ref()
    }

    /// Returns the outcome; `None` while a classification runs, and if it panicked.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.outcome(), None);
    /// ```
    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Returns the time from the arrival of the request to its end.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.duration(), Duration::ZERO);
    /// ```
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// Returns the time from the arrival to the head of the response.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.time_to_head(), None);
    /// ```
    #[must_use]
    pub fn time_to_head(&self) -> Option<Duration> {
        self.time_to_head
    }

    /// Returns the time from the arrival to the first non-empty data frame.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.time_to_first_byte(), None);
    /// ```
    #[must_use]
    pub fn time_to_first_byte(&self) -> Option<Duration> {
        self.time_to_first_byte
    }

    /// Returns the time from the arrival to the first token of a stream.
    ///
    /// In a stream of a known [format](crate::LlmFormat) it is the first content that is not empty: text, reasoning, a
    /// refusal, or the name or arguments of a tool call. In another event stream it is the first event with data, or the
    /// first data frame if no stream is read. `None` in other responses.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.time_to_first_token(), None);
    /// ```
    #[must_use]
    pub fn time_to_first_token(&self) -> Option<Duration> {
        self.time_to_first_token
    }

    /// Returns the bytes of the request's body, with [`body_sizes`](crate::ApiSpanLayer::body_sizes) and if they are
    /// known.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.request_bytes(), None);
    /// ```
    #[must_use]
    pub fn request_bytes(&self) -> Option<u64> {
        self.request_bytes
    }

    /// Returns the bytes of the response's body that were returned to the server, with
    /// [`body_sizes`](crate::ApiSpanLayer::body_sizes) and if there was a head.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.response_bytes(), None);
    /// ```
    #[must_use]
    pub fn response_bytes(&self) -> Option<u64> {
        self.response_bytes
    }

    /// Whether the response is a stream: by its content type, or because the handler declared it.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert!(!completion.is_stream());
    /// ```
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Returns an attribute that the handler has set, through the handle or on the current span, or that was read in
    /// the [answer](crate::guide::llm) of a language model, such as `gen_ai.usage.output_tokens`.
    ///
    /// The layer's own attributes are not among them: they have methods of their own. What is set after the request has
    /// ended is not among them either.
    ///
    /// ```
    /// use http::Method;
    /// use opentelemetry::{KeyValue, Value};
    /// use tower_api_span::{Completion, End};
    ///
    /// let tenant = KeyValue::new("app.tenant", "acme");
    /// let completion = Completion::new(Method::GET, End::complete()).with_attribute(tenant);
    /// assert_eq!(completion.attribute("app.tenant"), Some(&Value::from("acme")));
    /// ```
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        self.attributes.as_ref()?.get(key)
    }

    /// Returns the trace id of the request's span, or of its parent if it has no span. Invalid without either.
    ///
    /// ```
    /// use opentelemetry::trace::TraceId;
    ///
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.trace_id(), TraceId::INVALID);
    /// ```
    #[must_use]
    pub fn trace_id(&self) -> TraceId {
        self.trace_id
    }

    /// Returns the id of the request's span, or of its parent if it has no span. Invalid without either.
    ///
    /// ```
    /// use opentelemetry::trace::SpanId;
    ///
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// assert_eq!(completion.span_id(), SpanId::INVALID);
    /// ```
    #[must_use]
    pub fn span_id(&self) -> SpanId {
        self.span_id
    }
}
