//! Guides to parts of the crate.

#[doc = include_str!("../../docs/guide/completion.md")]
pub mod completion {}

#[doc = include_str!("../../docs/guide/llm.md")]
pub mod llm {}

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
#[doc = include_str!("../../docs/guide/tracing.md")]
pub mod tracing {}
