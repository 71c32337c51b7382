//! Tests the global meter provider, which may be set while requests are served.

use crate::standard::sync::Arc;

use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::metrics::{Meter, MeterProvider};
use opentelemetry::{InstrumentationScope, global};

use crate::explore::{Milestone, Rule, spawn};
use crate::recording::clock::now;
use crate::telemetry::metrics::Meters;

pub const RULES: &[Rule] = &[Rule {
    name: "once a request is measured by a provider set late, every later request is",
    model: set_late,
    outcomes: &["0 of 2", "1 of 2", "2 of 2"],
}];

/// A provider that counts as real, although its meter discards all measurements.
struct RealProvider(
    #[expect(
        dead_code,
        reason = "without state it would be taken for the no-op provider"
    )]
    u8,
);

impl MeterProvider for RealProvider {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        NoopMeterProvider::new().meter_with_scope(scope)
    }
}

struct Process {
    meters: Meters,
    /// A request was measured.
    measured: Milestone,
    /// A provider is about to be set.
    setting: Milestone,
}

impl Process {
    /// Serves a request. Returns whether it is measured.
    fn serve(&self) -> bool {
        let is_later = self.measured.is_reached();
        self.setting.is_reached();
        let meters = &self.meters;
        let is_measured = meters.is_set() && meters.find(now()).is_some();
        if is_measured {
            self.measured.reach();
        }
        assert!(!is_later || is_measured);
        is_measured
    }
}

fn set_late() -> String {
    global::set_meter_provider(NoopMeterProvider::new());
    let process = Arc::new(Process {
        meters: Meters::default(),
        measured: Milestone::new(),
        setting: Milestone::new(),
    });
    let other = {
        let process = Arc::clone(&process);
        spawn(move || [process.serve(), process.serve()])
    };
    // Loom does not yield at the API's global provider. It yields here.
    process.setting.reach();
    global::set_meter_provider(RealProvider(0));
    process.serve();
    let measured = other.join().expect("the thread does not panic");
    let measured = measured.into_iter().filter(|is_measured| *is_measured);
    format!("{} of 2", measured.count())
}
