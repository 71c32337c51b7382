//! What a response body contains: the answer of an LLM API, or the status of gRPC-Web.
//!
//! It is read again from its first byte after each frame.

use super::grpc::{Status, web};
use super::llm::{self, Framing, Reading};

/// A response body as far as it was delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyReader {
    format: Format,
    /// What is read.
    bytes: Vec<u8>,
    /// A buffer was not contiguous.
    is_given_up: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum Format {
    Llm(Framing, llm::Settings),
    GrpcWeb,
    GrpcWebText,
    /// Not read.
    #[default]
    Other,
}

/// What was found in a body so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) reading: Reading,
    pub(super) grpc_status: Option<Status>,
}

impl BodyReader {
    /// Starts a body of this media type. gRPC-Web is read if it `seeks_status`.
    pub(super) fn new(
        media_type: &str,
        status: u16,
        settings: llm::Settings,
        seeks_status: bool,
    ) -> Self {
        let is_web = |name: &str| {
            let rest = media_type.strip_prefix(name).filter(|_| seeks_status);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
        };
        let framing = Framing::from_media_type(media_type);
        let format = match framing.filter(|framing| settings.reads(*framing, status)) {
            Some(framing) => Format::Llm(framing, settings),
            None if is_web("application/grpc-web") => Format::GrpcWeb,
            None if is_web("application/grpc-web-text") => Format::GrpcWebText,
            None => Format::Other,
        };
        Self {
            format,
            ..Self::default()
        }
    }

    /// Returns the framing of a stream that is read.
    pub(super) fn stream(&self) -> Option<Framing> {
        match self.format {
            Format::Llm(framing, _) if framing != Framing::Whole => Some(framing),
            Format::Llm(..) | Format::GrpcWeb | Format::GrpcWebText | Format::Other => None,
        }
    }

    /// Whether it is an answer that is read when it is over.
    pub(super) fn is_whole_answer(&self) -> bool {
        matches!(self.format, Format::Llm(Framing::Whole, _))
    }

    /// Returns how many bytes precede the buffer that stopped the reading.
    pub(super) fn given_up_after(&self) -> Option<usize> {
        self.is_given_up.then_some(self.bytes.len())
    }

    /// Whether the first so many bytes of a stream end with a line that lacks its line break.
    pub(super) fn is_open_line(&self, stream: Option<Framing>, bytes: usize) -> bool {
        let last = self.bytes.last().filter(|_| bytes == self.bytes.len());
        let ends: &[u8] = match stream {
            Some(Framing::Events) => b"\r\n",
            Some(_) => b"\n",
            None => return false,
        };
        last.is_some_and(|byte| !ends.contains(byte))
    }

    /// Data was delivered. A buffer that is not contiguous stops the reading.
    pub(super) fn read(&mut self, data: &[u8], is_contiguous: bool) {
        self.is_given_up |= !is_contiguous;
        if !self.is_given_up {
            self.bytes.extend_from_slice(data);
        }
    }

    /// Returns what was found so far. If the body `is_over`, its end ends the last line and the last event.
    pub(super) fn find(&self, is_over: bool) -> Found {
        let is_over = is_over && !self.is_given_up;
        let grpc_status = match self.format {
            Format::Llm(framing, settings) => {
                return Found {
                    reading: llm::read(&self.bytes, framing, is_over, &settings),
                    grpc_status: None,
                };
            }
            _ if self.is_given_up => None,
            Format::GrpcWeb => web::read(&self.bytes),
            Format::GrpcWebText => web::read_text(&self.bytes),
            Format::Other => None,
        };
        Found {
            grpc_status: grpc_status.map(|(status, _)| status),
            ..Found::default()
        }
    }
}
