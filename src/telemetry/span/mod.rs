//! The name, attributes, events and status of a span, at its start and at its end.

pub(crate) mod end;
mod events;
pub(crate) mod http;
pub(crate) mod network;
pub(crate) mod request;
pub(crate) mod response;
mod rpc;
pub(crate) mod start;
mod start_attributes;
pub(crate) mod target;

#[cfg(test)]
mod tests;
