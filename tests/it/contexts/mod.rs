//! The span's context: where it is current, its parent, its lifetime, and unsampled spans.

mod current;
mod lifetime;
mod parents;
mod unsampled;
