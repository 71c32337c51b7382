//! The report of one proxy.

use std::borrow::Cow;
use std::net::IpAddr;

/// An address, and its port if known.
pub(super) type Client = (IpAddr, Option<u16>);

/// The report of the outermost trusted proxy.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    /// The address that connected to the proxy, and its port if known.
    pub(crate) client: Option<Client>,
    /// `http`, `https`, `ws` or `wss`; any other scheme is ignored.
    pub(crate) proto: Option<&'static str>,
    /// The host, with its port if given; not yet parsed, and never empty.
    pub(crate) host: Option<Cow<'a, str>>,
}
