//! Setters for span names, routes and known methods.

use std::borrow::Cow;
use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::protocol::http::methods::{HttpMethods, RpcMethods};
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// Sets the name of all spans.
    ///
    /// Default: the conventions' names, such as `{method} {route}`. An empty name restores the default.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().span_name("checkout");
    /// # let _ = layer;
    /// ```
    pub fn span_name(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = Some(name.into()).filter(|name| !name.is_empty());
        self.with(|settings| settings.span_name = name)
    }

    /// Sets the name of a request's span, of low cardinality. Samplers see it.
    ///
    /// Default: [`span_name`](Self::span_name), else the conventions' name. The default also applies if the callback
    /// returns `None` or an empty name. If the callback panics, it counts as `None`. Truncated to 1,024 bytes.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().span_name_fn(|request| {
    ///     (request.uri.path() == "/graphql").then_some("graphql")
    /// });
    /// # let _ = layer;
    /// ```
    pub fn span_name_fn<N: Into<Cow<'static, str>>>(
        self,
        name: impl Fn(&request::Parts) -> Option<N> + Send + Sync + 'static,
    ) -> Self {
        let name = move |parts: &request::Parts| name(parts).map(Into::into);
        self.with(|config| {
            config.span_name_fn = Callback::new("ApiSpanLayer::span_name_fn", Arc::new(name));
        })
    }

    /// Sets the route of a request: a template of its path, of low cardinality, such as `/users/{id}`. The route is
    /// attribute `http.route`, and part of the span's name. Samplers see it.
    ///
    /// Default: axum's `MatchedPath` with feature `axum`, if it [describes this request](crate#rewritten-targets), else no
    /// route. The default also applies if the callback returns `None` or an empty route. If the callback panics, it counts
    /// as `None`. Truncated to 1,024 bytes.
    ///
    /// If this callback returns a route, [`SpanHandle::set_route`](crate::SpanHandle::set_route) has no effect.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().route_fn(|request| {
    ///     request.uri.path().starts_with("/users/").then_some("/users/{id}")
    /// });
    /// # let _ = layer;
    /// ```
    pub fn route_fn<R: Into<Cow<'static, str>>>(
        self,
        route: impl Fn(&request::Parts) -> Option<R> + Send + Sync + 'static,
    ) -> Self {
        let route = move |parts: &request::Parts| route(parts).map(Into::into);
        self.with(|config| {
            config.route_fn = Callback::new("ApiSpanLayer::route_fn", Arc::new(route));
        })
    }

    /// Replaces the list of known HTTP methods, which are case-sensitive.
    ///
    /// Default: the environment variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS` (comma-separated, read when the
    /// layer is created), else GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH and QUERY.
    ///
    /// For another method `http.request.method` is `_OTHER`, and the span's name has `HTTP`. The method itself is
    /// `http.request.method_original`.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().known_http_methods(["GET", "PROPFIND"]);
    /// # let _ = layer;
    /// ```
    pub fn known_http_methods<M: Into<String>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        self.with(|settings| settings.http_methods = HttpMethods::from_names(methods))
    }

    /// Sets the known gRPC methods, as `service/method`.
    ///
    /// Default: any path of the form `/service/method` counts as known, so clients choose the name. Without a list
    /// the span's name is `grpc` in two cases. There was no response, because of a disconnect, an error or a panic.
    /// Or the response is `UNIMPLEMENTED`.
    ///
    /// With a list, a listed method is the span's name, however the call ends. For another method `rpc.method` is
    /// `_OTHER`, and the span's name is `grpc`. The method itself is `rpc.method_original`. An empty list turns gRPC
    /// off: all requests are described as HTTP.
    ///
    /// Metrics are stricter. Without a list, `rpc.method` is `_OTHER` unless the response is OK or has a message.
    /// Other responses do not prove that the server has the method.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .known_rpc_methods(["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]);
    /// # let _ = layer;
    /// ```
    pub fn known_rpc_methods<M: Into<String>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        self.with(|settings| settings.rpc_methods = RpcMethods::from_names(methods))
    }
}
