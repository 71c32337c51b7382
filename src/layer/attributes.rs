//! Setters for additional attributes and for redaction.

use std::sync::Arc;

use http::{HeaderName, request, response};
use opentelemetry::KeyValue;

use super::ApiSpanLayer;
use crate::protocol::http::captured::{CapturedHeaders, SensitiveHeaders};
use crate::protocol::http::query::SensitiveParameters;
use crate::semconv as key;
use crate::settings::Captured;
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Sets the request headers that are recorded as `http.request.header.<name>` or, for gRPC, as
    /// `rpc.request.header.<name>` (string[]). Samplers see them.
    ///
    /// Default: no headers.
    ///
    /// Up to 32 values of a header are recorded. Empty values are ignored. Each value is truncated to 1,024 bytes. A
    /// [sensitive](Self::sensitive_headers) value is `REDACTED`.
    ///
    /// ```
    /// use http::header::{ACCEPT, CONTENT_TYPE};
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new().capture_request_headers([ACCEPT, CONTENT_TYPE]);
    /// # let _ = layer;
    /// ```
    pub fn capture_request_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        self.with(|settings| {
            settings.request_headers = Captured {
                http: CapturedHeaders::new(key::HTTP_REQUEST_HEADER, &names),
                rpc: CapturedHeaders::new(key::RPC_REQUEST_HEADER, &names),
                rpc_trailers: CapturedHeaders::default(),
            };
            settings.mark_sensitive_headers();
        })
    }

    /// Sets the response headers that are recorded as `http.response.header.<name>` or, for gRPC, as
    /// `rpc.response.header.<name>` and `rpc.response.trailer.<name>` (string[]).
    ///
    /// Default: no headers.
    ///
    /// Values are limited and redacted like those of [request headers](Self::capture_request_headers). Trailers in
    /// the body of gRPC-Web are not recorded.
    ///
    /// ```
    /// use http::header::CONTENT_TYPE;
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new().capture_response_headers([CONTENT_TYPE]);
    /// # let _ = layer;
    /// ```
    pub fn capture_response_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        self.with(|settings| {
            settings.response_headers = Captured {
                http: CapturedHeaders::new(key::HTTP_RESPONSE_HEADER, &names),
                rpc: CapturedHeaders::new(key::RPC_RESPONSE_HEADER, &names),
                rpc_trailers: CapturedHeaders::new(key::RPC_RESPONSE_TRAILER, &names),
            };
            settings.mark_sensitive_headers();
        })
    }

    /// Adds headers whose captured values are `REDACTED`. Each call adds to the list.
    ///
    /// Default: `Authorization`, `Proxy-Authorization`, `Cookie`, `Set-Cookie`, `Api-Key`, `X-Api-Key`,
    /// `X-Auth-Token` and `X-Goog-Api-Key`. Values that are marked as
    /// [sensitive](http::HeaderValue::set_sensitive) are always redacted.
    ///
    /// ```
    /// use http::HeaderName;
    ///
    /// // `Authorization`, `Cookie` and the other defaults stay redacted.
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .sensitive_headers([HeaderName::from_static("x-session")]);
    /// # let _ = layer;
    /// ```
    pub fn sensitive_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        self.with(|settings| {
            settings.sensitive_headers.add(names);
            settings.mark_sensitive_headers();
        })
    }

    /// Replaces the list of headers whose captured values are `REDACTED`, defaults included.
    ///
    /// Default: that of [`sensitive_headers`](Self::sensitive_headers), which adds to this list when it
    /// is called later.
    ///
    /// ```
    /// use http::header::{AUTHORIZATION, COOKIE};
    ///
    /// // `X-Api-Key` and the other defaults are no longer redacted.
    /// let layer = tower_api_span::ApiSpanLayer::new().only_sensitive_headers([AUTHORIZATION, COOKIE]);
    /// # let _ = layer;
    /// ```
    pub fn only_sensitive_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = SensitiveHeaders::from_names(names);
        self.with(|settings| {
            settings.sensitive_headers = names;
            settings.mark_sensitive_headers();
        })
    }

    /// Adds parameters whose values in `url.query` are `REDACTED`. Each call adds to the list.
    ///
    /// Default: `AWSAccessKeyId`, `Signature`, `X-Amz-Credential`, `X-Amz-Security-Token`, `X-Amz-Signature`,
    /// `X-Goog-Signature` and `sig`, as in the conventions (1.45.0).
    ///
    /// Names are case-sensitive. The layer decodes a name before it compares it, so `%73ig` is `sig`.
    ///
    /// ```
    /// // `sig` and the other defaults stay redacted.
    /// let layer = tower_api_span::ApiSpanLayer::new().sensitive_query_parameters(["api_key"]);
    /// # let _ = layer;
    /// ```
    pub fn sensitive_query_parameters<P: Into<String>>(
        self,
        names: impl IntoIterator<Item = P>,
    ) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.with(|config| config.sensitive_parameters.add(names))
    }

    /// Replaces the list of parameters whose values in `url.query` are `REDACTED`, defaults included.
    ///
    /// Default: that of [`sensitive_query_parameters`](Self::sensitive_query_parameters), which adds to
    /// this list when it is called later.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().only_sensitive_query_parameters(["sig"]);
    /// # let _ = layer;
    /// ```
    pub fn only_sensitive_query_parameters<P: Into<String>>(
        self,
        names: impl IntoIterator<Item = P>,
    ) -> Self {
        let names = SensitiveParameters::from_names(names);
        self.with(|settings| settings.sensitive_parameters = names)
    }

    /// Sets whether `http.request.body.size` and `http.response.body.size` are recorded (int, bytes).
    ///
    /// Default: false.
    ///
    /// Sizes are not recorded for gRPC, because its conventions do not define them. The response's size is the number
    /// of bytes that were returned to the server before the span ended, after compression by inner layers. It is 0
    /// for a response that cannot have a body.
    ///
    /// The request's size is the count of [`RequestBodyLayer`](crate::RequestBodyLayer). Without that layer
    /// it is the Content-Length, whether or not the body was read. A Content-Length above 1 TiB is ignored.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().body_sizes(true);
    /// # let _ = layer;
    /// ```
    pub fn body_sizes(self, are_recorded: bool) -> Self {
        self.with(|settings| settings.body_sizes = are_recorded)
    }

    /// Sets the function that returns additional attributes from the request. Samplers see them.
    ///
    /// Default: no attributes. If the callback panics, it adds no attributes.
    ///
    /// They replace the layer's start attributes with the same keys, for example to scrub secrets from
    /// a path. An empty string removes the attribute. If a key is returned twice, its first value counts.
    /// The first 64 keys are kept, captured headers included. `api.dropped_attributes` counts the others,
    /// and those with [reserved keys](crate::guide::attributes#refused-attributes-events-and-links). Strings are not truncated.
    ///
    /// Names and metrics do not use these attributes. For them there are [`span_name_fn`](Self::span_name_fn) and
    /// [`route_fn`](Self::route_fn).
    ///
    /// ```
    /// use opentelemetry::KeyValue;
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new().request_attributes(|request| {
    ///     let tenant = request.headers.get("x-tenant")?.to_str().ok()?;
    ///     Some(KeyValue::new("tenant", tenant.to_owned()))
    /// });
    /// # let _ = layer;
    /// ```
    pub fn request_attributes<A: IntoIterator<Item = KeyValue>>(
        self,
        attributes: impl Fn(&request::Parts) -> A + Send + Sync + 'static,
    ) -> Self {
        let attributes = move |parts: &request::Parts| attributes(parts).into_iter().collect();
        self.with(|config| {
            config.request_attributes =
                Callback::new("ApiSpanLayer::request_attributes", Arc::new(attributes));
        })
    }

    /// Sets the function that returns additional attributes from the head of the response.
    ///
    /// Default: no attributes. If the callback panics, it adds no attributes.
    ///
    /// The attributes count as set by the handler when it returns the response: see
    /// [`SpanHandle::set_attributes`](crate::SpanHandle::set_attributes). The callback is called only if a recording
    /// span, metrics or logs can use them.
    ///
    /// ```
    /// use opentelemetry::KeyValue;
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new().response_attributes(|response| {
    ///     [KeyValue::new("cached", response.headers.contains_key("age"))]
    /// });
    /// # let _ = layer;
    /// ```
    pub fn response_attributes<A: IntoIterator<Item = KeyValue>>(
        self,
        attributes: impl Fn(&response::Parts) -> A + Send + Sync + 'static,
    ) -> Self {
        let attributes = move |parts: &response::Parts| attributes(parts).into_iter().collect();
        self.with(|config| {
            config.response_attributes =
                Callback::new("ApiSpanLayer::response_attributes", Arc::new(attributes));
        })
    }
}
