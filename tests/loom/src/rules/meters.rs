//! The global meter provider, which may be set while requests are served.

use crate::standard::sync::Arc;

use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, global};

use crate::explore::{Moment, Rule, spawn};
use crate::telemetry::metrics::Meters;

pub const RULES: &[Rule] = &[Rule {
    name: "a meter provider that is set late: once a request was measured, all are",
    model: set_late,
    comes_to: &["0 of 2", "1 of 2", "2 of 2"],
}];

/// Measures nothing, but it is there.
struct Measures(#[expect(dead_code, reason = "what has no state is taken for the no-op")] u8);

impl MeterProvider for Measures {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        NoopMeterProvider::new().meter_with_scope(scope)
    }
}

struct World {
    meters: Meters,
    /// A request was measured.
    found: Moment,
    /// A provider is about to be set.
    setting: Moment,
}

impl World {
    /// Serves a request. True if it is measured.
    fn serve(&self) -> bool {
        let is_later = self.found.has_been();
        self.setting.has_been();
        let is_measured = self.meters.find().is_some();
        if is_measured {
            self.found.is_now();
        }
        assert!(!is_later || is_measured);
        is_measured
    }
}

fn set_late() -> String {
    global::set_meter_provider(NoopMeterProvider::new());
    let world = Arc::new(World {
        meters: Meters::default(),
        found: Moment::new(),
        setting: Moment::new(),
    });
    let other = {
        let world = Arc::clone(&world);
        spawn(move || [world.serve(), world.serve()])
    };
    // This loom sees, and not what follows.
    world.setting.is_now();
    global::set_meter_provider(Measures(0));
    world.serve();
    let measured = other.join().expect("the thread has run");
    let measured = measured.into_iter().filter(|is_measured| *is_measured);
    format!("{} of 2", measured.count())
}
