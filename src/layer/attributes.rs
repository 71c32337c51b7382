//! Setters: additional attributes, and what is redacted.

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
    /// `rpc.request.header.<name>`: lists of strings. Samplers see them.
    ///
    /// Default: none.
    ///
    /// Up to 32 values of a header are recorded, and no empty one. Each is truncated to 1,024 bytes. A
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
        self.with(|config| {
            config.request_headers = Captured {
                http: CapturedHeaders::new(key::HTTP_REQUEST_HEADER, &names),
                rpc: CapturedHeaders::new(key::RPC_REQUEST_HEADER, &names),
                rpc_trailers: CapturedHeaders::default(),
            };
        })
    }

    /// Sets the response headers that are recorded as `http.response.header.<name>` or, for gRPC, as
    /// `rpc.response.header.<name>` and from trailers as `rpc.response.trailer.<name>`: lists of
    /// strings.
    ///
    /// Default: none.
    ///
    /// Values are limited and redacted as [those of requests](Self::capture_request_headers). Trailers
    /// that gRPC-Web carries in its body are not recorded.
    ///
    /// ```
    /// use http::header::CONTENT_TYPE;
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new().capture_response_headers([CONTENT_TYPE]);
    /// # let _ = layer;
    /// ```
    pub fn capture_response_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names: Vec<_> = names.into_iter().collect();
        self.with(|config| {
            config.response_headers = Captured {
                http: CapturedHeaders::new(key::HTTP_RESPONSE_HEADER, &names),
                rpc: CapturedHeaders::new(key::RPC_RESPONSE_HEADER, &names),
                rpc_trailers: CapturedHeaders::new(key::RPC_RESPONSE_TRAILER, &names),
            };
        })
    }

    /// Replaces the list of headers whose captured values are `REDACTED`.
    ///
    /// Default: `Authorization`, `Proxy-Authorization`, `Cookie`, `Set-Cookie`, `Api-Key`, `X-Api-Key`,
    /// `X-Auth-Token` and `X-Goog-Api-Key`. Values that are marked as
    /// [sensitive](http::HeaderValue::set_sensitive) are always redacted.
    ///
    /// ```
    /// use http::HeaderName;
    ///
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .sensitive_headers([HeaderName::from_static("x-session")]);
    /// # let _ = layer;
    /// ```
    pub fn sensitive_headers(self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        let names = SensitiveHeaders::from_names(names);
        self.with(|config| config.sensitive_headers = names)
    }

    /// Replaces the list of parameters whose values in `url.query` are `REDACTED`.
    ///
    /// Default: those of the conventions (1.45.0), which are `AWSAccessKeyId`, `Signature`,
    /// `X-Amz-Credential`, `X-Amz-Security-Token`, `X-Amz-Signature`, `X-Goog-Signature` and `sig`.
    ///
    /// Names are case-sensitive and compared decoded, so `%73ig` is `sig`.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().sensitive_query_parameters(["sig", "api_key"]);
    /// # let _ = layer;
    /// ```
    pub fn sensitive_query_parameters<P: Into<String>>(
        self,
        names: impl IntoIterator<Item = P>,
    ) -> Self {
        let names = SensitiveParameters::from_names(names);
        self.with(|config| config.sensitive_parameters = names)
    }

    /// Sets whether `http.request.body.size` and `http.response.body.size` are recorded (int, bytes).
    ///
    /// Default: false. Never recorded for gRPC, whose conventions lack them.
    ///
    /// The response's size is the sum of the frames that were returned to the server when the span
    /// ended, as compressed at this layer. It is 0 if the response could have no body. The request's size
    /// is the count of [`CountRequestBodyLayer`](crate::CountRequestBodyLayer), else the Content-Length,
    /// however much of it was read. A Content-Length above 1 TiB is ignored.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().body_sizes(true);
    /// # let _ = layer;
    /// ```
    pub fn body_sizes(self, are_recorded: bool) -> Self {
        self.with(|config| config.body_sizes = are_recorded)
    }

    /// Sets attributes from the request. Samplers see them.
    ///
    /// Default: none. If the callback panics, there are none.
    ///
    /// They replace the layer's start attributes with the same keys, for example to scrub secrets from
    /// a path. An empty string removes the attribute. If a key is returned twice, its first value counts.
    /// The first 64 keys are kept, captured headers included. [Reserved
    /// keys](crate::SpanHandle::set_attribute) are dropped. Strings are not truncated.
    ///
    /// Names and metrics do not use these attributes: see [`span_name_fn`](Self::span_name_fn) and
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

    /// Sets attributes from the head of the response.
    ///
    /// Default: none. If the callback panics, there are none.
    ///
    /// They count as set last by the handler, with
    /// [`SpanHandle::set_attributes`](crate::SpanHandle::set_attributes). The callback is not called
    /// without a recording span, metrics or logs.
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
