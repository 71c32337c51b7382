//! Numbers of tokens.

use super::format::LlmFormat;
use super::member::Count;

/// The numbers of tokens, as a format has them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// By [`Count`]. One more than the number, 0 if there is none: half the size of options.
    counts: [u64; 7],
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
            LlmFormat::Messages => [self.get(Count::CacheRead), self.cache_creation()],
            LlmFormat::Gemini => [self.get(Count::Beside), None],
            LlmFormat::ChatCompletions
            | LlmFormat::Completions
            | LlmFormat::Responses
            | LlmFormat::Ollama => [None, None],
        };
        let beside = beside.into_iter().flatten();
        Some(beside.fold(self.get(Count::Input)?, u64::saturating_add))
    }

    /// Returns all output tokens, with those of reasoning that a service counts beside the others.
    pub(crate) fn output(&self, format: LlmFormat) -> Option<u64> {
        let beside = self
            .reasoning()
            .filter(|reasoning| self.is_beside(*reasoning, format));
        match (self.get(Count::Output), beside) {
            (Some(output), Some(beside)) => Some(output.saturating_add(beside)),
            (output, beside) => output.or(beside),
        }
    }

    /// Whether the tokens of reasoning are not part of the output: always in Gemini. In the formats of `OpenAI` the
    /// total shows it, or without one that they are more than the output.
    fn is_beside(&self, reasoning: u64, format: LlmFormat) -> bool {
        let is_of_openai = match format {
            LlmFormat::Gemini => return true,
            LlmFormat::ChatCompletions | LlmFormat::Completions | LlmFormat::Responses => true,
            LlmFormat::Messages | LlmFormat::Ollama => false,
        };
        let Some(output) = self.get(Count::Output).filter(|_| is_of_openai) else {
            return false;
        };
        match (self.get(Count::Input), self.get(Count::Total)) {
            (Some(input), Some(total)) => {
                let others = input.saturating_add(output);
                others.checked_add(reasoning) == Some(total)
            }
            _ => reasoning > output,
        }
    }

    pub(crate) fn cache_read(&self, format: LlmFormat) -> Option<u64> {
        let is_of_choices = matches!(format, LlmFormat::ChatCompletions | LlmFormat::Completions);
        let beside = self.get(Count::Beside).filter(|_| is_of_choices);
        self.get(Count::CacheRead).or(beside)
    }

    pub(crate) fn cache_creation(&self) -> Option<u64> {
        self.get(Count::CacheCreation)
    }

    pub(crate) fn reasoning(&self) -> Option<u64> {
        self.get(Count::Reasoning)
    }
}
