//! What a request says of itself: which path it takes, over which protocol, and who sends it.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::paths::{PATHS, Path, Protocol};

/// The header that says it.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-soak");
/// The attribute in which the span says it again.
pub(crate) const ATTRIBUTE: &str = "soak.asked";

/// Which path, over which protocol; and from which lane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    path: usize,
    protocol: Protocol,
    pub(crate) lane: usize,
}

/// How many kinds of requests there are.
pub(crate) const KINDS: usize = PATHS.len() * Protocol::ALL.len();

impl Asked {
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

    /// The kind of request, below [`KINDS`].
    pub(crate) fn number(self) -> usize {
        number(self.path, self.protocol)
    }

    /// Reads the header; `None` if a request is none of ours.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let text = headers.get(HEADER)?.to_str().ok()?;
        let (number, lane) = text.split_once('/')?;
        let number: usize = number.parse().ok()?;
        Some(Self {
            path: number / Protocol::ALL.len(),
            protocol: Protocol::ALL[number % Protocol::ALL.len()],
            lane: lane.parse().ok()?,
        })
        .filter(|asked| asked.path < PATHS.len())
    }

    /// The header's value.
    pub(crate) fn value(self) -> HeaderValue {
        let text = format!("{}/{}", self.number(), self.lane);
        HeaderValue::try_from(text).expect("digits and a slash can be in a header")
    }
}

/// The number of a kind of requests.
pub(crate) fn number(path: usize, protocol: Protocol) -> usize {
    path * Protocol::ALL.len() + protocol as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_can_be_read() {
        for path in 0..PATHS.len() {
            for protocol in Protocol::ALL {
                let asked = Asked::new(path, protocol, 17);
                let headers = HeaderMap::from_iter([(HEADER, asked.value())]);
                let read = Asked::of(&headers).expect("it is one of ours");
                assert_eq!((read.number(), read.lane), (asked.number(), 17));
                assert!(read.number() < KINDS);
            }
        }
    }
}
