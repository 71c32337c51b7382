//! Runs a rule in all orders of its threads.

use loom::model::Builder;
use loom::thread::{self, JoinHandle};

use crate::standard::collections::BTreeMap;
use crate::standard::sync::{Arc, Mutex};
use crate::standard::time::Instant;

/// A rule that holds in every order of its threads.
pub struct Rule {
    pub name: &'static str,
    /// Runs once, in one order. Panics if that order breaks the rule, and returns its outcome.
    pub model: fn() -> String,
    /// The sorted outcomes of all orders. Each of them occurs, and no other does.
    pub outcomes: &'static [&'static str],
}

/// The stack of a thread, which is a coroutine. Its default is too small to serve a request.
const STACK: usize = 32 * 1_024;

impl Rule {
    pub fn check(&self) {
        let started = Instant::now();
        let counts = Arc::new(Mutex::new(BTreeMap::<String, usize>::new()));
        let (count, model) = (Arc::clone(&counts), self.model);
        let mut builder = Builder::new();
        builder.max_branches = 10_000;
        builder.check(move || {
            let outcome = spawn(model).join().expect("the model does not panic");
            let mut count = count.lock().expect("the lock is not poisoned");
            *count.entry(outcome).or_default() += 1;
        });
        let counts = counts.lock().expect("the lock is not poisoned");
        let orders: usize = counts.values().sum();
        println!(
            "{}\n    {orders} orders in {:.1?}: {counts:?}",
            self.name,
            started.elapsed()
        );
        let outcomes: Vec<_> = counts.keys().map(String::as_str).collect();
        assert_eq!(outcomes, self.outcomes, "{}", self.name);
    }
}

/// Spawns a thread of a model.
pub fn spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let thread = thread::Builder::new().stack_size(STACK);
    thread.spawn(f).expect("loom makes a coroutine")
}

/// A point in a model that one thread reaches, and any thread can test.
pub struct Milestone(loom::sync::atomic::AtomicUsize);

impl Milestone {
    pub fn new() -> Self {
        Self(loom::sync::atomic::AtomicUsize::new(0))
    }

    pub fn reach(&self) {
        self.0.fetch_add(1, loom::sync::atomic::Ordering::SeqCst);
    }

    /// Adds zero instead of loading, because a load may return a stale value. A read-modify-write always
    /// reads the latest one.
    pub fn is_reached(&self) -> bool {
        self.0.fetch_add(0, loom::sync::atomic::Ordering::SeqCst) > 0
    }
}
