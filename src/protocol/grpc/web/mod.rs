//! Finds the status in the trailers of gRPC-Web, which are the last bytes of the body.
//!
//! A body is a sequence of frames: a byte of flags, a big-endian length of four bytes, and the
//! content. Data frames are skipped by counting; the last frame is a block of header lines. In
//! `grpc-web-text` the frames are in base64, and each may be encoded and padded on its own (gRPC's
//! `PROTOCOL-WEB.md`).
//!
//! Bytes are read in place. Only the block of trailers is copied, at most [`MAX_TRAILERS`] bytes. After a malformed
//! frame the rest of the body is ignored. Pure.

mod base64;

use http::HeaderMap;

use crate::protocol::grpc::status::GrpcStatus;
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::is_unencoded;

use base64::Group;

/// The limit of a block of trailers, in bytes. A longer one is not read.
const MAX_TRAILERS: usize = 8 * 1_024;

/// The length of a frame's header: flags and length.
const HEADER: usize = 5;

/// Creates a reader for a response with these headers. Returns `None` unless it is gRPC-Web without a content
/// encoding.
pub(crate) fn reader_for(headers: &HeaderMap) -> Option<TrailersReader> {
    let content_type = ContentType::from_headers(headers)?;
    let has_type = |name| {
        let rest = content_type.strip_prefix(name);
        matches!(rest, Some([] | [b'+', ..]))
    };
    let is_text = has_type("application/grpc-web-text");
    let is_grpc_web = is_text || has_type("application/grpc-web");
    (is_grpc_web && is_unencoded(headers)).then(|| TrailersReader::new(is_text))
}

/// A reader of one gRPC-Web body.
#[derive(Debug)]
pub(crate) struct TrailersReader {
    frames: Frames,
    /// The base64 group that the last piece ended in. `None` for a binary body.
    group: Option<Group>,
}

impl TrailersReader {
    /// Creates a reader of a body, which is in base64 if it `is_text`.
    pub(crate) fn new(is_text: bool) -> Self {
        Self {
            frames: Frames::START,
            group: is_text.then(Group::default),
        }
    }

    /// Reads the next piece of the body. Returns the status if this piece completes the trailers. Later bytes are
    /// ignored.
    pub(crate) fn read(&mut self, piece: &[u8]) -> Option<GrpcStatus> {
        let Some(group) = &mut self.group else {
            return self.frames.read(piece);
        };
        for character in piece {
            if self.frames.is_over() {
                return None;
            }
            let Ok(bytes) = group.push(*character) else {
                self.frames = Frames::Over;
                return None;
            };
            if let Some((bytes, padding)) = bytes
                && let Some(status) = self.frames.read(&bytes[..bytes.len() - padding])
            {
                return Some(status);
            }
        }
        None
    }
}

/// The position in the frames of a body.
#[derive(Debug)]
enum Frames {
    /// In the header of a frame, with `filled` bytes read.
    Header { header: [u8; HEADER], filled: usize },
    /// In a data frame, with `left` bytes to skip.
    Data { left: usize },
    /// In the trailers, of `length` bytes.
    Trailers { block: Vec<u8>, length: usize },
    /// The rest of the body is ignored.
    Over,
}

impl Frames {
    const START: Self = Self::Header {
        header: [0; HEADER],
        filled: 0,
    };

    fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn read(&mut self, piece: &[u8]) -> Option<GrpcStatus> {
        let mut rest = piece;
        while !rest.is_empty() {
            match self {
                Self::Header { header, filled } => {
                    let more = take(&mut rest, HEADER - *filled);
                    header[*filled..*filled + more.len()].copy_from_slice(more);
                    *filled += more.len();
                    if *filled == HEADER {
                        *self = Self::after_header(*header);
                    }
                }
                Self::Data { left } => {
                    *left -= take(&mut rest, *left).len();
                    if *left == 0 {
                        *self = Self::START;
                    }
                }
                Self::Trailers { block, length } => {
                    block.extend_from_slice(take(&mut rest, *length - block.len()));
                    if block.len() == *length {
                        let status = read_status(block);
                        *self = Self::Over;
                        return status;
                    }
                }
                Self::Over => return None,
            }
        }
        None
    }

    /// Returns the position after a frame's header.
    fn after_header([flags, length @ ..]: [u8; HEADER]) -> Self {
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        match (flags, length) {
            (0x00 | 0x01, 0) => Self::START,
            // Skipped, compressed or not.
            (0x00 | 0x01, left) => Self::Data { left },
            (0x80, 1..=MAX_TRAILERS) => Self::Trailers {
                block: Vec::with_capacity(length),
                length,
            },
            // Compressed, oversized or empty trailers, or not gRPC-Web.
            _ => Self::Over,
        }
    }
}

/// Takes up to `limit` bytes from the front of `rest`.
fn take<'a>(rest: &mut &'a [u8], limit: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(limit.min(rest.len()));
    *rest = left;
    taken
}

/// Reads the status from a block of trailers.
fn read_status(block: &[u8]) -> Option<GrpcStatus> {
    let value = |name: &[u8]| {
        block.split(|byte| *byte == b'\n').find_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let is_named = line[..colon].eq_ignore_ascii_case(name);
            is_named.then(|| line[colon + 1..].trim_ascii())
        })
    };
    let status = value(b"grpc-status")?;
    Some(GrpcStatus::from_values(status, value(b"grpc-message")))
}

#[cfg(test)]
mod tests;
