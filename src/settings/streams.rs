//! The content types of streams, and the setting for their durations.

use std::borrow::Cow;
use std::sync::Arc;

use crate::protocol::http::content_type::ContentType;

/// What ends an event stream besides the end of its body: the data of an event, or its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamTerminators {
    pub(crate) data: Option<Cow<'static, str>>,
    pub(crate) event: Option<Cow<'static, str>>,
}

/// How `http.server.request.duration` and `rpc.server.call.duration` record streams.
///
/// The duration of a stream depends on how long its client stays, so it is not a latency. A gRPC call is a stream if its
/// method calls [`SpanHandle::declare_stream`](crate::SpanHandle::declare_stream).
///
/// ```
/// use tower_api_span::StreamDurations;
///
/// assert_eq!(StreamDurations::default(), StreamDurations::Included);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamDurations {
    /// Streams are recorded like other responses, as the conventions require.
    #[default]
    Included,
    /// Streams have attribute `api.stream` (boolean, true), on metrics and span.
    Marked,
    /// Streams are not recorded in these two metrics. Other metrics include them.
    Excluded,
}

/// The content types of streams.
#[derive(Clone, Debug)]
pub(crate) struct ContentTypes(Arc<[String]>);

impl ContentTypes {
    /// Creates a list. Names have no parameters.
    pub(crate) fn from_names(types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let types = types.into_iter().map(Into::into);
        Self(
            types
                .map(|name: String| name.to_ascii_lowercase())
                .collect(),
        )
    }

    /// Whether the list contains this content type. Its parameters are ignored.
    pub(crate) fn contain(&self, content_type: ContentType<'_>) -> bool {
        self.0.iter().any(|one| content_type.is(one))
    }
}

impl Default for ContentTypes {
    fn default() -> Self {
        Self::from_names([
            "application/jsonl",
            "application/stream+json",
            "application/x-ndjson",
            "multipart/x-mixed-replace",
            "text/event-stream",
        ])
    }
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn the_content_type_decides_what_is_a_stream() {
        let default = ContentTypes::default();
        let listed = ContentTypes::from_names(["Application/X-Mine"]);
        for (content_type, by_default, by_list) in [
            ("text/event-stream", true, false),
            ("Text/Event-Stream; charset=utf-8", true, false),
            ("text/event-streams", false, false),
            ("application/x-ndjson ;a=b", true, false),
            ("application/x-mine", false, true),
            ("application/json", false, false),
            ("", false, false),
        ] {
            let value = HeaderValue::from_str(content_type).expect("a value");
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value)]);
            let value = ContentType::from_headers(&headers).expect("a content type");
            assert_eq!(default.contain(value), by_default, "{content_type}");
            assert_eq!(listed.contain(value), by_list, "{content_type}");
        }
    }
}
