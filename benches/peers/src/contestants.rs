//! The contestants. Each wraps the same service.

use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::time::Duration;

use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_instrumentation_tower::http::server::LayerBuilder;
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tower::{Layer, Service};
use tower_api_span::{ApiSpanLayer, LifecycleEvents};
use tower_http::trace::TraceLayer;
use tower_http_opentelemetry::http::server::HttpServerTelemetryLayer;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

use crate::floor::{Facts, floor};
use crate::machine;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Contestant {
    Bare,
    Floor,
    Ours,
    FloorSame,
    OursWithoutEvents,
    OursGiven,
    OursMetrics,
    InstrumentationTower,
    InstrumentationTowerMetrics,
    TowerOtel,
    TraceLayer,
    AxumTracing,
    TowerHttpOtel,
}

use Contestant::{
    AxumTracing, Bare, Floor, FloorSame, InstrumentationTower, InstrumentationTowerMetrics, Ours,
    OursGiven, OursMetrics, OursWithoutEvents, TowerHttpOtel, TowerOtel,
};

/// All contestants. The ratios rely on the order: `Bare` is the first, `Ours` the third.
pub const ALL: [Contestant; 13] = [
    Bare,
    Floor,
    Ours,
    FloorSame,
    OursWithoutEvents,
    OursGiven,
    OursMetrics,
    InstrumentationTower,
    InstrumentationTowerMetrics,
    TowerOtel,
    Contestant::TraceLayer,
    AxumTracing,
    TowerHttpOtel,
];

impl Contestant {
    /// Returns the name on the command line of a child.
    pub fn key(self) -> String {
        format!("{self:?}")
    }

    /// Returns the contestant with this key.
    pub fn from_key(key: &str) -> Self {
        let found = ALL.into_iter().find(|one| one.key() == key);
        found.expect("a valid key")
    }

    /// Returns the name in tables, with the versions in the lock file.
    pub fn name(self) -> String {
        let version = machine::version;
        let crates: &[_] = match self {
            Bare => return "bare service".to_owned(),
            Floor => return "by hand".to_owned(),
            FloorSame => return "by hand, with the same attributes".to_owned(),
            OursWithoutEvents => return "tower-api-span, without lifecycle events".to_owned(),
            Ours => return format!("**tower-api-span {}**", version("tower-api-span")),
            OursGiven => return "tower-api-span, with provider and propagator given".to_owned(),
            OursMetrics => {
                return "tower-api-span, with a global meter provider".to_owned();
            }
            InstrumentationTower => &["opentelemetry-instrumentation-tower"],
            InstrumentationTowerMetrics => {
                return "the same, with a global meter provider".to_owned();
            }
            TowerOtel => return format!("tower-otel {}, trace_body", version("tower-otel")),
            Contestant::TraceLayer => &["tower-http", "tracing-opentelemetry"],
            AxumTracing => &["axum-tracing-opentelemetry"],
            TowerHttpOtel => &["tower-http-opentelemetry"],
        };
        let named = |name: &&str| format!("{name} {}", version(name));
        crates.iter().map(named).collect::<Vec<_>>().join(" + ")
    }

    /// Whether the layer creates spans of `tracing`.
    fn uses_tracing(self) -> bool {
        matches!(
            self,
            TowerOtel | Contestant::TraceLayer | AxumTracing | TowerHttpOtel
        )
    }

    /// Sets the globals that the layer reads when it is built. Some need none.
    fn set_globals(self, provider: &SdkTracerProvider) {
        if matches!(self, Bare | Floor | FloorSame | OursGiven) {
            return;
        }
        global::set_text_map_propagator(TraceContextPropagator::new());
        global::set_tracer_provider(provider.clone());
        if matches!(self, OursMetrics | InstrumentationTowerMetrics) {
            global::set_meter_provider(meter_provider());
        }
        if self.uses_tracing() {
            // Without this filter, h2 adds about thirty spans to each HTTP/2 request.
            let theirs = [
                "otel::tracing",
                "tower_http",
                "tower_http_opentelemetry",
                "tower_otel",
            ];
            let theirs = Targets::new().with_targets(theirs.map(|name| (name, Level::TRACE)));
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("peers"));
            let subscriber = tracing_subscriber::registry().with(theirs).with(layer);
            tracing::subscriber::set_global_default(subscriber).expect("set once per process");
        }
    }

    /// Wraps the harness's service in the contestant's layer and runs the harness. Call once per process.
    pub fn run<R: Body + Send + 'static, H: Harness<R>>(
        self,
        provider: &SdkTracerProvider,
        harness: H,
    ) -> H::Out {
        self.set_globals(provider);
        let inner = harness.inner();
        match self {
            Bare => harness.run(inner),
            Floor => harness.run(floor(inner, provider.tracer("floor"), Facts::Few)),
            FloorSame => harness.run(floor(inner, provider.tracer("floor"), Facts::Same)),
            OursWithoutEvents => {
                let layer = ApiSpanLayer::new().lifecycle_events(LifecycleEvents::Off);
                harness.run(layer.layer(inner))
            }
            OursGiven => harness.run(
                ApiSpanLayer::new()
                    .tracer_provider(provider)
                    .propagator(TraceContextPropagator::new())
                    .layer(inner),
            ),
            Ours | OursMetrics => harness.run(ApiSpanLayer::new().layer(inner)),
            InstrumentationTowerMetrics => {
                let layer = LayerBuilder::builder().build();
                harness.run(layer.expect("the settings are valid").layer(inner))
            }
            InstrumentationTower => {
                let layer = LayerBuilder::builder().with_metrics(false).build();
                harness.run(layer.expect("the settings are valid").layer(inner))
            }
            TowerOtel => {
                let layer = tower_otel::trace::HttpLayer::server(Level::INFO);
                harness.run(layer.trace_body().layer(inner))
            }
            Contestant::TraceLayer => harness.run(TraceLayer::new_for_http().layer(inner)),
            AxumTracing => harness.run(OtelAxumLayer::default().layer(inner)),
            TowerHttpOtel => harness.run(HttpServerTelemetryLayer::new().layer(inner)),
        }
    }
}

/// Returns a meter provider that exports only after the run.
fn meter_provider() -> SdkMeterProvider {
    let reader = PeriodicReader::builder(InMemoryMetricExporter::default())
        .with_interval(Duration::from_secs(3_600))
        .build();
    SdkMeterProvider::builder().with_reader(reader).build()
}

/// A consumer of a service of any type.
pub trait Harness<R> {
    type Body: Body<Data = Bytes, Error = Infallible> + Unpin + Send + 'static;
    type Inner: Service<Request<R>, Response = Response<Self::Body>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static;
    type Out;

    fn inner(&self) -> Self::Inner;

    fn run<S, B>(self, service: S) -> Self::Out
    where
        S: Service<Request<R>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>> + Debug;
}
