//! The LLM preset: event streams, an engine behind the API, sampling, and allocations.

mod allocations;
mod connections;
mod formats;
mod gateway;
mod journey_events;
mod pipes;
mod preset;
mod privacy;
mod requests;
mod sampling;
mod streams;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};
use tower_api_span::ApiSpanLayer;

use crate::support::body::{ScriptedBody, Step};
use crate::support::recorder::{Recorder, w3c};
use crate::support::response;

/// Returns the preset with this recorder's provider and W3C propagation.
fn llm(recorder: &Recorder) -> ApiSpanLayer {
    ApiSpanLayer::llm()
        .tracer_provider(&recorder.provider)
        .propagator(w3c())
}

/// Returns an event stream response with these body steps.
fn event_stream(steps: impl IntoIterator<Item = Step>) -> Response<ScriptedBody> {
    let mut response = response(200, ScriptedBody::new(steps));
    let content_type = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
