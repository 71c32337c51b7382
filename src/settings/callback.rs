//! A function of the user's among the settings.

use std::fmt;
use std::sync::Arc;

use crate::catch_panic::catch_panic;

/// Perhaps a function. What it is called with decides its type, a `dyn Fn`; whoever calls it contains
/// its panics. What it holds may panic where it is dropped.
pub(crate) struct Callback<F: ?Sized>(Option<Arc<F>>);

impl<F: ?Sized> Callback<F> {
    pub(crate) fn new(function: Arc<F>) -> Self {
        Self(Some(function))
    }

    pub(crate) fn get(&self) -> Option<&F> {
        self.0.as_deref()
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }
}

impl<F: ?Sized> Drop for Callback<F> {
    fn drop(&mut self) {
        // A request may be the last to have the settings.
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
