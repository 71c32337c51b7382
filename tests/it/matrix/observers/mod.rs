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

use tower_api_span::{ApiSpan, ApiSpanLayer};
use tower_layer::Layer;

use crate::support::recorder::Recorder;
pub use body::ObservedBody;
use event::Place;
pub use exchange::Exchange;
use service::Observer;

/// The layer with an observer on each side.
#[derive(Clone)]
pub struct ObservedLayer {
    layer: ApiSpanLayer,
    observations: Observations,
}

impl ObservedLayer {
    /// Returns the layer of `recorder`, and what its observers will have logged.
    pub fn new(recorder: &Recorder) -> (Self, Observations) {
        let observations = Observations(Arc::new(Logs {
            recorder: recorder.clone(),
            exchanges: Mutex::default(),
            readiness: Mutex::default(),
        }));
        let layer = Self {
            layer: recorder.layer(),
            observations: observations.clone(),
        };
        (layer, observations)
    }
}

impl<S> Layer<S> for ObservedLayer {
    type Service = Observer<ApiSpan<Observer<S>>>;

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
