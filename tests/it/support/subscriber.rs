//! Subscribers of `tracing`, each for one thread.

use tracing::subscriber::{NoSubscriber, with_default};
use tracing::{Dispatch, Subscriber};

/// Calls `f` with a subscriber that gets all that it wants, whatever tests run beside it.
///
/// While there is only one subscriber, `tracing` asks that of the current thread whether an event is wanted, and caches the
/// answer for all threads. A thread without a subscriber would answer no. So there are two.
pub fn with_subscriber<T>(
    subscriber: impl Subscriber + Send + Sync + 'static,
    f: impl FnOnce() -> T,
) -> T {
    let _second = Dispatch::new(NoSubscriber::default());
    with_default(subscriber, f)
}
