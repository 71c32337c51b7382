//! Two observers, directly outside and inside the layer. Each logs all that passes: calls, polls, heads, frames,
//! errors, panics and drops, of the request and of the response.
//!
//! The layer must not add, lose or reorder an event, so both logs must be the same. The log of the outer observer
//! alone decides how the response ended: see [`verdict`].

mod body;
mod event;
mod exchange;
mod service;
mod verdict;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tower_api_span::ApiSpanLayer;
use tower_layer::Layer;

use crate::support::recorder::Recorder;
pub use body::ObservedBody;
use event::Place;
pub use exchange::Exchange;
use service::Observer;

/// A layer with an observer on each side.
#[derive(Clone)]
pub struct ObservedLayer<L = ApiSpanLayer> {
    layer: L,
    observations: Observations,
}

impl ObservedLayer {
    /// Returns the layer of `recorder`, and what its observers will have logged.
    pub fn new(recorder: &Recorder) -> (Self, Observations) {
        Self::around(recorder.layer(), recorder)
    }
}

impl<L> ObservedLayer<L> {
    /// Returns a layer whose spans `recorder` records, and what its observers will have logged.
    pub fn around(layer: L, recorder: &Recorder) -> (Self, Observations) {
        let observations = Observations(Arc::new(Logs {
            recorder: recorder.clone(),
            exchanges: Mutex::default(),
            readiness: Mutex::default(),
        }));
        let observed = Self {
            layer,
            observations: observations.clone(),
        };
        (observed, observations)
    }
}

impl<S, L: Layer<Observer<S>>> Layer<S> for ObservedLayer<L> {
    type Service = Observer<L::Service>;

    fn layer(&self, inner: S) -> Self::Service {
        let observe_inside = Observer::new(inner, Place::Inside, &self.observations);
        let inner = self.layer.layer(observe_inside);
        Observer::new(inner, Place::Outside, &self.observations)
    }
}

/// What the two observers have logged.
#[derive(Clone)]
pub struct Observations(Arc<Logs>);

struct Logs {
    recorder: Recorder,
    /// In the order of the calls.
    exchanges: Mutex<Vec<Arc<Exchange>>>,
    /// The results of `poll_ready`, outside and inside.
    readiness: Mutex<[Vec<&'static str>; 2]>,
}

impl Observations {
    /// Returns all exchanges, in the order of their calls.
    pub fn exchanges(&self) -> Vec<Arc<Exchange>> {
        self.lock_exchanges().clone()
    }

    /// Waits until all that the layer has passed on has arrived outside and inside. Panics if the logs differ then.
    pub async fn wait_until_same(&self) {
        let changes = || {
            let exchanges = self.exchanges().into_iter();
            exchanges.flat_map(|exchange| exchange.changes()).collect()
        };
        let mut last: Vec<String> = changes();
        for _ in 0..500 {
            if last.is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            last = changes();
        }
        panic!("the layer has changed events: {last:?}");
    }

    /// Returns a text if `poll_ready` did not have the same results outside and inside.
    pub fn readiness_fault(&self) -> Option<String> {
        let [outside, inside] = &*self.lock_readiness();
        (outside != inside)
            .then(|| format!("poll_ready: {outside:?} outside, and {inside:?} inside"))
    }

    fn lock_exchanges(&self) -> MutexGuard<'_, Vec<Arc<Exchange>>> {
        self.0.exchanges.lock().expect("not poisoned")
    }

    fn lock_readiness(&self) -> MutexGuard<'_, [Vec<&'static str>; 2]> {
        self.0.readiness.lock().expect("not poisoned")
    }

    fn begin_exchange(&self) -> Arc<Exchange> {
        let exchange = Arc::new(Exchange::new(&self.0.recorder));
        self.lock_exchanges().push(Arc::clone(&exchange));
        exchange
    }

    fn record_readiness(&self, place: Place, result: &'static str) {
        self.lock_readiness()[place as usize].push(result);
    }
}
