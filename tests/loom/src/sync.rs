//! Replaces the standard library's `sync` with loom's, and adds what loom lacks.

pub use ::std::sync::{Arc, PoisonError, Weak};
pub use loom::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard, atomic};

use ::std::fmt;
use ::std::sync::OnceLock as Cell;

/// A cell that is written once, like the standard library's. A thread that finds it set also sees all
/// writes that came before.
pub struct OnceLock<T> {
    value: Cell<T>,
    is_set: atomic::AtomicBool,
    writing: Mutex<()>,
}

impl<T> OnceLock<T> {
    #[must_use]
    pub fn new() -> Self {
        Self {
            value: Cell::new(),
            is_set: atomic::AtomicBool::new(false),
            writing: Mutex::new(()),
        }
    }

    pub fn get(&self) -> Option<&T> {
        let is_set = self.is_set.load(atomic::Ordering::Acquire);
        self.value.get().filter(|_| is_set)
    }

    /// # Errors
    ///
    /// Returns `value` if the cell is already set.
    pub fn set(&self, value: T) -> Result<(), T> {
        let _writing = self.writing.lock();
        self.value.set(value)?;
        self.is_set.store(true, atomic::Ordering::Release);
        Ok(())
    }

    pub fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        let _writing = self.writing.lock();
        let value = self.value.get_or_init(init);
        self.is_set.store(true, atomic::Ordering::Release);
        value
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceLock").finish_non_exhaustive()
    }
}
