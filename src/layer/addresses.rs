//! Setters: the addresses of both ends of the connection, and trusted proxies in between.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::protocol::http::forwarded::ProxyHeaders;
use crate::settings::callback::Callback;
use crate::text::truncate_cow;

impl ApiSpanLayer {
    /// Sets the number of trusted proxies in front of this server. Their `Forwarded` (RFC 7239) or
    /// `X-Forwarded-For`, `-Proto` and `-Host` set `client.address`, `url.scheme` and `server.address`.
    ///
    /// Default: 0, and these headers are ignored.
    ///
    /// Each proxy appends on the right. So with `n` proxies the n-th element from the right is read, or
    /// the leftmost if there are fewer. Clients may have written the elements left of it: if the number
    /// is too high, clients can forge addresses. An invalid address falls back to the peer's. HTTP only:
    /// gRPC's conventions have no client behind proxies.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().trusted_proxies(1);
    /// # let _ = layer;
    /// ```
    pub fn trusted_proxies(self, hops: usize) -> Self {
        self.with(|config| config.trusted_proxies = hops)
    }

    /// Sets which headers the [trusted proxies](Self::trusted_proxies) write.
    ///
    /// Default: [`ProxyHeaders::Either`].
    ///
    /// A proxy passes on the headers that it does not write, as the client sent them. So name the
    /// family: the other one is then ignored.
    ///
    /// ```
    /// use tower_api_span::{ApiSpanLayer, ProxyHeaders};
    ///
    /// let layer = ApiSpanLayer::new().trusted_proxies(1).proxy_headers(ProxyHeaders::XForwarded);
    /// # let _ = layer;
    /// ```
    pub fn proxy_headers(self, which: ProxyHeaders) -> Self {
        self.with(|config| config.proxy_headers = which)
    }

    /// Sets the scheme that clients use, such as `https` where TLS ends before the layer.
    ///
    /// Default: the request's scheme, else `http`, because HTTP/1 requests carry none. A trusted proxy's
    /// scheme takes precedence. An empty scheme restores the default. Truncated to 1,024 bytes.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().scheme("https");
    /// # let _ = layer;
    /// ```
    pub fn scheme(self, scheme: impl Into<Cow<'static, str>>) -> Self {
        let scheme = Some(truncate_cow(scheme.into())).filter(|scheme| !scheme.is_empty());
        self.with(|config| config.scheme = scheme)
    }

    /// Sets the peer address of a request's connection: `network.peer.*` and, without trusted proxies,
    /// `client.address`.
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

    /// Sets the local address of a request's connection: `network.local.address` and
    /// `network.local.port`.
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

    /// Sets whether `client.port` is recorded with `client.address`, if it is known.
    ///
    /// Default: false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().client_port(true);
    /// # let _ = layer;
    /// ```
    pub fn client_port(self, is_recorded: bool) -> Self {
        self.with(|config| config.client_port = is_recorded)
    }
}
