//! The formats of answers.

use std::fmt;

/// A format in which APIs of language models answer, streamed or whole.
///
/// A response is in the format that its first event shows, by the members it has. The path does not count.
///
/// ```
/// use tower_api_span::{ApiSpanLayer, LlmFormat};
///
/// let layer = ApiSpanLayer::llm().llm_formats([LlmFormat::ChatCompletions]);
/// # let _ = layer;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LlmFormat {
    /// `OpenAI`'s chat completions. A stream ends with `data: [DONE]`; or with its body, if each choice has a finish
    /// reason.
    ChatCompletions,
    /// `OpenAI`'s completions. A stream ends like one of chat completions.
    Completions,
    /// `OpenAI`'s responses. A stream ends with `response.completed`, `.done`, `.incomplete`,
    /// `.failed` or `.cancelled`.
    Responses,
    /// Anthropic's messages. A stream ends with `message_stop`.
    Messages,
    /// Google's Gemini. A stream ends with its body.
    Gemini,
    /// Ollama's chat and generation, a line of JSON for each token. A stream ends with `"done": true`.
    Ollama,
}

impl LlmFormat {
    /// All formats.
    ///
    /// ```
    /// use tower_api_span::LlmFormat;
    ///
    /// let others = LlmFormat::ALL.into_iter().filter(|format| *format != LlmFormat::Ollama);
    /// let layer = tower_api_span::ApiSpanLayer::llm().llm_formats(others);
    /// # let _ = layer;
    /// ```
    pub const ALL: [Self; 6] = [
        Self::ChatCompletions,
        Self::Completions,
        Self::Responses,
        Self::Messages,
        Self::Gemini,
        Self::Ollama,
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of formats.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Formats(u8);

impl Formats {
    pub(crate) fn contain(self, format: LlmFormat) -> bool {
        self.0 & format.bit() != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<LlmFormat> for Formats {
    fn from_iter<I: IntoIterator<Item = LlmFormat>>(formats: I) -> Self {
        Self(
            formats
                .into_iter()
                .fold(0, |set, format| set | format.bit()),
        )
    }
}

impl fmt::Debug for Formats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let formats = LlmFormat::ALL.into_iter();
        f.debug_set()
            .entries(formats.filter(|format| self.contain(*format)))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_can_be_listed_twice() {
        let formats = [LlmFormat::Ollama, LlmFormat::Gemini, LlmFormat::Ollama];
        let formats: Formats = formats.into_iter().collect();
        assert_eq!(format!("{formats:?}"), "{Gemini, Ollama}");
    }
}
