//! Settings: who is at the other end, and what is in between.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use http::request;

use super::ApiSpanLayer;
use crate::protocol::http::forwarded::ProxyHeaders;
use crate::settings::callback::Callback;
use crate::text::truncate_cow;

impl ApiSpanLayer {
    /// How many proxies in front of this server are trusted to say for whom they speak, in `Forwarded`
    /// (RFC 7239) or `X-Forwarded-For`, `-Proto` and `-Host`; by default 0, and those headers say
    /// nothing.
    ///
    /// Each proxy adds on the right. So of `n` the n-th from the right counts, or the leftmost of
    /// fewer, for `client.address`, `url.scheme` and `server.address`; what stands left of it may be
    /// anybody's invention. Too large a number believes inventions. An address that is none leaves the
    /// peer's. HTTP only: gRPC's conventions have no client behind proxies.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().trusted_proxies(1);
    /// # let _ = layer;
    /// ```
    pub fn trusted_proxies(self, hops: usize) -> Self {
        self.with(|config| config.trusted_proxies = hops)
    }

    /// Which of the headers the [trusted proxies](Self::trusted_proxies) write; by default
    /// [`ProxyHeaders::Either`]. A proxy passes on what it does not write, as the client has sent it:
    /// say which, and the others are not looked at.
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

    /// The scheme that this server is reached by, `https` where its TLS ends before the layer; by
    /// default what the request says, else `http`, for HTTP/1 does not say it. A trusted proxy knows
    /// better. An empty one is none; it is cut at 1,024 bytes.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().scheme("https");
    /// # let _ = layer;
    /// ```
    pub fn scheme(self, scheme: impl Into<Cow<'static, str>>) -> Self {
        let scheme = Some(truncate_cow(scheme.into())).filter(|scheme| !scheme.is_empty());
        self.with(|config| config.scheme = scheme)
    }

    /// Who is at the other end of a request's connection: `network.peer.*` and, without trusted
    /// proxies, `client.address`. By default axum's `ConnectInfo<SocketAddr>` with feature
    /// `connect-info`, else unknown. A panic is unknown.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use tower_api_span::ApiSpanLayer;
    ///
    /// // hyper: put there by whoever accepts the connections.
    /// let layer = ApiSpanLayer::new()
    ///     .peer_address_fn(|request| request.extensions.get::<SocketAddr>().copied());
    /// // tonic: put there by its server.
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
        self.with(|config| config.peer_address_fn = Callback::new(Arc::new(peer)))
    }

    /// This end of a request's connection: `network.local.address` and `network.local.port`; by
    /// default unknown. A panic is unknown.
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
        self.with(|config| config.local_address_fn = Callback::new(Arc::new(local)))
    }

    /// Whether `client.port` is told beside `client.address`, where it is known; by default false.
    ///
    /// ```
    /// let layer = tower_api_span::ApiSpanLayer::new().client_port(true);
    /// # let _ = layer;
    /// ```
    pub fn client_port(self, is_told: bool) -> Self {
        self.with(|config| config.client_port = is_told)
    }
}
