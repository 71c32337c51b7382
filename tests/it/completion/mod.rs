//! `on_completion`: once for each request, however it ends, with or without telemetry.

mod facts;
mod places;

use std::fmt;
use std::sync::{Arc, Mutex};

use tower_api_span::{ApiSpanLayer, Completion, Outcome};

/// Collects what a layer has passed to its callback.
#[derive(Clone, Default)]
pub struct Completions(Arc<Mutex<Vec<Completion>>>);

impl Completions {
    /// Sets the callback of a layer.
    pub fn of(&self, layer: ApiSpanLayer) -> ApiSpanLayer {
        let Self(all) = self.clone();
        layer.on_completion(move |completion| {
            all.lock().expect("no panic").push(completion.clone());
        })
    }

    pub fn count(&self) -> usize {
        self.0.lock().expect("no panic").len()
    }

    /// Returns all, in the order of their calls.
    pub fn all(&self) -> Vec<Completion> {
        self.0.lock().expect("no panic").clone()
    }

    /// Returns the only one.
    #[track_caller]
    pub fn only(&self) -> Completion {
        let all = self.0.lock().expect("no panic");
        let [only] = &all[..] else {
            panic!("{} completions", all.len());
        };
        only.clone()
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} completions", self.count())
    }
}

/// Returns an outcome as the recorder shows that of a span.
pub fn shown(completion: &Completion) -> String {
    match completion.outcome() {
        None => "none".to_owned(),
        Some(Outcome::Departed) => "DEPARTED".to_owned(),
        Some(Outcome::Aborted(aborted)) => format!("ABORTED({})", aborted.reason),
        Some(other) => panic!("{other:?}"),
    }
}
