//! Settings: names, routes, and the methods that are known.

use std::borrow::Cow;
use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::protocol::http::methods::{HttpMethods, RpcMethods};
use crate::settings::callback::Callback;

impl ApiSpanLayer {
    /// The name of all spans, in place of `{method} {route}` and its like; by default none. An empty
    /// one is none.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().span_name("checkout");
    /// # let _ = layer;
    /// ```
    pub fn span_name(self, name: impl Into<Cow<'static, str>>) -> Self {
        let name = Some(name.into()).filter(|name| !name.is_empty());
        self.with(|config| config.span_name = name)
    }

    /// The name of a request's span, of low cardinality: for the requests of which the function says
    /// one, in place of [`span_name`](Self::span_name) and of the conventions'; by default none. It is
    /// cut at 1,024 bytes; an empty one is none, and so is a panic. Samplers see it.
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
        self.with(|config| config.span_name_fn = Callback::new(Arc::new(name)))
    }

    /// The route of a request, a template of its path of low cardinality such as `/users/{id}`:
    /// attribute `http.route`, and in the name. By default axum's `MatchedPath` with feature `axum`,
    /// which stays for the requests of which the function says none. It is cut at 1,024 bytes; an empty
    /// one is none, and so is a panic. Samplers see it, as they do not see what
    /// [`SpanHandle::set_route`](crate::SpanHandle::set_route) says later, which has no effect then.
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
        self.with(|config| config.route_fn = Callback::new(Arc::new(route)))
    }

    /// The HTTP methods that are known, these and no others; they are case-sensitive. Any other is
    /// `_OTHER`, `HTTP` in the name, and itself in `http.request.method_original`.
    ///
    /// By default those of the environment variable `OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`
    /// (separated by commas, read when the layer is made), else GET, HEAD, POST, PUT, DELETE, CONNECT,
    /// OPTIONS, TRACE, PATCH and QUERY.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().known_http_methods(["GET", "PROPFIND"]);
    /// # let _ = layer;
    /// ```
    pub fn known_http_methods<M: Into<String>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        self.with(|config| config.http_methods = HttpMethods::from_names(methods))
    }

    /// The gRPC methods that are known, `service/method`, these and no others. Any other is `_OTHER`,
    /// `grpc` in the name, and itself in `rpc.method_original`.
    ///
    /// By default every path of that form is one, which is for the client to choose: the name is `grpc`
    /// after all where no gRPC server has answered (the client has left before, or it was an error or
    /// a panic), or where it has answered `UNIMPLEMENTED`. With a list names are the method's whatever
    /// happens. An empty list is for servers that have no gRPC: all requests are HTTP's.
    ///
    /// Metrics are stricter: without a list, a call is of method `_OTHER` unless the server has answered
    /// with OK or a message. Whatever else it answers may come from before the method is looked up.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .known_rpc_methods(["grpc.health.v1.Health/Check", "grpc.health.v1.Health/StartOptions"]);
    /// # let _ = layer;
    /// ```
    pub fn known_rpc_methods<M: Into<String>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        self.with(|config| config.rpc_methods = RpcMethods::from_names(methods))
    }
}
