//! Every setting and its default; no behaviour beyond asking them.

use std::fmt;
use std::sync::Arc;

use http::request;

use crate::contain::contain;
use crate::outcome::{End, Head, Outcome, Verdict, classify};
use crate::propagation::Propagation;
use crate::tracer::TracerSource;

pub(crate) type Filter = dyn Fn(&request::Parts) -> bool + Send + Sync;
pub(crate) type Classify = dyn Fn(&Head, &End, Option<&Verdict>) -> Outcome + Send + Sync;

/// The settings of a layer, shared by all services it makes.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) tracer: TracerSource,
    pub(crate) propagation: Propagation,
    pub(crate) filter: Option<Arc<Filter>>,
    pub(crate) classify: Option<Arc<Classify>>,
    pub(crate) disconnect_is_error: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            tracer: TracerSource::global(),
            propagation: Propagation::Global,
            filter: None,
            classify: None,
            disconnect_is_error: true,
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
        } = self;
        f.debug_struct("Config")
            .field("tracer", tracer)
            .field("propagation", propagation)
            .field("filter", &filter.is_some())
            .field("classify", &classify.is_some())
            .field("disconnect_is_error", disconnect_is_error)
            .finish()
    }
}
