//! The declared and the returned bytes of a body. Pure.

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Method, StatusCode, Version};

use crate::protocol::digits::parse_decimal;

/// The declared bytes of one response body, and the bytes delivered to the server.
#[derive(Debug)]
pub(crate) struct Progress {
    declared: Option<u64>,
    delivered: u64,
    polled: bool,
}

impl Progress {
    /// Creates the progress of a body with this declared length.
    pub(crate) fn new(declared: Option<u64>) -> Self {
        Self {
            declared,
            delivered: 0,
            polled: false,
        }
    }

    /// Records that the body was polled.
    pub(crate) fn mark_polled(&mut self) {
        self.polled = true;
    }

    /// Whether the body was ever polled.
    pub(crate) fn was_polled(&self) -> bool {
        self.polled
    }

    /// Records a data frame. Returns whether it is the first that is not empty.
    pub(crate) fn record_data(&mut self, bytes: u64) -> bool {
        let first = self.delivered == 0 && bytes > 0;
        self.delivered = self.delivered.saturating_add(bytes);
        first
    }

    /// Whether all declared bytes were delivered. Never true for a body of unknown length.
    pub(crate) fn has_delivered_all(&self) -> bool {
        self.declared
            .is_some_and(|declared| self.delivered >= declared)
    }

    /// Returns the delivered bytes.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Returns the declared and the delivered bytes, if they differ. To be called when the body is over.
    pub(crate) fn mismatch(&self) -> Option<(u64, u64)> {
        self.declared
            .filter(|declared| *declared != self.delivered)
            .map(|declared| (declared, self.delivered))
    }
}

/// Whether a message with this head cannot have a body (RFC 9110, section 6.4.1).
///
/// An HTTP/1 server does not poll the body of such a message. An HTTP/2 server may poll it, and get an error. In
/// both cases the head completes the message.
pub(crate) fn has_no_body(method: &Method, status: StatusCode) -> bool {
    method == Method::HEAD
        || status.is_informational()
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        || (method == Method::CONNECT && status.is_success())
}

/// Whether a body has no content encoding.
pub(crate) fn is_unencoded(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .is_none_or(|encoding| encoding == "identity")
}

/// Returns the declared length: the Content-Length, else the body's exact size hint, which servers
/// turn into a Content-Length.
///
/// In HTTP/1.1 a Transfer-Encoding overrides both (RFC 9112, section 6.3). Servers omit it in other versions. The
/// length is unknown if the Content-Length is invalid, or if there are two different ones.
pub(crate) fn declared_length(
    headers: &HeaderMap,
    version: Version,
    exact_size_hint: Option<u64>,
) -> Option<u64> {
    let is_transfer_encoded =
        version == Version::HTTP_11 && headers.contains_key(TRANSFER_ENCODING);
    let mut values = headers.get_all(CONTENT_LENGTH).iter();
    let Some(first) = values.next() else {
        return exact_size_hint.filter(|_| !is_transfer_encoded);
    };
    if is_transfer_encoded || values.any(|other| other != first) {
        return None;
    }
    parse_decimal(first.to_str().ok()?)
}

#[cfg(test)]
mod tests;
