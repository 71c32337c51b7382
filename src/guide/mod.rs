//! Guides to parts of the crate.

#![allow(clippy::doc_markdown, reason = "products are named as their makers do")]

#[doc = include_str!("../../docs/guide/comparison.md")]
pub mod comparison {}

#[doc = include_str!("../../docs/guide/completion.md")]
pub mod completion {}

#[doc = include_str!("../../docs/guide/dashboards.md")]
pub mod dashboards {}

#[doc = include_str!("../../docs/guide/endings.md")]
pub mod endings {}

#[doc = include_str!("../../docs/guide/llm.md")]
pub mod llm {}

#[doc = include_str!("../../docs/guide/performance.md")]
pub mod performance {}

#[doc = include_str!("../../docs/guide/pictures.md")]
pub mod pictures {}

#[doc = include_str!("../../docs/guide/placement.md")]
pub mod placement {}

#[doc = include_str!("../../docs/guide/proof.md")]
pub mod proof {}

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
#[doc = include_str!("../../docs/guide/tracing.md")]
pub mod tracing {}

#[doc = include_str!("../../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
