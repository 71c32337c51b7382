//! The objects and arrays of JSON that are read, and the members of each.
//!
//! One table serves the answers of all formats, because the format is known only once some members were read.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most places have none of what a table lists"
)]

use super::member::{Content, Count, Member, UsageOf};
use super::usage_keys::{input_member, metadata_member, output_member, usage_member};

/// The object or array that a value is in.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Place {
    /// The outermost object.
    #[default]
    Root,
    /// The outermost object of JSON that is in no field of an event stream.
    Bare,
    /// Anything that is not read.
    Other,
    /// `error`.
    Error,
    /// `base_resp`: the status of a request, in a service's answers.
    BaseResp,
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
    /// Returns the place of the value's own members or elements.
    pub(super) fn of_value(member: Member, is_array: bool) -> Self {
        match (member, is_array) {
            (Member::Error | Member::ResponseError, false) => Self::Error,
            (
                Member::Error
                | Member::ResponseError
                | Member::ErrorDetail
                | Member::ErrorMessage
                | Member::ErrorCode
                | Member::ErrorType
                | Member::ErrorStatus,
                _,
            ) => Self::ErrorDetail,
            (Member::BaseResp, false) => Self::BaseResp,
            (Member::Message, false) => Self::Message,
            (Member::Response, false) => Self::Response,
            (Member::IncompleteDetails, false) => Self::IncompleteDetails,
            (Member::Choices, true) => Self::Choices,
            (Member::Choice, false) => Self::Choice,
            (Member::ChoiceDelta, false) => Self::ChoiceDelta,
            (Member::Content(Content::Choice), true) => Self::ContentParts,
            (Member::Content(Content::Message), true) => Self::MessageTools,
            (Member::ContentPart, false) => Self::ContentPart,
            (Member::ToolCalls, true) => Self::ToolCalls,
            (Member::ToolCall, false) => Self::ToolCall,
            (Member::Function, false) => Self::Function,
            (Member::Audio, false) => Self::Audio,
            (Member::Delta, false) => Self::Delta,
            (Member::Block, false) => Self::Block,
            (Member::Candidates, true) => Self::Candidates,
            (Member::Candidate, false) => Self::Candidate,
            (Member::CandidateContent, false) => Self::CandidateContent,
            (Member::Parts, true) => Self::Parts,
            (Member::Part, false) => Self::Part,
            (Member::Usage(_), false) => Self::Usage,
            (Member::InputDetails, false) => Self::InputDetails,
            (Member::OutputDetails, false) => Self::OutputDetails,
            (Member::UsageMetadata, false) => Self::UsageMetadata,
            (Member::Options, false) => Self::Options,
            (Member::GenerationConfig, false) => Self::GenerationConfig,
            (Member::ResponseFormat, false) => Self::ResponseFormat,
            (Member::RequestText, false) => Self::RequestText,
            _ => Self::Other,
        }
    }

    /// Returns what each element of an array here is.
    pub(super) fn element(self) -> Member {
        match self {
            Self::Root | Self::Bare => Member::Root,
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
            Self::Root | Self::Bare => root_member(key),
            Self::Error | Self::ErrorLine => self.error_member(key),
            Self::ErrorDetail => Member::ErrorDetail,
            Self::Response => response_member(key),
            Self::BaseResp if key == b"status_code" => Member::BaseCode,
            Self::BaseResp if key == b"status_msg" => Member::BaseMessage,
            Self::IncompleteDetails if key == b"reason" => Member::IncompleteReason,
            Self::Message => match key {
                b"id" => Member::MessageId,
                b"model" => Member::MessageModel,
                b"usage" => Member::Usage(UsageOf::Message),
                b"content" | b"thinking" | b"tool_calls" => Member::Content(Content::Message),
                _ => Member::Other,
            },
            Self::Delta => match key {
                b"text" | b"thinking" | b"partial_json" => Member::Content(Content::Delta),
                b"stop_reason" => Member::StopReason,
                _ => Member::Other,
            },
            Self::Block if matches!(key, b"name" | b"text" | b"thinking") => {
                Member::Content(Content::Block)
            }
            Self::Candidate if key == b"index" => Member::Index,
            Self::Candidate if key == b"finishReason" => Member::FinishReason,
            Self::Candidate if key == b"content" => Member::CandidateContent,
            Self::CandidateContent if key == b"parts" => Member::Parts,
            Self::Part if matches!(key, b"text" | b"functionCall") => {
                Member::Content(Content::Candidate)
            }
            Self::Usage => usage_member(key),
            Self::InputDetails => input_member(key),
            Self::OutputDetails => output_member(key),
            Self::UsageMetadata => metadata_member(key),
            Self::Request
            | Self::Options
            | Self::GenerationConfig
            | Self::ResponseFormat
            | Self::RequestText => self.request_member(key),
            _ => self.choice_member(key),
        }
    }

    fn error_member(self, key: &[u8]) -> Member {
        match key {
            b"message" => Member::ErrorMessage,
            b"code" => Member::ErrorCode,
            b"type" => Member::ErrorType,
            b"status" => Member::ErrorStatus,
            b"error" if self == Self::ErrorLine => Member::Error,
            _ => Member::ErrorDetail,
        }
    }

    fn choice_member(self, key: &[u8]) -> Member {
        const CONTENT: Member = Member::Content(Content::Choice);
        match (self, key) {
            (Self::Choice, b"index") => Member::Index,
            (Self::Choice, b"finish_reason") => Member::FinishReason,
            (Self::Choice, b"text") => Member::ChoiceText,
            (Self::Choice, b"delta") => Member::ChoiceDelta,
            (Self::Choice, b"usage") => Member::Usage(UsageOf::Choice),
            (Self::ChoiceDelta, b"content" | b"reasoning_content" | b"reasoning" | b"refusal") => {
                CONTENT
            }
            (Self::ChoiceDelta, b"tool_calls") => Member::ToolCalls,
            (Self::ChoiceDelta, b"function_call") | (Self::ToolCall, b"function" | b"custom") => {
                Member::Function
            }
            (Self::ChoiceDelta, b"audio") => Member::Audio,
            (Self::ContentPart, b"text" | b"thinking")
            | (Self::Function, b"name" | b"arguments" | b"input")
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
}

fn response_member(key: &[u8]) -> Member {
    match key {
        b"id" => Member::ResponseId,
        b"model" => Member::ResponseModel,
        b"status" => Member::ResponseStatus,
        b"error" => Member::ResponseError,
        b"incomplete_details" => Member::IncompleteDetails,
        b"usage" => Member::Usage(UsageOf::Response),
        _ => Member::Other,
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
        b"base_resp" => Member::BaseResp,
        b"message" => Member::Message,
        b"code" => Member::Code,
        b"response" => Member::Response,
        b"incomplete_details" => Member::IncompleteDetails,
        b"choices" => Member::Choices,
        b"delta" => Member::Delta,
        b"content_block" | b"item" => Member::Block,
        b"stop_reason" | b"done_reason" => Member::StopReason,
        b"candidates" => Member::Candidates,
        b"usage" => Member::Usage(UsageOf::Root),
        b"usageMetadata" => Member::UsageMetadata,
        b"done" => Member::Done,
        b"thinking" => Member::Content(Content::Generated),
        b"prompt_eval_count" => Member::OllamaCount(Count::Input),
        b"eval_count" => Member::OllamaCount(Count::Output),
        // Of errors, too.
        b"detail" | b"details" | b"param" | b"path" | b"request_id" | b"success" | b"timestamp"
        | b"user_id" | b"created" | b"created_at" | b"provider" => Member::Other,
        _ => Member::Unread,
    }
}
