//! The standard library, with its locks and atomics replaced by loom's.

pub use ::std::*;

pub mod sync;
