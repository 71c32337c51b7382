//! Guides to parts of the crate.

#[doc = include_str!("../../docs/guide/llm.md")]
pub mod llm {}
