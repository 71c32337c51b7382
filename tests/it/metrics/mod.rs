//! Metrics: what is measured, of which requests, and that it is what the spans say.

mod allocations;
mod balance;
mod edges;
mod endings;
mod faults;
mod hostile;
mod instruments;
mod policies;
mod switches;

const DURATION: &str = "http.server.request.duration";
const CALL_DURATION: &str = "rpc.server.call.duration";
const REQUEST_SIZE: &str = "http.server.request.body.size";
const RESPONSE_SIZE: &str = "http.server.response.body.size";
