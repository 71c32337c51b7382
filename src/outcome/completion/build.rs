//! Makes a completion for a test of a callback.

use http::StatusCode;
use http::uri::PathAndQuery;
use opentelemetry::{KeyValue, StringValue};

use super::{Completion, RequestPath};
use crate::outcome::aborted::Outcome;
use crate::outcome::verdict::Verdict;
use crate::protocol::grpc::Protocol;

impl Completion {
    /// Sets the status of the response.
    ///
    /// ```
    /// use http::{Method, StatusCode};
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete()).with_status(StatusCode::OK);
    /// assert_eq!(completion.status(), Some(StatusCode::OK));
    /// ```
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Sets the protocol.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End, Protocol};
    ///
    /// let completion = Completion::new(Method::GET, End::complete()).with_protocol(Protocol::Grpc);
    /// assert_eq!(completion.protocol(), Protocol::Grpc);
    /// ```
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Sets the handler's verdict.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End, Verdict};
    ///
    /// let verdict = Verdict::new("quota", None);
    /// let completion = Completion::new(Method::GET, End::complete()).with_verdict(verdict);
    /// assert_eq!(completion.verdict().map(|verdict| verdict.reason), Some("quota"));
    /// ```
    #[must_use]
    pub fn with_verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = Some(verdict);
        self
    }

    /// Sets the route.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End};
    ///
    /// let completion = Completion::new(Method::GET, End::complete()).with_route("/users/{id}");
    /// assert_eq!(completion.route(), Some("/users/{id}"));
    /// ```
    #[must_use]
    pub fn with_route(mut self, route: &str) -> Self {
        self.route = Some(StringValue::from(route.to_owned()));
        self
    }

    /// Sets the path and query of the request.
    ///
    /// ```
    /// use http::Method;
    /// use http::uri::PathAndQuery;
    /// use tower_api_span::{Completion, End};
    ///
    /// let path = PathAndQuery::from_static("/users/7?all");
    /// let completion = Completion::new(Method::GET, End::complete()).with_path(path);
    /// assert_eq!(completion.path(), Some("/users/7"));
    /// ```
    #[must_use]
    #[expect(clippy::needless_pass_by_value, reason = "like the other methods")]
    pub fn with_path(mut self, path: PathAndQuery) -> Self {
        self.path = Some(RequestPath::copy_of(&path));
        self
    }

    /// Sets an attribute, as the handler would. An empty key or an empty text is ignored.
    ///
    /// ```
    /// use http::Method;
    /// use opentelemetry::{KeyValue, Value};
    /// use tower_api_span::{Completion, End};
    ///
    /// let tokens = KeyValue::new("gen_ai.usage.output_tokens", 7);
    /// let completion = Completion::new(Method::POST, End::complete()).with_attribute(tokens);
    /// let tokens = completion.attribute("gen_ai.usage.output_tokens");
    /// assert_eq!(tokens, Some(&Value::from(7)));
    /// ```
    #[must_use]
    pub fn with_attribute(mut self, attribute: KeyValue) -> Self {
        self.attributes.get_or_insert_default().insert(attribute);
        self
    }

    /// Sets the outcome, as the classification would.
    ///
    /// ```
    /// use http::Method;
    /// use tower_api_span::{Completion, End, Outcome, classify};
    ///
    /// let completion = Completion::new(Method::GET, End::complete());
    /// let outcome = classify(&completion);
    /// let completion = completion.with_outcome(outcome);
    /// assert_eq!(completion.outcome(), Some(&Outcome::Departed));
    /// ```
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = Some(outcome);
        self
    }
}
