//! Gets meters from a given or the global meter provider.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use opentelemetry::global;
use opentelemetry::metrics::{Meter, MeterProvider};

use crate::catch_panic::catch_panic;
use crate::provider::lookup::{Latest, NOT_YET_FOUND, Renewal, Schedule};
use crate::provider::noop::{discards_metrics, is_noop_meter_provider};
use crate::semconv::scope;

/// Returns the meter of a provider, unless the provider is the API's no-op or panics.
pub(crate) fn meter_from<P: MeterProvider + ?Sized + 'static>(provider: &P) -> Option<Meter> {
    if is_noop_meter_provider::<P>() {
        return None;
    }
    catch_panic(|| provider.meter_with_scope(scope()))
}

/// What was made with the meter of the global provider, which may be set and replaced while requests are served.
pub(crate) struct GlobalMeters<T> {
    latest: Latest<Made<T>>,
    /// The first provider that was the no-op, so that it is not tried again.
    noop: OnceLock<AnyProvider>,
    /// Selects the requests that look while there is no real provider.
    schedule: Schedule,
    /// Selects the requests that look again.
    renewal: Renewal,
}

/// A provider, to compare it with later ones. A weak pointer keeps its address in use, and not the provider.
type AnyProvider = Weak<dyn MeterProvider + Send + Sync>;

/// What was made with the meter of one provider.
struct Made<T> {
    provider: AnyProvider,
    /// `None` if the provider is the API's no-op.
    value: Option<Arc<T>>,
}

impl<T> Drop for Made<T> {
    fn drop(&mut self) {
        // In a request that has replaced it. The destructors of instruments may panic.
        catch_panic(|| drop(self.value.take()));
    }
}

impl<T> Default for GlobalMeters<T> {
    fn default() -> Self {
        Self {
            latest: Latest::default(),
            noop: OnceLock::new(),
            schedule: Schedule::default(),
            renewal: Renewal::default(),
        }
    }
}

impl<T> GlobalMeters<T> {
    /// Whether a real provider is set, as far as this request looks. Counts the request if not.
    pub(crate) fn is_set(&self, make: impl FnOnce(&Meter) -> Option<Arc<T>>) -> bool {
        self.kept().is_some() || self.schedule.is_due() && self.look_up(make).is_some()
    }

    /// Returns what was made with the meter of the current provider, for a request that starts at this moment.
    pub(crate) fn get(
        &self,
        moment: Instant,
        make: impl FnOnce(&Meter) -> Option<Arc<T>>,
    ) -> Option<Arc<T>> {
        if self.renewal.is_due(moment) {
            self.look_up(make);
        }
        self.kept()
    }

    /// Describes the current provider.
    pub(crate) fn describe(&self) -> &'static str {
        let provider = catch_panic(global::meter_provider);
        match provider.and_then(|provider| try_meter(provider.as_ref())) {
            None => "global, panics",
            Some(Tried::Noop) => "global, none (the API's no-op)",
            Some(Tried::Meter(_)) if self.kept().is_none() && self.schedule.has_begun() => {
                NOT_YET_FOUND
            }
            Some(Tried::Meter(_)) => "global, set",
        }
    }

    fn kept(&self) -> Option<Arc<T>> {
        self.latest.get().as_ref()?.value.value.clone()
    }

    /// Looks up the provider. If it is another, keeps what is made with its meter.
    fn look_up(&self, make: impl FnOnce(&Meter) -> Option<Arc<T>>) -> Option<Arc<T>> {
        let lookup = self.latest.begin();
        let provider = catch_panic(global::meter_provider)?;
        let is_same =
            |other: &AnyProvider| std::ptr::addr_eq(other.as_ptr(), Arc::as_ptr(&provider));
        match self.latest.get().as_ref() {
            Some(kept) if is_same(&kept.value.provider) => return kept.value.value.clone(),
            None if self.noop.get().is_some_and(is_same) => return None,
            _ => {}
        }
        let value = match try_meter(provider.as_ref())? {
            Tried::Meter(meter) => Some(make(&meter)?),
            Tried::Noop => None,
        };
        let result = Made {
            provider: Arc::downgrade(&provider),
            value: value.clone(),
        };
        if value.is_some() {
            self.latest.keep(lookup, result);
        } else if self.latest.get().is_none() {
            self.noop.get_or_init(|| Weak::clone(&result.provider));
        } else {
            self.schedule.restart();
            self.latest.keep_if_unchanged(lookup, result);
        }
        value
    }
}

impl<T> fmt::Debug for GlobalMeters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalMeters").finish_non_exhaustive()
    }
}

enum Tried {
    Meter(Meter),
    Noop,
}

/// Makes the global provider's meter. Returns `None` if the provider panics.
fn try_meter(provider: &dyn MeterProvider) -> Option<Tried> {
    catch_panic(|| {
        let meter = provider.meter_with_scope(scope());
        if discards_metrics(provider, &meter) {
            Tried::Noop
        } else {
            Tried::Meter(meter)
        }
    })
}
