//! `SpanHandle`: what a handler records on the span of its request.

mod attributes;
mod context;
mod detached;
mod events;
mod methods;
mod route;
mod verdict;

use http::Request;
use tower::Service;
use tower_api_span::{ApiSpanLayer, SpanHandle};

use crate::support::body::ScriptedBody;
use crate::support::body::Step::Data;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, read, ready, response};

/// Serves `request` through `layer` with a response of this status, read to its end. The handler
/// calls `record`.
fn serve(
    layer: &ApiSpanLayer,
    request: Request<()>,
    status: u16,
    mut record: impl FnMut(SpanHandle),
) {
    let mut service = answering(layer, |request| {
        record(handle_of(&request));
        response(status, ScriptedBody::new([Data(3)]))
    });
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
}

/// Returns the span of a successful request whose handler calls `record`.
fn record_span(record: impl FnMut(SpanHandle)) -> Seen {
    let at = Recorder::new();
    serve(&at.layer(), get(), 200, record);
    at.only()
}
