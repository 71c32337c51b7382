//! Guides to parts of the crate.

#![allow(clippy::doc_markdown, reason = "products are named as their makers do")]

#[doc = include_str!("../../docs/guide/coming_from_axum_tracing_opentelemetry.md")]
pub mod coming_from_axum_tracing_opentelemetry {}

#[doc = include_str!("../../docs/guide/coming_from_opentelemetry_instrumentation_tower.md")]
pub mod coming_from_opentelemetry_instrumentation_tower {}

#[doc = include_str!("../../docs/guide/coming_from_tower_otel.md")]
pub mod coming_from_tower_otel {}

#[doc = include_str!("../../docs/guide/coming_from_trace_layer.md")]
pub mod coming_from_trace_layer {}

// The first definition of a link is the one that counts, so these replace those of the page.
#[doc = "[from TH]: crate::guide::coming_from_trace_layer"]
#[doc = "[from OIT]: crate::guide::coming_from_opentelemetry_instrumentation_tower"]
#[doc = "[from ATO]: crate::guide::coming_from_axum_tracing_opentelemetry"]
#[doc = "[from TO]: crate::guide::coming_from_tower_otel"]
#[doc = ""]
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
