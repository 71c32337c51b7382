//! The ends of a request's body that matter for the outcome.

/// An end of the request's body that is not the end of the message.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
pub(crate) enum RequestEnd {
    /// The body is over, but says that it is not at its end. Some bodies never say that they are.
    Unfinished = 1,
    /// The client has disconnected: the body returned the error that means this.
    Disconnected = 2,
}
