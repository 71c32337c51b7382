//! The layer: its constructors, one file for each group of setters, and its implementation of `Layer`.

// Blank lines keep rustfmt from sorting the modules. rustdoc lists the methods in this order.
mod constructors;

mod providers;

mod callers;

mod names;

mod addresses;

mod attributes;

mod outcomes;

mod metrics;

mod llm;

#[cfg(feature = "tracing")]
mod tracing;

mod describe;

use std::sync::Arc;

use tower_layer::Layer;

use crate::exchange::shared::{Providers, Shared};
use crate::middleware::service::ApiSpan;
use crate::settings::Settings;

/// Opens one OpenTelemetry SERVER span for each request and ends it exactly once, at the true end
/// of the response.
///
/// A layer and its services share their settings. Cloning any of them is cheap.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_api_span::ApiSpanLayer;
///
/// let service = ServiceBuilder::new()
///     .layer(ApiSpanLayer::new())
///     .service_fn(async |_: http::Request<()>| {
///         Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
///     });
/// # let _ = service;
/// ```
#[derive(Clone, Debug)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ApiSpanLayer {
    shared: Arc<Shared>,
}

impl ApiSpanLayer {
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).settings);
        self
    }

    fn with_providers(mut self, change: impl FnOnce(&mut Providers)) -> Self {
        change(&mut Arc::make_mut(&mut self.shared).providers);
        self
    }
}

impl<S> Layer<S> for ApiSpanLayer {
    type Service = ApiSpan<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ApiSpan::with_shared(inner, Arc::clone(&self.shared))
    }
}
