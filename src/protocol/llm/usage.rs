//! Numbers of tokens.

use super::format::LlmFormat;
use super::member::Count;

/// The numbers of tokens, as a format has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: Option<u64>,
    cache_creation: Option<u64>,
    reasoning: Option<u64>,
    tool_use: Option<u64>,
}

impl Usage {
    pub(super) fn set(&mut self, count: Count, tokens: Option<u64>) {
        *match count {
            Count::Input => &mut self.input,
            Count::Output => &mut self.output,
            Count::CacheRead => &mut self.cache_read,
            Count::CacheCreation => &mut self.cache_creation,
            Count::Reasoning => &mut self.reasoning,
            Count::ToolUse => &mut self.tool_use,
        } = tokens;
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Replaces each number that `later` has.
    pub(super) fn update(&mut self, later: &Self) {
        self.input = later.input.or(self.input);
        self.output = later.output.or(self.output);
        self.cache_read = later.cache_read.or(self.cache_read);
        self.cache_creation = later.cache_creation.or(self.cache_creation);
        self.reasoning = later.reasoning.or(self.reasoning);
        self.tool_use = later.tool_use.or(self.tool_use);
    }

    /// Without the number of output tokens.
    pub(super) fn without_output(self) -> Self {
        Self {
            output: None,
            ..self
        }
    }

    /// Returns all input tokens. Anthropic counts those of the cache beside the others, Gemini those of tools.
    pub(crate) fn input(&self, format: LlmFormat) -> Option<u64> {
        let beside = match format {
            LlmFormat::Messages => [self.cache_read, self.cache_creation],
            LlmFormat::Gemini => [self.tool_use, None],
            LlmFormat::ChatCompletions
            | LlmFormat::Completions
            | LlmFormat::Responses
            | LlmFormat::Ollama => [None, None],
        };
        let beside = beside.into_iter().flatten();
        Some(beside.fold(self.input?, u64::saturating_add))
    }

    /// Returns all output tokens. Gemini counts those of reasoning beside the others.
    pub(crate) fn output(&self, format: LlmFormat) -> Option<u64> {
        let beside = self.reasoning.filter(|_| format == LlmFormat::Gemini);
        match (self.output, beside) {
            (Some(output), Some(beside)) => Some(output.saturating_add(beside)),
            (output, beside) => output.or(beside),
        }
    }

    pub(crate) fn cache_read(&self) -> Option<u64> {
        self.cache_read
    }

    pub(crate) fn cache_creation(&self) -> Option<u64> {
        self.cache_creation
    }

    pub(crate) fn reasoning(&self) -> Option<u64> {
        self.reasoning
    }
}
