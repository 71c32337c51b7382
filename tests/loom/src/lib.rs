//! The standard library, with loom's locks and atomics in place of its own.

pub use ::std::*;

pub mod sync;
