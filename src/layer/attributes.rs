//! Settings: attributes that are told beside the ordinary ones, and what is kept out of them.

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
    /// Headers of the request that become attributes `http.request.header.<name>`, gRPC:
    /// `rpc.request.header.<name>`, lists of strings; by default none. Samplers see them.
    ///
    /// Values are cut at 1,024 bytes, of one header 32 are told, an empty one is not. One that is
    /// [sensitive](Self::sensitive_headers) is `REDACTED`.
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

    /// Headers of the response that become attributes `http.response.header.<name>`, gRPC:
    /// `rpc.response.header.<name>`, and of its trailers `rpc.response.trailer.<name>`, lists of
    /// strings; by default none. They are told as those of the request are. Trailers that gRPC-Web has in
    /// its body are not among them.
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

    /// Headers whose values are `REDACTED` where they are captured, these and no others; so are values
    /// that are marked as [sensitive](http::HeaderValue::set_sensitive). By default `Authorization`,
    /// `Proxy-Authorization`, `Cookie`, `Set-Cookie`, `Api-Key`, `X-Api-Key`, `X-Auth-Token` and
    /// `X-Goog-Api-Key`.
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

    /// Parameters whose values are `REDACTED` in `url.query`, these and no others. Names are
    /// case-sensitive and compared decoded, so that `%73ig` is `sig`.
    ///
    /// By default those of the conventions (1.45.0): `AWSAccessKeyId`, `Signature`,
    /// `X-Amz-Credential`, `X-Amz-Security-Token`, `X-Amz-Signature`, `X-Goog-Signature` and `sig`.
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

    /// Whether `http.request.body.size` and `http.response.body.size` are told (int, bytes); by default
    /// false, and not for gRPC, whose conventions have none.
    ///
    /// Of the response it is what was handed on when the span ended, frame by frame, as compressed as
    /// it passes here; 0 if it could have no body. Of the request it is what
    /// [`CountRequestBodyLayer`](crate::CountRequestBodyLayer) has counted, else the Content-Length, of which
    /// nobody knows here how much was read; one above 1 TiB is not believed.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().body_sizes(true);
    /// # let _ = layer;
    /// ```
    pub fn body_sizes(self, are_told: bool) -> Self {
        self.with(|config| config.body_sizes = are_told)
    }

    /// Attributes of your own, from the request; by default none. Samplers see them.
    ///
    /// They stand in place of what the layer would say under the same keys at the start, which is how
    /// to scrub a path that has secrets in it; an empty string says nothing, and the layer does not
    /// either. Of a key given twice the first counts, and the first 64 keys, captured headers among
    /// them, are kept. What is [the layer's alone](crate::SpanHandle::set_attribute) is left out;
    /// strings are not cut. After a panic there are none. Names and metrics do not read them:
    /// [`span_name_fn`](Self::span_name_fn) and [`route_fn`](Self::route_fn) are for that.
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
        self.with(|config| config.request_attributes = Callback::new(Arc::new(attributes)))
    }

    /// Attributes of your own, from the head of the response; by default none. They are as if the
    /// handler had set them last with [`SpanHandle::set_attributes`](crate::SpanHandle::set_attributes).
    /// It is not asked where nobody listens, neither a span that records nor metrics nor logs. After a
    /// panic there are none.
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
        self.with(|config| config.response_attributes = Callback::new(Arc::new(attributes)))
    }
}
