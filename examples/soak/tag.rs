//! The tag of a request: its path, its protocol and the lane that sends it.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::paths::{PATHS, Path, Protocol};

/// The header that carries the tag.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-soak");
/// The span attribute that carries the request's kind.
pub(crate) const KIND: &str = "soak.kind";
/// The span attribute that carries the request's number.
pub(crate) const NUMBER: &str = "soak.number";

/// A request's path, protocol and lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tag {
    path: usize,
    protocol: Protocol,
    pub(crate) lane: usize,
}

/// The number of kinds. A kind is a path over a protocol.
pub(crate) const KINDS: usize = PATHS.len() * Protocol::ALL.len();

impl Tag {
    pub(crate) fn new(path: usize, protocol: Protocol, lane: usize) -> Self {
        Self {
            path,
            protocol,
            lane,
        }
    }

    pub(crate) fn path(self) -> &'static Path {
        &PATHS[self.path]
    }

    /// Returns the request's kind, below [`KINDS`].
    pub(crate) fn kind(self) -> usize {
        kind(self.path, self.protocol)
    }

    /// Reads the header. Returns `None` if it is missing or invalid.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(HEADER)?.to_str().ok()?;
        let (kind, lane) = text.split_once('/')?;
        let kind: usize = kind.parse().ok()?;
        Some(Self {
            path: kind / Protocol::ALL.len(),
            protocol: Protocol::ALL[kind % Protocol::ALL.len()],
            lane: lane.parse().ok()?,
        })
        .filter(|tag| tag.path < PATHS.len())
    }

    /// Returns the header's value.
    pub(crate) fn header_value(self) -> HeaderValue {
        let text = format!("{}/{}", self.kind(), self.lane);
        HeaderValue::try_from(text).expect("digits and a slash are valid in a header")
    }
}

/// Returns the kind of a path over a protocol.
pub(crate) fn kind(path: usize, protocol: Protocol) -> usize {
    path * Protocol::ALL.len() + protocol as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tag_is_read_back_from_its_header() {
        for path in 0..PATHS.len() {
            for protocol in Protocol::ALL {
                let tag = Tag::new(path, protocol, 17);
                let headers = HeaderMap::from_iter([(HEADER, tag.header_value())]);
                let read = Tag::from_headers(&headers).expect("a valid tag");
                assert_eq!((read.kind(), read.lane), (tag.kind(), 17));
                assert!(read.kind() < KINDS);
            }
        }
    }
}
