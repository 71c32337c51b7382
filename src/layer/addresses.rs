//! Setters for addresses, the scheme, and trusted proxies.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::protocol::http::forwarded::ProxyHeaders;
use crate::settings::callback::Callback;
use crate::text::truncate_cow;

impl ApiSpanLayer {
    /// Sets the number of trusted proxies in front of this server. Their headers set `client.address`, `url.scheme`
    /// and `server.address`.
    ///
    /// Default: 0, which ignores these headers.
    ///
    /// The headers are `Forwarded` (RFC 7239) and `X-Forwarded-For`, `-Proto` and `-Host`. Each proxy appends its
    /// element on the right. So with `n` proxies the layer reads the n-th element from the right, or the leftmost if
    /// there are fewer. Clients may have written the elements to the left: if the number is too high, clients can
    /// forge addresses. An invalid address falls back to the peer's. Only HTTP spans use these headers.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().trusted_proxies(1);
    /// # let _ = layer;
    /// ```
    pub fn trusted_proxies(self, hops: usize) -> Self {
        self.with(|settings| settings.trusted_proxies = hops)
    }

    /// Sets which headers the [trusted proxies](Self::trusted_proxies) write.
    ///
    /// Default: [`ProxyHeaders::Either`].
    ///
    /// A proxy may forward the other family of headers as the client sent it. If you set the family, the layer
    /// ignores the other one.
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, ProxyHeaders};
    ///
    /// let layer = ApiSpanLayer::new().trusted_proxies(1).proxy_headers(ProxyHeaders::XForwarded);
    /// # let _ = layer;
    /// ```
    pub fn proxy_headers(self, which: ProxyHeaders) -> Self {
        self.with(|settings| settings.proxy_headers = which)
    }

    /// Sets the scheme that clients use, such as `https` if a proxy terminates TLS.
    ///
    /// Default: the request's scheme, else `http`. Truncated to 1,024 bytes.
    ///
    /// An HTTP/1 request carries no scheme, even over TLS. A trusted proxy's scheme takes precedence. An empty scheme
    /// restores the default.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().scheme("https");
    /// # let _ = layer;
    /// ```
    pub fn scheme(self, scheme: impl Into<Cow<'static, str>>) -> Self {
        let scheme = Some(truncate_cow(scheme.into())).filter(|scheme| !scheme.is_empty());
        self.with(|settings| settings.scheme = scheme)
    }

    /// Sets the function that returns the peer address of a request's connection. The address is recorded as
    /// `network.peer.*` and, without trusted proxies, as `client.address`.
    ///
    /// Default: axum's `ConnectInfo<SocketAddr>` with feature `connect-info`, else unknown. If the
    /// callback panics, the address is unknown.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// // hyper: inserted by the code that accepts the connections.
    /// let layer = ApiSpanLayer::new()
    ///     .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
    /// // tonic: inserted by its server.
    /// let layer = ApiSpanLayer::new().peer_address_fn(|request| {
    ///     use tonic::transport::server::TcpConnectInfo;
    ///     request.extensions.get::<TcpConnectInfo>()?.remote_addr()
    /// });
    /// # let _ = layer;
    /// ```
    pub fn peer_address_fn(
        self,
        peer: impl Fn(&request::Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| {
            config.peer_address_fn = Callback::new("ApiSpanLayer::peer_address_fn", Arc::new(peer));
        })
    }

    /// Sets the function that returns the local address of a request's connection. The address is recorded as
    /// `network.local.address` and `network.local.port`.
    ///
    /// Default: unknown. If the callback panics, the address is unknown.
    ///
    /// ```
    /// use tonic::transport::server::TcpConnectInfo;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// let layer = ApiSpanLayer::new().local_address_fn(|request| {
    ///     request.extensions.get::<TcpConnectInfo>()?.local_addr()
    /// });
    /// # let _ = layer;
    /// ```
    pub fn local_address_fn(
        self,
        local: impl Fn(&request::Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.with(|config| {
            config.local_address_fn =
                Callback::new("ApiSpanLayer::local_address_fn", Arc::new(local));
        })
    }

    /// Sets whether `client.port` is recorded beside `client.address`, if the port is known.
    ///
    /// Default: false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().client_port(true);
    /// # let _ = layer;
    /// ```
    pub fn client_port(self, is_recorded: bool) -> Self {
        self.with(|settings| settings.client_port = is_recorded)
    }
}
