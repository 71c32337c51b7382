//! stub
use http::HeaderMap;
use std::borrow::Cow;
use std::net::IpAddr;
/// x
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyHeaders {
    /// x
    #[default]
    Either,
    /// x
    Forwarded,
    /// x
    XForwarded,
}
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    pub(crate) client: Option<(IpAddr, Option<u16>)>,
    pub(crate) proto: Option<&'static str>,
    pub(crate) host: Option<Cow<'a, str>>,
}
pub(crate) fn hop(_: &HeaderMap, _: usize, _: ProxyHeaders) -> Hop<'_> {
    Hop::default()
}
