//! The members of JSON objects that are read: of answers and requests of all formats.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most members have none of what a table lists"
)]

use super::kept::{MAX_MESSAGE, MAX_NAME};

/// A member that is read, or an element of an array.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Member {
    /// Not read.
    #[default]
    Other,
    /// Not read, and of the outermost object: a sign that this is no bare error.
    Unread,
    /// The outermost value. Elements of an outermost array are read like it.
    Root,
    Type,
    Object,
    Id,
    Model,
    /// `id` of `response`.
    ResponseId,
    /// `model` of `response`.
    ResponseModel,
    /// `id` of `message`.
    MessageId,
    /// `model` of `message`.
    MessageModel,
    Status,
    /// `status` of `response`.
    ResponseStatus,
    Error,
    /// `error` of `response`.
    ResponseError,
    ErrorMessage,
    ErrorCode,
    ErrorType,
    ErrorStatus,
    ErrorDetail,
    BaseResp,
    /// `status_code` of `base_resp`. 0 is a success.
    BaseCode,
    /// `status_msg` of `base_resp`.
    BaseMessage,
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
    /// `usage` of an object.
    Usage(UsageOf),
    InputDetails,
    OutputDetails,
    UsageMetadata,
    ModelVersion,
    Done,
    Count(Count),
    /// A number of tokens in Ollama's outermost object.
    OllamaCount(Count),
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

impl Content {
    /// Whether an object can be content: a function call, or an element of a list of tool calls.
    pub(super) fn can_be_object(self) -> bool {
        matches!(self, Self::Candidate | Self::Message)
    }
}

/// The object that numbers of tokens are of: which of them count depends on the format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum UsageOf {
    /// The outermost object.
    Root,
    /// A choice, which counts if the outermost object has none.
    Choice,
    /// `response`.
    Response,
    /// `message`.
    Message,
    /// `usageMetadata`.
    Metadata,
    /// Ollama's outermost object, which has the numbers itself.
    Ollama,
}

/// A number of tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Count {
    Input,
    Output,
    CacheRead,
    CacheCreation,
    Reasoning,
    /// Gemini's `toolUsePromptTokenCount`, which its prompt count lacks. In answers with choices, cached tokens that
    /// are not in the details of the input. One place for both, to keep open streams small.
    Beside,
    /// All tokens, in the formats of `OpenAI`.
    Total,
}

impl Member {
    /// Whether it is an answer's id or model.
    pub(super) fn is_id_or_model(self) -> bool {
        matches!(
            self,
            Self::Id
                | Self::Model
                | Self::ModelVersion
                | Self::ResponseId
                | Self::ResponseModel
                | Self::MessageId
                | Self::MessageModel
        )
    }

    /// Returns the limit, in bytes, on the text that is read. 0 if neither texts nor numbers are read.
    pub(super) fn limit(self) -> usize {
        match self {
            Self::Object | Self::OutputType => 64,
            Self::Type
            | Self::Id
            | Self::Model
            | Self::ResponseId
            | Self::ResponseModel
            | Self::MessageId
            | Self::MessageModel
            | Self::ModelVersion
            | Self::Status
            | Self::ResponseStatus
            | Self::FinishReason
            | Self::StopReason
            | Self::IncompleteReason
            | Self::ErrorCode
            | Self::ErrorType
            | Self::ErrorStatus
            | Self::BaseCode
            | Self::Code => MAX_NAME + 1,
            Self::Error
            | Self::ResponseError
            | Self::ErrorMessage
            | Self::BaseMessage
            | Self::Message
            | Self::RequestModel => MAX_MESSAGE + 1,
            // Only whether it is empty counts.
            Self::Content(_)
            | Self::ChoiceText
            | Self::Delta
            | Self::Response
            | Self::ErrorDetail
            | Self::Index
            | Self::Prompt
            | Self::Count(_)
            | Self::OllamaCount(_)
            | Self::MaxTokens
            | Self::Temperature => 1,
            _ => 0,
        }
    }
}
