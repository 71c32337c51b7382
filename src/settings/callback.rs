//! An optional function of the operator.

use std::fmt;
use std::sync::Arc;

use crate::catch_panic::catch_panic;

/// An optional callback. `F` is a `dyn Fn`.
pub(crate) struct Callback<F: ?Sized>(Option<Arc<F>>);

/// A callback panicked.
#[derive(Debug)]
pub(crate) struct Panicked;

impl<F: ?Sized> Callback<F> {
    pub(crate) fn new(function: Arc<F>) -> Self {
        Self(Some(function))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Calls the callback through `call` and catches its panic. Returns `None` if it is not set.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&F) -> T) -> Option<Result<T, Panicked>> {
        let function = self.0.as_deref()?;
        Some(catch_panic(|| call(function)).ok_or(Panicked))
    }
}

impl<F: ?Sized> Drop for Callback<F> {
    fn drop(&mut self) {
        // A request may drop the last clone of the settings, and the callback's captures may panic.
        catch_panic(|| drop(self.0.take()));
    }
}

impl<F: ?Sized> Clone for Callback<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: ?Sized> Default for Callback<F> {
    fn default() -> Self {
        Self(None)
    }
}

impl<F: ?Sized> fmt::Debug for Callback<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "set" } else { "none" })
    }
}
