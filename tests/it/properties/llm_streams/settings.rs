//! Settings of the layer that decide what is read.

use proptest::prelude::*;
use proptest::sample::select;
use tower_api_span::{ApiSpanLayer, LlmFormat};

use super::super::oracle;
use super::super::oracle::llm::{self, Format};
use super::super::single_request::layer;
use crate::support::recorder::Recorder;

/// Settings of the layer; by default those of the preset.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    llm: llm::Settings,
    reads_attributes: bool,
}

/// The formats that are listed: all, none, or a few.
const FORMATS: [&[Format]; 7] = [
    &Format::ALL,
    &[],
    &[Format::ChatCompletions],
    &[Format::Completions, Format::Ollama],
    &[Format::Responses],
    &[Format::Messages, Format::Gemini],
    &[Format::Ollama],
];

pub fn settings() -> impl Strategy<Value = Settings> {
    let other = (
        select(&FORMATS[..]),
        select(vec![None, Some("[DONE]"), Some("trouble"), Some("")]),
        select(vec![None, Some("done"), Some("message_stop")]),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(formats, terminator, terminator_event, reads_errors, reads_attributes)| Settings {
                llm: llm::Settings {
                    formats,
                    terminator,
                    terminator_event,
                    // With nothing to look for, an event stream is not read: any data are the first.
                    reads_errors: reads_errors
                        || formats.is_empty()
                            && terminator.is_none_or(str::is_empty)
                            && terminator_event.is_none(),
                },
                reads_attributes,
            },
        );
    let preset = Settings {
        llm: llm::Settings::llm(),
        reads_attributes: true,
    };
    prop_oneof![2 => Just(preset), 1 => other]
}

impl Settings {
    pub fn layer(&self, at: &Recorder) -> ApiSpanLayer {
        let formats = self.llm.formats.iter().map(|format| match format {
            Format::ChatCompletions => LlmFormat::ChatCompletions,
            Format::Completions => LlmFormat::Completions,
            Format::Responses => LlmFormat::Responses,
            Format::Messages => LlmFormat::Messages,
            Format::Gemini => LlmFormat::Gemini,
            Format::Ollama => LlmFormat::Ollama,
        });
        layer(at, true)
            .llm_formats(formats)
            .gen_ai_attributes(self.reads_attributes)
            .stream_errors(self.llm.reads_errors)
            // An empty terminator is none.
            .stream_terminator(self.llm.terminator.unwrap_or_default())
            .stream_terminator_event(self.llm.terminator_event.unwrap_or_default())
    }

    pub fn oracle(&self) -> oracle::Settings {
        oracle::Settings {
            llm: self.llm,
            reads_attributes: self.reads_attributes,
            ..oracle::Settings::llm()
        }
    }
}
