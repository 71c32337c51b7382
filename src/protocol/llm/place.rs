//! The objects and arrays of JSON that are read, and the members of each.
//!
//! One table serves the answers of all formats, because the format is known only once some members were read.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most places have none of what a table lists"
)]

use super::member::{Content, Count, Member};

/// The object or array that a value is in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Place {
    /// The outermost object.
    #[default]
    Root,
    /// Anything that is not read.
    Other,
    /// `error`.
    Error,
    /// The object of a field line `error: {..}`.
    ErrorLine,
    /// Anything in an `error`.
    ErrorDetail,
    /// `response` of the responses API.
    Response,
    /// `incomplete_details`.
    IncompleteDetails,
    /// `message`: that of a `message_start` event, or Ollama's.
    Message,
    /// `delta` of messages.
    Delta,
    /// `content_block` of messages, or `item` of responses.
    Block,
    Choices,
    Choice,
    /// `delta` of a choice.
    ChoiceDelta,
    ContentParts,
    ContentPart,
    ToolCalls,
    ToolCall,
    Function,
    Audio,
    /// `tool_calls` of Ollama's `message`.
    MessageTools,
    Candidates,
    Candidate,
    CandidateContent,
    Parts,
    Part,
    Usage,
    /// `prompt_tokens_details` or `input_tokens_details`.
    InputDetails,
    /// `completion_tokens_details` or `output_tokens_details`.
    OutputDetails,
    UsageMetadata,
    /// The outermost object of a request.
    Request,
    /// `options` of a request to Ollama.
    Options,
    /// `generationConfig` of a request to Gemini.
    GenerationConfig,
    /// `response_format` of a request, or `format` in its `text`.
    ResponseFormat,
    /// `text` of a request.
    RequestText,
}

impl Place {
    /// Returns what each element of an array here is.
    pub(super) fn element(self) -> Member {
        match self {
            Self::Root => Member::Root,
            Self::Error | Self::ErrorDetail => Member::ErrorDetail,
            Self::Choices => Member::Choice,
            Self::ContentParts => Member::ContentPart,
            Self::ToolCalls => Member::ToolCall,
            Self::Candidates => Member::Candidate,
            Self::Parts => Member::Part,
            Self::MessageTools => Member::Content(Content::Message),
            _ => Member::Other,
        }
    }

    /// Returns the member of an object here with this key.
    pub(super) fn member(self, key: &[u8]) -> Member {
        match self {
            Self::Root => root_member(key),
            Self::Error | Self::ErrorLine => match key {
                b"message" => Member::ErrorMessage,
                b"code" => Member::ErrorCode,
                b"type" => Member::ErrorType,
                b"status" => Member::ErrorStatus,
                b"error" if self == Self::ErrorLine => Member::Error,
                _ => Member::ErrorDetail,
            },
            Self::ErrorDetail => Member::ErrorDetail,
            Self::Response => match key {
                b"id" => Member::Id,
                b"model" => Member::Model,
                b"status" => Member::Status,
                b"error" => Member::Error,
                b"incomplete_details" => Member::IncompleteDetails,
                b"usage" => Member::Usage,
                _ => Member::Other,
            },
            Self::IncompleteDetails if key == b"reason" => Member::IncompleteReason,
            Self::Message => match key {
                b"id" => Member::Id,
                b"model" => Member::Model,
                b"usage" => Member::Usage,
                b"content" | b"thinking" | b"tool_calls" => Member::Content(Content::Message),
                _ => Member::Other,
            },
            Self::Delta => match key {
                b"text" | b"thinking" | b"partial_json" => Member::Content(Content::Delta),
                b"stop_reason" => Member::StopReason,
                _ => Member::Other,
            },
            Self::Block if matches!(key, b"name" | b"text") => Member::Content(Content::Block),
            Self::Candidate => match key {
                b"index" => Member::Index,
                b"finishReason" => Member::FinishReason,
                b"content" => Member::CandidateContent,
                _ => Member::Other,
            },
            Self::CandidateContent if key == b"parts" => Member::Parts,
            Self::Part if matches!(key, b"text" | b"functionCall") => {
                Member::Content(Content::Candidate)
            }
            Self::Usage | Self::InputDetails | Self::OutputDetails | Self::UsageMetadata => {
                self.count(key)
            }
            Self::Request
            | Self::Options
            | Self::GenerationConfig
            | Self::ResponseFormat
            | Self::RequestText => self.request_member(key),
            _ => self.choice_member(key),
        }
    }

    fn choice_member(self, key: &[u8]) -> Member {
        const CONTENT: Member = Member::Content(Content::Choice);
        match (self, key) {
            (Self::Choice, b"index") => Member::Index,
            (Self::Choice, b"finish_reason") => Member::FinishReason,
            (Self::Choice, b"text") => Member::ChoiceText,
            (Self::Choice, b"delta") => Member::ChoiceDelta,
            (Self::ChoiceDelta, b"content" | b"reasoning_content" | b"reasoning" | b"refusal") => {
                CONTENT
            }
            (Self::ChoiceDelta, b"tool_calls") => Member::ToolCalls,
            (Self::ChoiceDelta, b"function_call") | (Self::ToolCall, b"function") => {
                Member::Function
            }
            (Self::ChoiceDelta, b"audio") => Member::Audio,
            (Self::ContentPart, b"text")
            | (Self::Function, b"name" | b"arguments")
            | (Self::Audio, b"data" | b"transcript") => CONTENT,
            _ => Member::Other,
        }
    }

    fn request_member(self, key: &[u8]) -> Member {
        match (self, key) {
            (Self::Request, b"model") => Member::RequestModel,
            (Self::Request, b"messages" | b"prompt" | b"input" | b"contents") => Member::Prompt,
            (Self::Request, b"max_tokens" | b"max_completion_tokens" | b"max_output_tokens")
            | (Self::Options, b"num_predict")
            | (Self::GenerationConfig, b"maxOutputTokens") => Member::MaxTokens,
            (Self::Request | Self::Options | Self::GenerationConfig, b"temperature") => {
                Member::Temperature
            }
            (Self::Request, b"stream") => Member::Stream,
            (Self::Request, b"options") => Member::Options,
            (Self::Request, b"generationConfig") => Member::GenerationConfig,
            (Self::Request, b"response_format") | (Self::RequestText, b"format") => {
                Member::ResponseFormat
            }
            (Self::Request, b"text") => Member::RequestText,
            (Self::ResponseFormat, b"type") | (Self::GenerationConfig, b"responseMimeType") => {
                Member::OutputType
            }
            _ => Member::Other,
        }
    }

    fn count(self, key: &[u8]) -> Member {
        let count = match (self, key) {
            (Self::Usage, b"prompt_tokens_details" | b"input_tokens_details") => {
                return Member::InputDetails;
            }
            (Self::Usage, b"completion_tokens_details" | b"output_tokens_details") => {
                return Member::OutputDetails;
            }
            (Self::Usage, b"prompt_tokens" | b"input_tokens")
            | (Self::UsageMetadata, b"promptTokenCount") => Count::Input,
            (Self::Usage, b"completion_tokens" | b"output_tokens")
            | (Self::UsageMetadata, b"candidatesTokenCount") => Count::Output,
            (Self::Usage, b"cache_read_input_tokens")
            | (Self::InputDetails, b"cached_tokens")
            | (Self::UsageMetadata, b"cachedContentTokenCount") => Count::CacheRead,
            (Self::Usage, b"cache_creation_input_tokens") => Count::CacheCreation,
            (Self::OutputDetails, b"reasoning_tokens")
            | (Self::UsageMetadata, b"thoughtsTokenCount") => Count::Reasoning,
            (Self::UsageMetadata, b"toolUsePromptTokenCount") => Count::ToolUse,
            _ => return Member::Other,
        };
        Member::Count(count)
    }
}

fn root_member(key: &[u8]) -> Member {
    match key {
        b"type" => Member::Type,
        b"object" => Member::Object,
        b"id" | b"responseId" => Member::Id,
        b"model" => Member::Model,
        b"modelVersion" => Member::ModelVersion,
        b"status" => Member::Status,
        b"error" => Member::Error,
        b"message" => Member::Message,
        b"code" => Member::Code,
        b"response" => Member::Response,
        b"incomplete_details" => Member::IncompleteDetails,
        b"choices" => Member::Choices,
        b"delta" => Member::Delta,
        b"content_block" | b"item" => Member::Block,
        b"stop_reason" | b"done_reason" => Member::StopReason,
        b"candidates" => Member::Candidates,
        b"usage" => Member::Usage,
        b"usageMetadata" => Member::UsageMetadata,
        b"done" => Member::Done,
        b"thinking" => Member::Content(Content::Generated),
        b"prompt_eval_count" => Member::Count(Count::Input),
        b"eval_count" => Member::Count(Count::Output),
        _ => Member::Other,
    }
}
