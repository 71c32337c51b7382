//! An answer on its way through the layer, and what its request has shown.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tower::Service as _;

use crate::llm::llm;
use crate::support::body::{ScriptedBody, Step};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, poll_frame, ready, response};

const FIRST: &str = "api.FIRST_RESPONSE_FROM_CORE";
pub(super) const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";

/// An answer on its way through the layer.
pub(super) struct Answer<'a> {
    pub(super) recorder: &'a Recorder,
    pub(super) text: Bytes,
    pub(super) content_type: &'static str,
}

/// What one request has shown.
pub(super) struct Run {
    pub(super) span: Seen,
    /// The poll after which the span had ended, the drop included.
    pub(super) ended: usize,
}

impl Answer<'_> {
    /// Serves the frames and then `after`, polls `polls` times, and drops the body.
    pub(super) fn serve(&self, frames: &[Range<usize>], after: &[Step], polls: usize) -> Run {
        let slices = frames
            .iter()
            .map(|range| Step::Slice(range.start, range.end));
        let body =
            ScriptedBody::new(slices.chain(after.iter().cloned())).reading(self.text.clone());
        let mut answer = response(200, body);
        let content_type = HeaderValue::from_static(self.content_type);
        answer.headers_mut().insert(CONTENT_TYPE, content_type);
        let (mut answer, mut handle) = (Some(answer), None);
        let mut service = answering(&llm(self.recorder), |request| {
            handle = Some(handle_of(&request));
            answer.take().expect("one request")
        });
        let answer = ready(service.call(get())).expect("a response");
        drop(service);
        let handle = handle.expect("a handle");
        let mut body = answer.into_body();
        let before = self.recorder.ends();
        let mut ended = None;
        for poll in 0..polls {
            // A span has room for 128 events.
            if polls < 60 {
                handle.add_event(format!("frame {poll}"), Vec::new());
            }
            let _ = poll_frame(&mut body);
            if ended.is_none() && self.recorder.ends() > before {
                ended = Some(poll);
            }
        }
        drop(body);
        let span = self.recorder.only();
        self.recorder.forget();
        Run {
            span,
            ended: ended.unwrap_or(polls),
        }
    }
}

impl Run {
    /// Returns the frame with the first token.
    pub(super) fn first(&self) -> Option<usize> {
        let events = self.span.events();
        let at = events.iter().position(|name| name == FIRST)?;
        let polls = events[..at]
            .iter()
            .filter(|name| name.starts_with("frame "));
        Some(polls.count().saturating_sub(1))
    }

    pub(super) fn code(&self) -> [Option<String>; 2] {
        let terminal = self.span.0.events.last().expect("an event");
        let code = terminal
            .attributes
            .iter()
            .find(|kv| kv.key.as_str() == "code");
        [
            self.span.attribute("api.error.code"),
            code.map(|kv| kv.value.to_string()),
        ]
    }

    /// Returns the attributes of generative AI, without the prefix and the time to the first chunk.
    pub(super) fn attributes(&self) -> BTreeMap<String, String> {
        let all = self.span.0.attributes.iter();
        let read = all.filter(|kv| kv.key.as_str() != TIME_TO_FIRST_CHUNK);
        read.filter_map(|kv| {
            let key = kv.key.as_str().strip_prefix("gen_ai.")?;
            Some((key.to_owned(), kv.value.to_string()))
        })
        .collect()
    }
}
