//! What a response body contains: the end and the errors of an event stream, or the status of gRPC-Web.
//!
//! It is read again from its first byte after each frame.

use super::Settings;
use super::grpc::{Status, web};
use super::sse::json::Message;
use super::sse::read_lines;

/// A response body as far as it was delivered.
#[derive(Clone, Debug, Default)]
pub(super) struct BodyReader {
    format: Format,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Format {
    Events {
        terminator: Option<&'static str>,
        reads_errors: bool,
    },
    GrpcWeb,
    GrpcWebText,
    /// Not read.
    #[default]
    Other,
}

/// What was found in a body so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The message of the first error event.
    pub(super) error: Option<Message>,
    pub(super) is_terminated: bool,
    pub(super) grpc_status: Option<Status>,
}

impl BodyReader {
    /// Starts a body of this media type. gRPC-Web is read if it `seeks_status`.
    pub(super) fn new(media_type: &str, settings: Settings, seeks_status: bool) -> Self {
        let is_web = |name: &str| {
            let rest = media_type.strip_prefix(name).filter(|_| seeks_status);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
        };
        let format = if media_type == "text/event-stream" {
            Format::Events {
                terminator: settings.terminator.filter(|text| !text.is_empty()),
                reads_errors: settings.reads_errors,
            }
        } else if is_web("application/grpc-web") {
            Format::GrpcWeb
        } else if is_web("application/grpc-web-text") {
            Format::GrpcWebText
        } else {
            Format::Other
        };
        Self {
            format,
            bytes: Vec::new(),
        }
    }

    /// Data was delivered. A buffer that is not contiguous stops the reading.
    pub(super) fn read(&mut self, data: &[u8], is_contiguous: bool) -> Found {
        if !is_contiguous {
            self.format = Format::Other;
        }
        self.bytes.extend_from_slice(data);
        self.find(false)
    }

    /// The body has ended.
    pub(super) fn finish(&self) -> Found {
        match self.format {
            Format::Events { .. } => self.find(true),
            Format::GrpcWeb | Format::GrpcWebText | Format::Other => Found::default(),
        }
    }

    fn find(&self, is_over: bool) -> Found {
        let grpc_status = match self.format {
            Format::Events {
                terminator,
                reads_errors,
            } => {
                let events = read_lines(&self.bytes, is_over, terminator);
                return Found {
                    error: events.error.filter(|_| reads_errors),
                    is_terminated: events.terminator.is_some(),
                    grpc_status: None,
                };
            }
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
