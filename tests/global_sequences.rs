//! Random sequences: the global tracer provider is replaced or shut down while requests are served and streams are
//! open. Each request has its span in exactly one provider: the global one at its start or, for a bounded number of
//! requests, an earlier one. It ends there. The global provider is process-wide, so this is a binary of its own, with
//! one test.
//!
//! The model follows the documentation of the crate, section "Global providers". A million cases take a little more
//! than two minutes of one core: `PROPTEST_CASES=1000000 cargo test --release --test global_sequences`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Once, once};
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::StreamBody;
use opentelemetry::trace::noop::NoopTracerProvider;
use opentelemetry::trace::{Span as _, SpanId, TraceContextExt as _};
use opentelemetry::{Context, global};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

/// A layer looks again at every 1,024th request.
const PERIOD: usize = 1_024;

/// The number of providers besides the API's no-op.
const PROVIDERS: usize = 4;

/// The layers that use the global provider. One more is given the first provider.
const GLOBAL_LAYERS: usize = 2;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A provider becomes the global one; `None` is the API's no-op.
    Set(Option<usize>),
    ShutDown(usize),
    /// A layer serves so many requests.
    Serve(usize, usize),
    /// A layer begins a response, which stays open.
    Open(usize),
    /// An open response is read to its end, or dropped.
    Finish(prop::sample::Index, bool),
}

fn steps() -> impl Strategy<Value = Step> {
    let layer = || 0..=GLOBAL_LAYERS;
    let count = prop_oneof![40 => 1..6_usize, 8 => 1..70_usize, 1 => 1_000..2_100_usize];
    prop_oneof![
        3 => prop::option::weighted(0.8, 0..PROVIDERS).prop_map(Step::Set),
        1 => (0..PROVIDERS).prop_map(Step::ShutDown),
        4 => (layer(), count).prop_map(|(layer, count)| Step::Serve(layer, count)),
        2 => layer().prop_map(Step::Open),
        2 => (any::<prop::sample::Index>(), any::<bool>())
            .prop_map(|(which, is_read)| Step::Finish(which, is_read)),
    ]
}

/// The same cases in each run, or others with `PROPTEST_CASES`.
fn config() -> ProptestConfig {
    let default = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_some() {
        return default;
    }
    ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(1),
        ..default
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn each_span_is_in_one_provider_the_one_at_its_start(steps in vec(steps(), 1..14)) {
        let mut world = World::new();
        for step in steps {
            world.play(step);
        }
        while world.finish(0, true) {}
    }
}

/// Counts the starts and the ends of each span of a provider.
#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<HashMap<SpanId, [usize; 2]>>>);

impl Counts {
    fn get(&self, id: SpanId) -> Option<[usize; 2]> {
        self.0.lock().expect("not poisoned").get(&id).copied()
    }

    fn add(&self, id: SpanId, which: usize) {
        let mut all = self.0.lock().expect("not poisoned");
        all.entry(id).or_default()[which] += 1;
    }
}

impl SpanProcessor for Counts {
    fn on_start(&self, span: &mut Span, _: &Context) {
        self.add(span.span_context().span_id(), 0);
    }

    fn on_end(&self, span: SpanData) {
        self.add(span.span_context.span_id(), 1);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

struct Provider {
    sdk: SdkTracerProvider,
    counts: Counts,
    is_shut_down: bool,
}

impl Provider {
    fn new() -> Self {
        let counts = Counts::default();
        let builder = SdkTracerProvider::builder().with_span_processor(counts.clone());
        Self {
            sdk: builder.build(),
            counts,
            is_shut_down: false,
        }
    }
}

/// A body with one frame, whose end is not known before it is polled again.
type Frames = StreamBody<Once<std::future::Ready<Result<Frame<Bytes>, Infallible>>>>;

/// A response that has not ended: its body, its span, and where that is.
struct OpenResponse {
    body: Pin<Box<dyn Body<Data = Bytes, Error = Infallible>>>,
    span: Option<(usize, SpanId)>,
}

/// What the documentation lets a layer with the global provider do.
#[derive(Default)]
struct Known {
    /// How many requests it has served.
    requests: usize,
    /// The same when each provider became the global one.
    requests_before: Vec<usize>,
    /// The earliest place in the history at which it can be.
    place: usize,
    /// Requests without a span since the last one with a span, until a provider was set that makes spans.
    misses: usize,
    /// Requests without a span since then.
    late: usize,
}

struct World {
    providers: Vec<Provider>,
    /// All global providers, the current one last.
    history: Vec<Option<usize>>,
    layers: Vec<ApiSpanLayer>,
    known: [Known; GLOBAL_LAYERS],
    open: Vec<OpenResponse>,
}

impl World {
    fn new() -> Self {
        let providers: Vec<_> = (0..PROVIDERS).map(|_| Provider::new()).collect();
        let given = ApiSpanLayer::new().tracer_provider(&providers[0].sdk);
        let layers = (0..GLOBAL_LAYERS).map(|_| ApiSpanLayer::new());
        let layers = layers.chain([given]).collect();
        let mut world = Self {
            providers,
            history: Vec::new(),
            layers,
            known: Default::default(),
            open: Vec::new(),
        };
        world.play(Step::Set(None));
        world
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Set(provider) => {
                match provider {
                    Some(which) => global::set_tracer_provider(self.providers[which].sdk.clone()),
                    None => global::set_tracer_provider(NoopTracerProvider::new()),
                }
                self.history.push(provider);
                for known in &mut self.known {
                    known.requests_before.push(known.requests);
                }
            }
            Step::ShutDown(which) => {
                let provider = &mut self.providers[which];
                // The second time is an error.
                let result = provider.sdk.shutdown();
                assert_eq!(result.is_err(), provider.is_shut_down);
                provider.is_shut_down = true;
            }
            Step::Serve(layer, count) => {
                for _ in 0..count {
                    self.begin(layer);
                    self.finish(self.open.len() - 1, true);
                }
            }
            Step::Open(layer) => self.begin(layer),
            Step::Finish(which, is_read) if !self.open.is_empty() => {
                self.finish(which.index(self.open.len()), is_read);
            }
            Step::Finish(..) => {}
        }
    }

    /// Begins a response, and checks where its span is.
    fn begin(&mut self, layer: usize) {
        let (body, id) = begin(&self.layers[layer]);
        let mut homes = Vec::new();
        for (which, provider) in self.providers.iter().enumerate() {
            if let Some(counts) = provider.counts.get(id) {
                assert_eq!(counts, [1, 0], "starts and ends of a span that is open");
                homes.push(which);
            }
        }
        assert!(homes.len() <= 1, "a span in several providers: {homes:?}");
        let home = homes.first().copied();
        assert_eq!(home.is_some(), id != SpanId::INVALID);
        if layer < GLOBAL_LAYERS {
            self.check_home(layer, home);
        } else {
            let given = Some(0).filter(|_| !self.providers[0].is_shut_down);
            assert_eq!(home, given, "the given provider");
        }
        self.open.push(OpenResponse {
            body,
            span: home.map(|home| (home, id)),
        });
    }

    /// Whether this provider makes spans.
    fn is_live(&self, provider: Option<usize>) -> bool {
        provider.is_some_and(|which| !self.providers[which].is_shut_down)
    }

    /// Checks that the provider of a request's span is one that the layer may use.
    fn check_home(&mut self, layer: usize, home: Option<usize>) {
        let current = self.history.len() - 1;
        let known = &self.known[layer];
        // A layer leaves a provider at the 1,024th request after the next one was set, at the latest.
        let is_recent = |place: usize| {
            let replaced_at = known.requests_before.get(place + 1);
            replaced_at.is_none_or(|before| known.requests - before + 1 < PERIOD)
        };
        let is_first = known.requests == 0;
        let earliest = if is_first { current } else { known.place };
        let mut places = (earliest..=current).filter(|place| is_recent(*place));
        let (place, misses, late) = if home.is_some() {
            let place = places.find(|place| self.history[*place] == home);
            let place = place.expect("neither the current provider nor a recent one");
            (place, 0, 0)
        } else if self.is_live(self.history[current]) {
            let late = known.late + 1;
            let may_miss = known.misses.clamp(1, PERIOD - 1);
            assert!(!is_first && late <= may_miss, "{late} requests are late");
            let is_dead = |place: usize| !self.is_live(self.history[place]);
            let may_miss = known.late > 0 || places.any(is_dead);
            assert!(may_miss, "all providers make spans");
            (known.place, known.misses, late)
        } else {
            (known.place, known.misses + known.late + 1, 0)
        };
        let known = &mut self.known[layer];
        known.requests += 1;
        (known.place, known.misses, known.late) = (place, misses, late);
    }

    /// Ends an open response, and checks that its span ends once, in its provider. Returns whether there was one.
    fn finish(&mut self, which: usize, is_read: bool) -> bool {
        if which >= self.open.len() {
            return false;
        }
        let OpenResponse { mut body, span } = self.open.swap_remove(which);
        let cx = &mut TaskContext::from_waker(Waker::noop());
        while is_read && matches!(body.as_mut().poll_frame(cx), Poll::Ready(Some(_))) {}
        drop(body);
        if let Some((home, id)) = span {
            for (which, provider) in self.providers.iter().enumerate() {
                // A provider that was shut down exports no more.
                let ends = usize::from(!provider.is_shut_down);
                let expected = (which == home).then_some([1, ends]);
                assert_eq!(provider.counts.get(id), expected, "provider {which}");
            }
        }
        true
    }
}

/// Begins a response. Returns its body, and the id of the span that is current inside, or an invalid one.
fn begin(layer: &ApiSpanLayer) -> (Pin<Box<dyn Body<Data = Bytes, Error = Infallible>>>, SpanId) {
    let mut id = SpanId::INVALID;
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        id = Context::map_current(|current| current.span().span_context().span_id());
        let frame = Ok(Frame::data(Bytes::from_static(b"frame")));
        let frames: Frames = StreamBody::new(once(std::future::ready(frame)));
        std::future::ready(Ok::<_, Infallible>(Response::new(frames)))
    }));
    let response = pin!(service.call(Request::new(())));
    let polled = response.poll(&mut TaskContext::from_waker(Waker::noop()));
    let Poll::Ready(Ok(response)) = polled else {
        panic!("the service has a response");
    };
    let body = Box::pin(response.into_body());
    drop(service);
    (body, id)
}
