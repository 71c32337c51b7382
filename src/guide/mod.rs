//! Guides to parts of the crate.

#[doc = include_str!("../../docs/guide/completion.md")]
pub mod completion {}

#[doc = include_str!("../../docs/guide/llm.md")]
pub mod llm {}

#[allow(clippy::doc_markdown, reason = "the benches write its tables")]
#[doc = include_str!("../../docs/guide/performance.md")]
pub mod performance {}

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
#[doc = include_str!("../../docs/guide/tracing.md")]
pub mod tracing {}
