//! What a body says in its own bytes, read anew from its start at each frame.

use super::script::{Answer, ContentType, Preset};
use crate::grpc::status::Status;
use crate::grpc::web;
use crate::sse::json::Message;
use crate::sse::lines::{Found, read_lines};

/// A body as far as it has come.
pub struct Streams {
    language: Language,
    bytes: Vec<u8>,
    has_error: bool,
}

enum Language {
    Events {
        terminator: Option<&'static str>,
        reads_errors: bool,
    },
    Web,
    WebText,
    /// None that is read, or not any more.
    None,
}

/// What a frame says.
pub enum Said {
    Nothing,
    Error(Message),
    Terminator,
    ErrorAndTerminator(Message),
    Status(Status),
}

impl Streams {
    /// A body of which nothing is there. A status of gRPC is looked for if it `is_sought`.
    pub fn of(answer: &Answer, preset: Preset, is_sought: bool) -> Self {
        let terminator = match preset {
            Preset::Llm | Preset::Terminated => Some("[DONE]"),
            Preset::Http | Preset::Tolerant => None,
        };
        let language = match answer.content_type {
            _ if answer.is_encoded => Language::None,
            ContentType::Events => Language::Events {
                terminator,
                reads_errors: preset == Preset::Llm,
            },
            ContentType::GrpcWeb if is_sought => Language::Web,
            ContentType::GrpcWebText if is_sought => Language::WebText,
            ContentType::None
            | ContentType::Plain
            | ContentType::Grpc
            | ContentType::GrpcWeb
            | ContentType::GrpcWebText => Language::None,
        };
        Self {
            language,
            bytes: Vec::new(),
            has_error: false,
        }
    }

    /// Data was handed on. What does not lie in one piece is not read, and nothing after it.
    pub fn read(&mut self, data: &[u8], is_contiguous: bool) -> Said {
        if !is_contiguous {
            self.language = Language::None;
        }
        self.bytes.extend_from_slice(data);
        self.look(false)
    }

    /// It is over.
    pub fn finish(&mut self) -> Said {
        match self.language {
            Language::Events { .. } => self.look(true),
            Language::Web | Language::WebText | Language::None => Said::Nothing,
        }
    }

    fn look(&mut self, is_over: bool) -> Said {
        let status = match self.language {
            Language::Web => web::read(&self.bytes),
            Language::WebText => web::read_text(&self.bytes),
            Language::None => None,
            Language::Events {
                terminator,
                reads_errors,
            } => {
                let Found { error, terminator } = read_lines(&self.bytes, is_over, terminator);
                let is_new = reads_errors && !self.has_error;
                let error = error.filter(|_| is_new);
                self.has_error |= error.is_some();
                return match (error.map(|error| error.message), terminator) {
                    (Some(message), Some(_)) => Said::ErrorAndTerminator(message),
                    (Some(message), None) => Said::Error(message),
                    (None, Some(_)) => Said::Terminator,
                    (None, None) => Said::Nothing,
                };
            }
        };
        status.map_or(Said::Nothing, |(status, _)| Said::Status(status))
    }
}
