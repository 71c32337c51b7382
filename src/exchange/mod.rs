//! An exchange: one request with its response, from the arrival to the end.
//!
//! [`start`](start::start) opens an [`Exchange`](state::Exchange), with a span or only for metrics, logs and the
//! operator's callback.
//! An [`ExchangeGuard`](guard::ExchangeGuard) owns it and moves from the service to the response body. The
//! guard reports each event of the response to the exchange. The exchange decides which event ends it, and
//! ends once.
//!
//! The exchange itself never polls a body and never calls the inner service.

mod answer;
mod caller;
mod cold;
mod end;
mod ending;
mod frame;
pub(crate) mod guard;
mod head;
mod reading;
pub(crate) mod shared;
mod signals;
pub(crate) mod start;
mod state;
#[cfg(feature = "tracing")]
mod tracing;
