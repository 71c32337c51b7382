//! Setters for span names, routes and known methods.

use std::borrow::Cow;
use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::protocol::http::methods::HttpMethods;
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

    /// Sets the function that returns the name of a request's span, of low cardinality. Samplers see it.
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

    /// Sets the function that returns the route of a request: a template of its path, of low cardinality, such as `/users/{id}`. The route is
    /// attribute `http.route`, and part of the span's name. Samplers see it.
    ///
    /// Default: axum's `MatchedPath` with feature `axum`, if it [describes this request](crate::guide::attributes#rewritten-targets), else
    /// no route. The default also applies if the callback returns `None` or an empty route. If the callback panics, it
    /// counts as `None`. Truncated to 1,024 bytes.
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
    /// Default: the methods that the server has confirmed, which the layer learns. A response that is OK confirms the
    /// method of its call. So does one with a message, except in gRPC-Web. The layer and its services learn up to
    /// 1,024 methods of up to 256 bytes, from requests that are recorded or measured. Then they learn no more.
    ///
    /// With a list, only its methods and those of [`known_rpc_services`](Self::known_rpc_services) can be known. Only
    /// the latter are learnt. An empty list, without services, turns gRPC off: all requests are described as HTTP.
    ///
    /// A known method is `rpc.method` in span and metrics, and the span's name, however the call ends. For another
    /// method `rpc.method` is `_OTHER`, and the span's name is `grpc`. The method itself is `rpc.method_original`.
    ///
    /// Samplers see no `rpc.method` if only the response can confirm the method. They see that method in the span's
    /// name.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new()
    ///     .known_rpc_methods(["grpc.health.v1.Health/Check", "grpc.health.v1.Health/Watch"]);
    /// # let _ = layer;
    /// ```
    pub fn known_rpc_methods<M: Into<String>>(self, methods: impl IntoIterator<Item = M>) -> Self {
        self.with(|settings| settings.rpc_methods.set_methods(methods))
    }

    /// Sets the known gRPC services, such as tonic's `NamedService::NAME` of each.
    ///
    /// Default: no services.
    ///
    /// A client can call any method, so the methods of these services are known once a response has confirmed them,
    /// as [others are](Self::known_rpc_methods). A panic of the server confirms them, too. So does an error code, with
    /// two exceptions. `UNIMPLEMENTED` is the answer to unknown methods. Interceptors and limits return
    /// `UNAUTHENTICATED`, `PERMISSION_DENIED`, `RESOURCE_EXHAUSTED`, `UNAVAILABLE`, `CANCELLED` and
    /// `DEADLINE_EXCEEDED` for any method. At most 128 methods are learnt from panics and error codes.
    ///
    /// ```
    /// use tonic::server::NamedService;
    /// use tonic_health::pb::health_server::HealthServer;
    ///
    /// let health = HealthServer::<tonic_health::server::HealthService>::NAME;
    /// let layer = tower_api_span::ApiSpanLayer::new().known_rpc_services([health]);
    /// # let _ = layer;
    /// ```
    pub fn known_rpc_services<S: Into<String>>(
        self,
        services: impl IntoIterator<Item = S>,
    ) -> Self {
        self.with(|settings| settings.rpc_methods.set_services(services))
    }

    /// Sets the part of the path in front of `/service/method`, if the gRPC server is nested below it.
    ///
    /// Default: no prefix.
    ///
    /// `rpc.method` and the span's name have no prefix. A path without the prefix is read as it is, because a router
    /// outside the layer may have removed it.
    ///
    /// ```
    /// // The path of a call is `/api/grpc.health.v1.Health/Check`.
    /// let layer = tower_api_span::ApiSpanLayer::new().rpc_path_prefix("/api");
    /// # let _ = layer;
    /// ```
    pub fn rpc_path_prefix(self, prefix: &str) -> Self {
        self.with(|settings| settings.rpc_methods.set_prefix(prefix))
    }
}
