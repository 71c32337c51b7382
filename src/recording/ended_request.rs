//! A request that has ended: the record of what it came to, and what is still to be written of it.

use std::time::SystemTime;

use opentelemetry::{KeyValue, StringValue, Value};

use crate::outcome::Completion;
use crate::recording::buffer::SpanBuffer;
use crate::recording::request_info::{HttpTarget, RequestInfo};

/// A request that has ended. Made once, and read by span, metrics and logs alike.
#[derive(Debug)]
pub(crate) struct EndedRequest<'a> {
    // Borrowed: it is expensive to move.
    pub(crate) completion: &'a mut Completion,
    pub(crate) request: &'a RequestInfo,
    /// `service/method` of a gRPC call, if the method is known by now.
    pub(crate) rpc_method: Option<StringValue>,
    /// The target of a gRPC call, because its response may be plain HTTP. `None` if the target is the method's path.
    pub(crate) target: Option<&'a HttpTarget>,
    /// What was recorded before the outcome was decided.
    pub(crate) buffer: Option<Box<SpanBuffer>>,
    /// When it ended, by the request's own clock.
    pub(crate) at: SystemTime,
    /// When the first token, or the first byte of another response, was returned to the server, if that is an event
    /// and the status is below 400.
    pub(crate) first_response: Option<SystemTime>,
    /// The type of the service's or the body's error, if that was the end.
    pub(crate) error_type_name: Option<&'static str>,
    /// Headers and trailers of the response that the settings capture.
    pub(crate) captured: &'a [KeyValue],
}

impl EndedRequest<'_> {
    /// Returns an attribute that the handler has set, or that was read in the answer. The completion has them if a
    /// callback reads it, else the buffer.
    pub(crate) fn attribute(&self, key: &str) -> Option<&Value> {
        let recorded = || self.buffer.as_ref()?.attributes.get(key);
        self.completion.attribute(key).or_else(recorded)
    }

    /// Moves the attributes back to the buffer.
    pub(crate) fn take_attributes_back(&mut self) {
        if let Some(buffer) = &mut self.buffer
            && let Some(attributes) = self.completion.attributes.take()
        {
            buffer.attributes = *attributes;
        }
    }
}
