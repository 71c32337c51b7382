//! The types of events, and the kinds of objects.

/// The type of an event: the member `type`, else the name of the event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum EventType {
    /// Of another API.
    Other,
    Error,
    /// `message`: a whole answer of messages.
    Message,
    MessageStart,
    MessageDelta,
    MessageStop,
    BlockStart,
    BlockDelta,
    BlockStop,
    /// `response.completed`, `.incomplete` or `.cancelled`.
    ResponseEnd,
    ResponseFailed,
    /// `response.done`, whose response can have failed.
    ResponseDone,
    /// `response.`…`.delta`.
    ResponseDelta,
    ItemAdded,
    /// Any other event of responses.
    Response,
}

impl EventType {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"error" => Self::Error,
            b"message" => Self::Message,
            b"message_start" => Self::MessageStart,
            b"message_delta" => Self::MessageDelta,
            b"message_stop" => Self::MessageStop,
            b"content_block_start" => Self::BlockStart,
            b"content_block_delta" => Self::BlockDelta,
            b"content_block_stop" => Self::BlockStop,
            b"response.completed" | b"response.incomplete" | b"response.cancelled" => {
                Self::ResponseEnd
            }
            b"response.failed" => Self::ResponseFailed,
            b"response.done" => Self::ResponseDone,
            b"response.output_item.added" => Self::ItemAdded,
            _ if !name.starts_with(b"response.") => Self::Other,
            _ if name.ends_with(b".delta") => Self::ResponseDelta,
            _ => Self::Response,
        }
    }

    /// Whether it alone is a failure or an end.
    pub(super) fn is_decisive(self) -> bool {
        matches!(
            self,
            Self::Error
                | Self::MessageStop
                | Self::ResponseEnd
                | Self::ResponseFailed
                | Self::ResponseDone
        )
    }

    /// Whether it is an end of responses.
    pub(super) fn is_end_of_responses(self) -> bool {
        matches!(
            self,
            Self::ResponseEnd | Self::ResponseFailed | Self::ResponseDone
        )
    }

    /// Whether it is an event of responses.
    pub(super) fn is_of_responses(self) -> bool {
        matches!(
            self,
            Self::ResponseEnd
                | Self::ResponseFailed
                | Self::ResponseDone
                | Self::ResponseDelta
                | Self::ItemAdded
                | Self::Response
        )
    }

    /// Whether it is an event of messages.
    pub(super) fn is_of_messages(self) -> bool {
        matches!(
            self,
            Self::MessageStart
                | Self::MessageDelta
                | Self::MessageStop
                | Self::BlockStart
                | Self::BlockDelta
                | Self::BlockStop
        )
    }
}

/// The kind of an object, by its member `object`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum ObjectKind {
    /// There is no such member, or it is empty.
    #[default]
    None,
    Chat,
    Completion,
    Response,
    Error,
    /// Of another API.
    Other,
}

impl ObjectKind {
    pub(super) fn of(name: &[u8]) -> Self {
        match name {
            b"" => Self::None,
            b"chat.completion" | b"chat.completion.chunk" => Self::Chat,
            b"text_completion" | b"text_completion.chunk" => Self::Completion,
            b"response" => Self::Response,
            b"error" => Self::Error,
            _ => Self::Other,
        }
    }
}
