//! The members of JSON objects that are read: of answers and requests of all formats.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most members have none of what a table lists"
)]

use super::place::Place;

/// A member that is read, or an element of an array.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Member {
    /// Not read.
    #[default]
    Other,
    /// The outermost value. Elements of an outermost array are read like it.
    Root,
    Type,
    Object,
    Id,
    Model,
    Status,
    Error,
    ErrorMessage,
    ErrorCode,
    ErrorType,
    ErrorStatus,
    ErrorDetail,
    /// `message` of the outermost object: text, or an object.
    Message,
    /// `code` of the outermost object.
    Code,
    Response,
    IncompleteDetails,
    IncompleteReason,
    Choices,
    Choice,
    /// `index` of a choice or candidate.
    Index,
    FinishReason,
    /// `text` of a choice: the sign of completions.
    ChoiceText,
    ChoiceDelta,
    /// Text or another value that a model has generated.
    Content(Content),
    ContentPart,
    ToolCalls,
    ToolCall,
    Function,
    Audio,
    /// `delta` of the outermost object: text of responses, or an object of messages.
    Delta,
    StopReason,
    Block,
    Candidates,
    Candidate,
    CandidateContent,
    Parts,
    Part,
    Usage,
    InputDetails,
    OutputDetails,
    UsageMetadata,
    ModelVersion,
    Done,
    Count(Count),
    /// The prompt of a request, in any format.
    Prompt,
    RequestModel,
    MaxTokens,
    Temperature,
    Stream,
    Options,
    GenerationConfig,
    ResponseFormat,
    RequestText,
    /// The type of the response that a request asks for.
    OutputType,
}

/// Where generated content is: which of its places count depends on the format.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(super) enum Content {
    /// In a choice.
    Choice = 1,
    /// `delta` of responses.
    DeltaText = 2,
    /// In the `delta` of messages.
    Delta = 4,
    /// In a `content_block` or `item`.
    Block = 8,
    /// In a candidate.
    Candidate = 16,
    /// Ollama's `message`.
    Message = 32,
    /// Ollama's `response`.
    Generated = 64,
}

/// A number of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Count {
    Input,
    Output,
    CacheRead,
    CacheCreation,
    Reasoning,
    /// Gemini's `toolUsePromptTokenCount`, which its prompt count lacks.
    ToolUse,
}

impl Member {
    /// Returns the limit, in bytes, on the text that is read. 0 if neither texts nor numbers are read.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Type | Self::Object | Self::OutputType => 64,
            Self::Id
            | Self::Model
            | Self::ModelVersion
            | Self::Status
            | Self::FinishReason
            | Self::StopReason
            | Self::IncompleteReason
            | Self::ErrorCode
            | Self::ErrorType
            | Self::ErrorStatus
            | Self::Code => super::MAX_NAME + 1,
            Self::Error | Self::ErrorMessage | Self::Message | Self::RequestModel => {
                super::MAX_MESSAGE + 1
            }
            // Only whether it is empty counts.
            Self::Content(_)
            | Self::ChoiceText
            | Self::Delta
            | Self::Response
            | Self::ErrorDetail
            | Self::Index
            | Self::Prompt
            | Self::Count(_)
            | Self::MaxTokens
            | Self::Temperature => 1,
            _ => 0,
        }
    }

    /// Returns the place of the value's own members or elements.
    pub(super) fn place(self, is_array: bool) -> Place {
        match (self, is_array) {
            (Self::Root, _) => Place::Root,
            (Self::Error, false) => Place::Error,
            (
                Self::Error
                | Self::ErrorDetail
                | Self::ErrorMessage
                | Self::ErrorCode
                | Self::ErrorType
                | Self::ErrorStatus,
                _,
            ) => Place::ErrorDetail,
            (Self::Message, false) => Place::Message,
            (Self::Response, false) => Place::Response,
            (Self::IncompleteDetails, false) => Place::IncompleteDetails,
            (Self::Choices, true) => Place::Choices,
            (Self::Choice, false) => Place::Choice,
            (Self::ChoiceDelta, false) => Place::ChoiceDelta,
            (Self::Content(Content::Choice), true) => Place::ContentParts,
            (Self::Content(Content::Message), true) => Place::MessageTools,
            (Self::ContentPart, false) => Place::ContentPart,
            (Self::ToolCalls, true) => Place::ToolCalls,
            (Self::ToolCall, false) => Place::ToolCall,
            (Self::Function, false) => Place::Function,
            (Self::Audio, false) => Place::Audio,
            (Self::Delta, false) => Place::Delta,
            (Self::Block, false) => Place::Block,
            (Self::Candidates, true) => Place::Candidates,
            (Self::Candidate, false) => Place::Candidate,
            (Self::CandidateContent, false) => Place::CandidateContent,
            (Self::Parts, true) => Place::Parts,
            (Self::Part, false) => Place::Part,
            (Self::Usage, false) => Place::Usage,
            (Self::InputDetails, false) => Place::InputDetails,
            (Self::OutputDetails, false) => Place::OutputDetails,
            (Self::UsageMetadata, false) => Place::UsageMetadata,
            (Self::Options, false) => Place::Options,
            (Self::GenerationConfig, false) => Place::GenerationConfig,
            (Self::ResponseFormat, false) => Place::ResponseFormat,
            (Self::RequestText, false) => Place::RequestText,
            _ => Place::Other,
        }
    }
}
