//! Metrics: which are recorded, for which requests, and that they agree with the spans.

mod allocations;
mod attributes;
mod balance;
mod cardinality;
mod edge_cases;
pub mod endings;
mod faults;
mod instruments;
mod policies;
mod stacked;
mod switches;

pub const DURATION: &str = "http.server.request.duration";
pub const CALL_DURATION: &str = "rpc.server.call.duration";
const REQUEST_SIZE: &str = "http.server.request.body.size";
const RESPONSE_SIZE: &str = "http.server.response.body.size";
