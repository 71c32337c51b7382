//! An optional function of the operator.

use std::fmt;
use std::sync::Arc;

use crate::catch_panic::{PanicReport, catch_panic};

/// A callback that may be set; `F` is a `dyn Fn`. What it captures may panic when dropped.
pub(crate) struct Callback<F: ?Sized>(Option<Set<F>>);

struct Set<F: ?Sized> {
    function: Arc<F>,
    /// Shared by the clones of a layer, so that each callback is reported once.
    panics: Arc<PanicReport>,
}

/// A callback panicked.
#[derive(Debug)]
pub(crate) struct Panicked;

impl<F: ?Sized> Callback<F> {
    /// Makes the callback of this setter.
    pub(crate) fn new(setter: &'static str, function: Arc<F>) -> Self {
        Self(Some(Set {
            function,
            panics: Arc::new(PanicReport::new(setter)),
        }))
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Calls the callback through `call` and catches its panic. Returns `None` if it is not set.
    pub(crate) fn call<T>(&self, call: impl FnOnce(&F) -> T) -> Option<Result<T, Panicked>> {
        let Set { function, panics } = self.0.as_ref()?;
        Some(panics.catch(|| call(function)).ok_or(Panicked))
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

impl<F: ?Sized> Clone for Set<F> {
    fn clone(&self) -> Self {
        Self {
            function: Arc::clone(&self.function),
            panics: Arc::clone(&self.panics),
        }
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
