//! Finds the status in the trailers of gRPC-Web, which are the last bytes of the body.
//!
//! A body is frames: a byte of flags, a length of four bytes, big-endian, and so many bytes. Data
//! frames are skipped by counting, the last frame is a block of header lines. In `grpc-web-text` all
//! that is in base64, in which each part may have been encoded, and padded, on its own (gRPC's
//! `PROTOCOL-WEB.md`).
//!
//! Bytes are looked at where they lie, and nothing but the block of trailers is kept, at most
//! [`MAX_TRAILERS`] bytes. What is no such body is left alone for good. Pure.

use http::HeaderMap;

use crate::protocol::grpc::GrpcStatus;
use crate::protocol::http::content_type::ContentType;
use crate::protocol::http::progress::is_unencoded;

/// How long a block of trailers may be; a longer one is not read.
const MAX_TRAILERS: usize = 8 * 1_024;

/// A frame's flags and length.
const HEADER: usize = 5;

/// A reader for a response with these headers, if it is one of gRPC-Web that can be read.
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
    /// Text: the group of characters that the last piece ended in.
    group: Option<Group>,
}

impl TrailersReader {
    /// A body of which nothing has been read, in base64 if it `is_text`.
    pub(crate) fn new(is_text: bool) -> Self {
        Self {
            frames: Frames::START,
            group: is_text.then(Group::default),
        }
    }

    /// Reads the next piece of the body: the status, if this piece completes the trailers. There is
    /// nothing to be found after that.
    pub(crate) fn read(&mut self, piece: &[u8]) -> Option<GrpcStatus> {
        let Some(group) = &mut self.group else {
            return self.frames.read(piece);
        };
        for character in piece {
            if self.frames.are_over() {
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

/// Where in its frames a body is.
#[derive(Debug)]
enum Frames {
    /// In the header of a frame, of which so many bytes are there.
    Header { header: [u8; HEADER], there: usize },
    /// In a data frame, of which so many bytes are still to come.
    Data { left: usize },
    /// In the trailers.
    Trailers { block: Vec<u8>, length: usize },
    /// Nothing is looked for any more.
    Over,
}

impl Frames {
    const START: Self = Self::Header {
        header: [0; HEADER],
        there: 0,
    };

    fn are_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    fn read(&mut self, piece: &[u8]) -> Option<GrpcStatus> {
        let mut rest = piece;
        while !rest.is_empty() {
            match self {
                Self::Header { header, there } => {
                    let more = take(&mut rest, HEADER - *there);
                    header[*there..*there + more.len()].copy_from_slice(more);
                    *there += more.len();
                    if *there == HEADER {
                        *self = Self::after(*header);
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
                        let status = status(block);
                        *self = Self::Over;
                        return status;
                    }
                }
                Self::Over => return None,
            }
        }
        None
    }

    /// What follows a frame's header.
    fn after([flags, length @ ..]: [u8; HEADER]) -> Self {
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        match (flags, length) {
            (0x00 | 0x01, 0) => Self::START,
            // Compressed or not: it is skipped.
            (0x00 | 0x01, left) => Self::Data { left },
            (0x80, 1..=MAX_TRAILERS) => Self::Trailers {
                block: Vec::with_capacity(length),
                length,
            },
            // Compressed trailers, or too many, or none, or no gRPC-Web at all.
            _ => Self::Over,
        }
    }
}

/// Takes up to `limit` bytes off the front.
fn take<'a>(rest: &mut &'a [u8], limit: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(limit.min(rest.len()));
    *rest = left;
    taken
}

/// The status in a block of trailers.
fn status(block: &[u8]) -> Option<GrpcStatus> {
    let value = |name: &[u8]| {
        block.split(|byte| *byte == b'\n').find_map(|line| {
            let colon = memchr::memchr(b':', line)?;
            let is_it = line[..colon].eq_ignore_ascii_case(name);
            is_it.then(|| line[colon + 1..].trim_ascii())
        })
    };
    let status = value(b"grpc-status")?;
    Some(GrpcStatus::from_values(status, value(b"grpc-message")))
}

/// The beginning of a group of four characters in base64, which stand for up to three bytes.
#[derive(Debug, Default)]
struct Group {
    bits: u32,
    characters: usize,
    /// How many of the characters are padding.
    padding: usize,
}

/// A character has no place in base64.
#[derive(Debug)]
struct NotBase64;

impl Group {
    /// Adds a character. If that completes the group: three bytes, and how many of them at the end
    /// are padding.
    fn push(&mut self, character: u8) -> Result<Option<([u8; 3], usize)>, NotBase64> {
        let bits = match character {
            b'=' if self.characters >= 2 => {
                self.padding += 1;
                0
            }
            _ if self.padding > 0 => return Err(NotBase64),
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return Err(NotBase64),
        };
        self.bits = self.bits << 6 | u32::from(bits);
        self.characters += 1;
        if self.characters < 4 {
            return Ok(None);
        }
        let Self { bits, padding, .. } = std::mem::take(self);
        let [_, bytes @ ..] = bits.to_be_bytes();
        Ok(Some((bytes, padding)))
    }
}

#[cfg(test)]
mod tests;
