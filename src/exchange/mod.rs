//! One request from its start to its end.
//!
//! [`start`](start::start) opens an [`Exchange`](state::Exchange): a span, or only what metrics and logs
//! need. An [`ExchangeGuard`](guard::ExchangeGuard) owns it, on its way from the service to the response
//! body. What middleware sees, the guard passes on; the exchange decides whether that was the end, and
//! ends once.
//!
//! Nothing here polls a body or calls the inner service.

mod caller;
mod cold;
mod end;
mod frame;
pub(crate) mod guard;
mod head;
pub(crate) mod shared;
pub(crate) mod start;
mod state;
