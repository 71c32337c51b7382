//! Gets meters from a given or the global meter provider.

use std::fmt;
use std::sync::{Arc, OnceLock};

use opentelemetry::global;
use opentelemetry::metrics::{Meter, MeterProvider};

use crate::catch_panic::catch_panic;
use crate::provider::noop::{discards_metrics, is_noop_meter_provider};
use crate::semconv::scope;

/// Returns the meter of a provider, unless the provider is the API's no-op or panics.
pub(crate) fn meter_from<P: MeterProvider + ?Sized + 'static>(provider: &P) -> Option<Meter> {
    if is_noop_meter_provider::<P>() {
        return None;
    }
    catch_panic(|| provider.meter_with_scope(scope()))
}

/// The global meter provider, looked up at each call.
#[derive(Default)]
pub(crate) struct GlobalMeterProvider {
    /// The first provider that was the no-op, kept so that it is not tried again.
    noop: OnceLock<Arc<dyn MeterProvider + Send + Sync>>,
}

impl GlobalMeterProvider {
    /// Returns its meter, unless it is the API's no-op or panics.
    pub(crate) fn meter(&self) -> Option<Meter> {
        let provider = catch_panic(global::meter_provider)?;
        let is_same = |noop| std::ptr::addr_eq(Arc::as_ptr(noop), Arc::as_ptr(&provider));
        if self.noop.get().is_some_and(is_same) {
            return None;
        }
        match try_meter(provider.as_ref())? {
            Tried::Meter(meter) => Some(meter),
            Tried::Noop => {
                self.noop.get_or_init(|| provider);
                None
            }
        }
    }
}

impl fmt::Debug for GlobalMeterProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlobalMeterProvider")
            .finish_non_exhaustive()
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
