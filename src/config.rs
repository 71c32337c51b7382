//! Every setting and its default; no behaviour beyond asking them.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::{HeaderName, request};

use crate::contain::contain;
use crate::outcome::{End, Head, Outcome, Verdict, classify};
use crate::propagation::Propagation;
use crate::sampling::Rate;
use crate::tracer::TracerSource;

pub(crate) type Filter = dyn Fn(&request::Parts) -> bool + Send + Sync;
pub(crate) type Classify = dyn Fn(&Head, &End, Option<&Verdict>) -> Outcome + Send + Sync;

/// The settings of a layer, shared by all services it makes.
#[expect(clippy::struct_excessive_bools, reason = "settings are what they are")]
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) tracer: TracerSource,
    pub(crate) propagation: Propagation,
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) classify: Option<Arc<Classify>>,
    pub(crate) disconnect_is_error: bool,
    pub(crate) rate: Rate,
    pub(crate) span_name: Option<Cow<'static, str>>,
    pub(crate) request_id_header: Option<HeaderName>,
    pub(crate) stream_terminator: Option<Cow<'static, str>>,
    pub(crate) stream_errors: bool,
    pub(crate) journey_events: bool,
    pub(crate) propagate_to_inner: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tracer: TracerSource::global(),
            propagation: Propagation::Global,
            filter: None,
            classify: None,
            disconnect_is_error: true,
            rate: Rate::ALL,
            span_name: None,
            request_id_header: None,
            stream_terminator: None,
            stream_errors: false,
            journey_events: false,
            propagate_to_inner: false,
        }
    }
}

impl Config {
    /// Whether this request is traced. A filter that panics has not said no.
    pub(crate) fn lets_through(&self, parts: &request::Parts) -> bool {
        match &self.filter {
            Some(filter) => contain(|| filter(parts)).unwrap_or(true),
            None => true,
        }
    }

    /// Whether event streams are read as they pass.
    pub(crate) fn reads_streams(&self) -> bool {
        self.stream_terminator.is_some() || self.stream_errors
    }

    /// What an end means; `None` if the user's classification panics.
    pub(crate) fn classify(
        &self,
        head: &Head,
        end: &End,
        verdict: Option<&Verdict>,
    ) -> Option<Outcome> {
        match &self.classify {
            Some(user) => contain(|| user(head, end, verdict)).map(Outcome::bounded),
            None => Some(classify(head, end, verdict)),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tracer,
            propagation,
            filter,
            classify,
            disconnect_is_error,
            rate,
            span_name,
            request_id_header,
            stream_terminator,
            stream_errors,
            journey_events,
            propagate_to_inner,
        } = self;
        f.debug_struct("Config")
            .field("tracer", tracer)
            .field("propagation", propagation)
            .field("filter", &filter.is_some())
            .field("classify", &classify.is_some())
            .field("disconnect_is_error", disconnect_is_error)
            .field("rate", rate)
            .field("span_name", span_name)
            .field("request_id_header", request_id_header)
            .field("stream_terminator", stream_terminator)
            .field("stream_errors", stream_errors)
            .field("journey_events", journey_events)
            .field("propagate_to_inner", propagate_to_inner)
            .finish()
    }
}
