//! Where the span's context is current, what hangs under it, and what outlives it.

mod inside;
mod outlives;
mod parents;
mod unsampled;
