//! Which responses are streams, and what becomes of their durations.

use std::sync::Arc;

use http::HeaderMap;

use crate::protocol::http::content_type::ContentType;

/// What becomes of the durations of streams in `http.server.request.duration` and
/// `rpc.server.call.duration`: they last as long as their clients stay, which is not a latency.
///
/// ```
/// use tower_api_span::StreamDurations;
///
/// assert_eq!(StreamDurations::default(), StreamDurations::Included);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamDurations {
    /// They are durations like any other, as the conventions have it.
    #[default]
    Included,
    /// They have attribute `api.stream` (boolean, true), on the span, too.
    Marked,
    /// They are left out; all other metrics have them.
    Excluded,
}

/// The content types of streams.
#[derive(Clone, Debug)]
pub(crate) struct ContentTypes(Arc<[String]>);

impl ContentTypes {
    /// These and no others, without parameters.
    pub(crate) fn given(types: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let types = types.into_iter().map(Into::into);
        Self(
            types
                .map(|name: String| name.to_ascii_lowercase())
                .collect(),
        )
    }

    /// Whether the content type in these headers is one of them, whatever its parameters.
    pub(crate) fn has(&self, headers: &HeaderMap) -> bool {
        let content_type = ContentType::from_headers(headers);
        content_type.is_some_and(|it| self.0.iter().any(|one| it.is(one)))
    }
}

impl Default for ContentTypes {
    fn default() -> Self {
        Self::given([
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
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn a_stream_is_told_by_its_content_type() {
        let default = ContentTypes::default();
        let given = ContentTypes::given(["Application/X-Mine"]);
        for (content_type, by_default, by_given) in [
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
            assert_eq!(default.has(&headers), by_default, "{content_type}");
            assert_eq!(given.has(&headers), by_given, "{content_type}");
        }
        assert!(!default.has(&HeaderMap::new()));
    }
}
