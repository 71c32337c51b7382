//! Tries a rule in all orders.

use loom::model::Builder;
use loom::thread::{self, JoinHandle};

use crate::standard::collections::BTreeMap;
use crate::standard::sync::{Arc, Mutex};
use crate::standard::time::Instant;

/// What must hold in whatever order threads run.
pub struct Rule {
    pub name: &'static str,
    /// Runs once, in one order, and panics if that breaks the rule. Returns what it has come to.
    pub model: fn() -> String,
    /// All that it comes to in one order or another: each of it is seen, and nothing else.
    pub comes_to: &'static [&'static str],
}

/// Coroutines have small stacks, and a request is served on one here.
const STACK: usize = 32 * 1_024;

impl Rule {
    pub fn check(&self) {
        let began = Instant::now();
        let seen = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
        let (counted, model) = (Arc::clone(&seen), self.model);
        let mut builder = Builder::new();
        builder.max_branches = 10_000;
        builder.check(move || {
            let came_to = spawn(model).join().expect("the model has run");
            let mut counted = counted.lock().expect("not poisoned");
            *counted.entry(came_to).or_default() += 1;
        });
        let seen = seen.lock().expect("not poisoned");
        let orders: usize = seen.values().sum();
        println!(
            "{}\n    {orders} orders in {:.1?}: {seen:?}",
            self.name,
            began.elapsed()
        );
        let seen: Vec<_> = seen.keys().map(String::as_str).collect();
        assert_eq!(seen, self.comes_to, "{}", self.name);
    }
}

/// A thread of a model.
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let thread = thread::Builder::new().stack_size(STACK);
    thread.spawn(f).expect("a coroutine")
}

/// A thing that is done at one moment, of which every thread knows whether it has been.
pub struct Moment(loom::sync::atomic::AtomicUsize);

impl Moment {
    pub fn new() -> Self {
        Self(loom::sync::atomic::AtomicUsize::new(0))
    }

    pub fn is_now(&self) {
        self.0.fetch_add(1, loom::sync::atomic::Ordering::SeqCst);
    }

    /// Changes nothing, but as a change it is in one order with all others: a load might see what has
    /// been long ago.
    pub fn has_been(&self) -> bool {
        self.0.fetch_add(0, loom::sync::atomic::Ordering::SeqCst) > 0
    }
}
