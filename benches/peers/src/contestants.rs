//! Who is compared: each wraps the same service, and is handed on to whatever sends requests.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;

use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Layer, Service};
use tower_api_span::ApiSpanLayer;
use tower_http::trace::TraceLayer;
use tower_http_opentelemetry::http::server::HttpServerTelemetryLayer;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::floor::floor;
use crate::machine;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contestant {
    Bare,
    Floor,
    Ours,
    OursGlobal,
    InstrumentationTower,
    TowerOtel,
    TraceLayer,
    AxumTracing,
    TowerHttpOtel,
}

use Contestant::{
    AxumTracing, Bare, Floor, InstrumentationTower, Ours, OursGlobal, TowerHttpOtel, TowerOtel,
};

/// Bare is the first, as all else is told as a ratio to it.
pub const ALL: [Contestant; 9] = [
    Bare,
    Floor,
    Ours,
    OursGlobal,
    InstrumentationTower,
    TowerOtel,
    Contestant::TraceLayer,
    AxumTracing,
    TowerHttpOtel,
];

impl Contestant {
    /// What the command line of a child says.
    pub fn key(self) -> String {
        format!("{self:?}")
    }

    pub fn of(key: &str) -> Self {
        let found = ALL.into_iter().find(|one| one.key() == key);
        found.expect("a key is one of those that `key` gives")
    }

    /// What a table says, with the versions that the lock file has.
    pub fn name(self) -> String {
        let version = machine::version;
        let crates: &[_] = match self {
            Bare => return "bare service".to_owned(),
            Floor => return "by hand".to_owned(),
            Ours => return format!("**tower-api-span {}**", version("tower-api-span")),
            OursGlobal => return "the same, with global provider and propagator".to_owned(),
            InstrumentationTower => &["opentelemetry-instrumentation-tower"],
            TowerOtel => return format!("tower-otel {}, trace_body", version("tower-otel")),
            Contestant::TraceLayer => &["tower-http", "tracing-opentelemetry"],
            AxumTracing => &["axum-tracing-opentelemetry"],
            TowerHttpOtel => &["tower-http-opentelemetry"],
        };
        let named = |name: &&str| format!("{name} {}", version(name));
        crates.iter().map(named).collect::<Vec<_>>().join(" + ")
    }

    fn traces(self) -> bool {
        matches!(
            self,
            TowerOtel | Contestant::TraceLayer | AxumTracing | TowerHttpOtel
        )
    }

    /// What this one reads from the process, set before its layer is made. Ours, with what it is
    /// given, and the floor have to do without.
    fn set_globals(self, provider: &SdkTracerProvider) {
        if matches!(self, Bare | Floor | Ours) {
            return;
        }
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(provider.clone());
        if self.traces() {
            // Without a filter each request over HTTP/2 also has some thirty spans of h2's own.
            let theirs = [
                "otel::tracing",
                "tower_http",
                "tower_http_opentelemetry",
                "tower_otel",
            ];
            let theirs = Targets::new().with_targets(theirs.map(|name| (name, Level::TRACE)));
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("peers"));
            let subscriber = tracing_subscriber::registry().with(theirs).with(layer);
            tracing::subscriber::set_global_default(subscriber)
                .expect("a child has one contestant, which sets it once");
        }
    }

    /// Wraps the service of `used`, which it is given to. Once in a process.
    pub fn give_to<R: Body + Send + 'static, U: Use<R>>(
        self,
        provider: &SdkTracerProvider,
        used: U,
    ) -> U::Out {
        self.set_globals(provider);
        let inner = used.inner();
        match self {
            Bare => used.with(inner),
            Floor => used.with(floor(inner, provider.tracer("floor"))),
            Ours => used.with(
                ApiSpanLayer::new()
                    .tracer_provider(provider)
                    .propagator(TraceContextPropagator::new())
                    .layer(inner),
            ),
            OursGlobal => used.with(ApiSpanLayer::new().layer(inner)),
            InstrumentationTower => {
                // Metrics are not compared here, and there is no meter provider.
                let layer = LayerBuilder::builder().with_metrics(false).build();
                used.with(
                    layer
                        .expect("nothing is set that could be wrong")
                        .layer(inner),
                )
            }
            TowerOtel => {
                let layer = tower_otel::trace::HttpLayer::server(Level::INFO);
                used.with(layer.trace_body().layer(inner))
            }
            Contestant::TraceLayer => used.with(TraceLayer::new_for_http().layer(inner)),
            AxumTracing => used.with(OtelAxumLayer::default().layer(inner)),
            TowerHttpOtel => used.with(HttpServerTelemetryLayer::new().layer(inner)),
        }
    }
}

/// What is done with a service, whatever its type is.
pub trait Use<R> {
    type Body: Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static;
    type Inner: Service<Request<R>, Response = Response<Self::Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static;
    type Out;

    fn inner(&self) -> Self::Inner;

    fn with<S, B>(self, service: S) -> Self::Out
    where
        S: Service<Request<R>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>> + Debug;
}
