//! Guides to parts of the crate.
//!
//! Links between them are files in the repository and modules here: the first definition of a link is the one that
//! counts, so the lines before a page replace those at its end.

#![allow(clippy::doc_markdown, reason = "products are named as their makers do")]

#[doc = "[known]: crate::guide::grpc#known-methods"]
#[doc = "[guide to LLM APIs]: crate::guide::llm"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/attributes.md")]
pub mod attributes {}

#[doc = include_str!("../../docs/guide/coming_from_axum_tracing_opentelemetry.md")]
pub mod coming_from_axum_tracing_opentelemetry {}

#[doc = include_str!("../../docs/guide/coming_from_opentelemetry_instrumentation_tower.md")]
pub mod coming_from_opentelemetry_instrumentation_tower {}

#[doc = include_str!("../../docs/guide/coming_from_tower_otel.md")]
pub mod coming_from_tower_otel {}

#[cfg_attr(
    feature = "tracing",
    doc = "[guide to `tracing`]: crate::guide::tracing#beside-another-layer-that-makes-spans"
)]
#[cfg_attr(not(feature = "tracing"), doc = "[guide to `tracing`]: crate::guide")]
#[doc = ""]
#[doc = include_str!("../../docs/guide/coming_from_trace_layer.md")]
pub mod coming_from_trace_layer {}

#[doc = "[from TH]: crate::guide::coming_from_trace_layer"]
#[doc = "[from OIT]: crate::guide::coming_from_opentelemetry_instrumentation_tower"]
#[doc = "[from ATO]: crate::guide::coming_from_axum_tracing_opentelemetry"]
#[doc = "[from TO]: crate::guide::coming_from_tower_otel"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/comparison.md")]
pub mod comparison {}

#[doc = "[performance]: crate::guide::performance#instructions"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/completion.md")]
pub mod completion {}

#[doc = "[attributes]: crate::guide::attributes#metrics"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/dashboards.md")]
pub mod dashboards {}

#[doc = "[guide to LLM APIs]: crate::guide::llm"]
#[doc = "[guide to gRPC]: crate::guide::grpc"]
#[doc = "[guide to pictures]: crate::guide::pictures"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/endings.md")]
pub mod endings {}

#[doc = "[endings]: crate::guide::endings"]
#[doc = "[attributes]: crate::guide::attributes"]
#[doc = "[dashboards]: crate::guide::dashboards"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/grpc.md")]
pub mod grpc {}

#[doc = include_str!("../../docs/guide/llm.md")]
pub mod llm {}

#[doc = include_str!("../../docs/guide/performance.md")]
pub mod performance {}

#[doc = "[endings]: crate::guide::endings"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/pictures.md")]
pub mod pictures {}

#[cfg_attr(
    feature = "tracing",
    doc = "[guide to `tracing`]: crate::guide::tracing"
)]
#[cfg_attr(not(feature = "tracing"), doc = "[guide to `tracing`]: crate::guide")]
#[doc = ""]
#[doc = include_str!("../../docs/guide/placement.md")]
pub mod placement {}

#[doc = include_str!("../../docs/guide/proof.md")]
pub mod proof {}

#[doc = include_str!("../../docs/guide/proxies.md")]
pub mod proxies {}

#[cfg(feature = "tracing")]
#[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
#[doc = "[coming from TraceLayer]: crate::guide::coming_from_trace_layer"]
#[doc = ""]
#[doc = include_str!("../../docs/guide/tracing.md")]
pub mod tracing {}

#[cfg_attr(
    feature = "tracing",
    doc = "[guide to `tracing`]: crate::guide::tracing"
)]
#[cfg_attr(not(feature = "tracing"), doc = "[guide to `tracing`]: crate::guide")]
#[doc = ""]
#[doc = include_str!("../../docs/guide/troubleshooting.md")]
pub mod troubleshooting {}
