//! Numbers of tokens.

use super::format::LlmFormat;
use super::member::Count;

/// The numbers of tokens, as a format has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// By [`Count`]. One more than the number, 0 if there is none: half the size of options.
    counts: [u64; 6],
}

impl Usage {
    pub(super) fn set(&mut self, count: Count, tokens: Option<u64>) {
        self.counts[count as usize] = tokens.map_or(0, |tokens| tokens.saturating_add(1));
    }

    fn get(&self, count: Count) -> Option<u64> {
        self.counts[count as usize].checked_sub(1)
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Replaces each number that `later` has, if it is larger: for numbers that are totals.
    pub(super) fn raise(&mut self, later: &Self) {
        for (count, later) in self.counts.iter_mut().zip(later.counts) {
            *count = later.max(*count);
        }
    }

    /// Replaces each number that `later` has.
    pub(super) fn update(&mut self, later: &Self) {
        for (count, later) in self.counts.iter_mut().zip(later.counts) {
            if later > 0 {
                *count = later;
            }
        }
    }

    /// Without the number of output tokens.
    pub(super) fn without_output(mut self) -> Self {
        self.set(Count::Output, None);
        self
    }

    /// Returns all input tokens. Anthropic counts those of the cache beside the others, Gemini those of tools.
    pub(crate) fn input(&self, format: LlmFormat) -> Option<u64> {
        let beside = match format {
            LlmFormat::Messages => [self.cache_read(), self.cache_creation()],
            LlmFormat::Gemini => [self.get(Count::ToolUse), None],
            LlmFormat::ChatCompletions
            | LlmFormat::Completions
            | LlmFormat::Responses
            | LlmFormat::Ollama => [None, None],
        };
        let beside = beside.into_iter().flatten();
        Some(beside.fold(self.get(Count::Input)?, u64::saturating_add))
    }

    /// Returns all output tokens. Gemini counts those of reasoning beside the others.
    pub(crate) fn output(&self, format: LlmFormat) -> Option<u64> {
        let beside = self.reasoning().filter(|_| format == LlmFormat::Gemini);
        match (self.get(Count::Output), beside) {
            (Some(output), Some(beside)) => Some(output.saturating_add(beside)),
            (output, beside) => output.or(beside),
        }
    }

    pub(crate) fn cache_read(&self) -> Option<u64> {
        self.get(Count::CacheRead)
    }

    pub(crate) fn cache_creation(&self) -> Option<u64> {
        self.get(Count::CacheCreation)
    }

    pub(crate) fn reasoning(&self) -> Option<u64> {
        self.get(Count::Reasoning)
    }
}
