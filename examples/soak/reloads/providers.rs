//! The global providers: their replacement, their shutdown, and whether they are freed.

use std::any::Any;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use opentelemetry::global;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::trace::noop::{NoopTextMapPropagator, NoopTracerProvider};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::time::Instant;

use super::DRAIN;
use super::plan::Change;
use super::receivers::{Receiver, SharedReceiver};
use super::records::Records;
use crate::metrics::{MetricSums, Metrics};

/// Time for some requests between two settings, so that they find one new and one old provider.
const BETWEEN_SETTINGS: Duration = Duration::from_micros(200);

/// The global providers, and those that were replaced.
#[derive(Clone)]
pub(crate) struct Telemetry {
    records: Arc<Records>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    made: usize,
    current: Option<Pair>,
    /// Replaced, and to be shut down at this time.
    draining: Vec<(Instant, Pair)>,
    /// Dropped by this program. After this time the layer must have dropped them too.
    dropped: Vec<(Instant, Weak<dyn Any + Send + Sync>)>,
    faults: Vec<String>,
    counts: ProviderCounts,
}

/// What has become of the providers.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProviderCounts {
    /// The number of replacements, with those by the no-op.
    pub(crate) changes: u64,
    pub(crate) made: u64,
    /// The largest number of tracer providers and of meter providers that were alive after a step, together.
    pub(crate) most_alive: u64,
    /// Those that are alive at the end.
    pub(crate) alive: u64,
}

/// A tracer provider and a meter provider that are set together.
#[derive(Clone)]
struct Pair {
    number: usize,
    tracers: SdkTracerProvider,
    meters: Metrics,
    /// Alive as long as their processor and their exporter.
    alive: [Weak<dyn Any + Send + Sync>; 2],
}

impl Telemetry {
    /// Sets the first providers.
    pub(crate) fn new(records: &Arc<Records>) -> Self {
        let mut new = Self {
            records: Arc::clone(records),
            state: Arc::default(),
        };
        new.change(Change::Drained, Instant::now());
        new
    }

    /// Changes the global providers and the propagator.
    pub(crate) fn change(&mut self, change: Change, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counts.changes += 1;
        match change {
            Change::Same => {
                if let Some(pair) = &state.current {
                    self.set(Some(pair));
                }
            }
            Change::ShutDown => {
                if let Some(pair) = state.current.clone() {
                    self.shut_down(&pair, &mut state);
                }
            }
            Change::Drained | Change::AtOnce | Change::NoOp => {
                let next = (change != Change::NoOp).then(|| {
                    state.made += 1;
                    Pair::new(state.made - 1, &self.records)
                });
                self.set(next.as_ref());
                let Some(old) = std::mem::replace(&mut state.current, next) else {
                    return;
                };
                if change == Change::AtOnce {
                    self.shut_down(&old, &mut state);
                }
                state.draining.push((now + DRAIN, old));
            }
        }
    }

    fn set(&self, pair: Option<&Pair>) {
        let Records {
            tracers,
            meters,
            propagators,
            ..
        } = &*self.records;
        let value = pair.map(|pair| pair.number);
        self.timed(tracers, value, || match pair {
            Some(pair) => {
                global::set_tracer_provider(pair.tracers.clone());
            }
            None => {
                global::set_tracer_provider(NoopTracerProvider::new());
            }
        });
        self.timed(meters, value, || match pair {
            Some(pair) => global::set_meter_provider(pair.meters.provider.clone()),
            None => global::set_meter_provider(NoopMeterProvider::new()),
        });
        // Every third provider comes without a propagator.
        let value = value.filter(|number| number % 3 != 2);
        self.timed(propagators, value, || match value {
            Some(_) => global::set_text_map_propagator(TraceContextPropagator::new()),
            None => global::set_text_map_propagator(NoopTextMapPropagator::new()),
        });
    }

    /// Sets a global while requests are made, and records between which requests that was.
    fn timed(
        &self,
        timeline: &Mutex<super::timeline::Timeline>,
        value: Option<usize>,
        set: impl FnOnce(),
    ) {
        std::thread::sleep(BETWEEN_SETTINGS);
        let began = self.records.begun();
        set();
        let ended = self.records.begun();
        let mut timeline = timeline.lock().unwrap_or_else(PoisonError::into_inner);
        timeline.set(value, [began, ended]);
    }

    /// Records that the next request must use the current providers.
    pub(crate) fn expect_current(&self) {
        let next = self.records.begun();
        for timeline in [&self.records.tracers, &self.records.meters] {
            let mut timeline = timeline.lock().unwrap_or_else(PoisonError::into_inner);
            timeline.expect_current(next);
        }
    }

    fn shut_down(&self, pair: &Pair, state: &mut State) {
        if !self.records.begin_shutdown(pair.number) {
            return;
        }
        if let Err(error) = pair.tracers.shutdown() {
            state.faults.push(format!("a shutdown fails: {error}"));
        }
    }

    /// Shuts down and drops the providers whose requests have ended, and checks that earlier ones are freed.
    ///
    /// # Errors
    ///
    /// If the metrics cannot be read.
    pub(crate) fn retire(&self, now: Instant) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let draining = std::mem::take(&mut state.draining);
        let (ended, others) = draining.into_iter().partition(|(at, _)| *at <= now);
        state.draining = others;
        let ended: Vec<(Instant, Pair)> = ended;
        for (_, pair) in ended {
            self.shut_down(&pair, &mut state);
            state.read(&pair, &self.records)?;
            // The next request may still hold what it has looked up.
            let alive = pair.alive.clone();
            state.dropped.extend(alive.map(|alive| (now, alive)));
        }
        let is_late = |(at, alive): &(Instant, Weak<_>)| *at < now && alive.strong_count() > 0;
        if state.dropped.iter().any(is_late) {
            state
                .faults
                .push("a provider is alive after its requests have ended".to_owned());
        }
        state.dropped.retain(|(_, alive)| alive.strong_count() > 0);
        let all = state.draining.len() + usize::from(state.current.is_some());
        let all = (2 * all + state.dropped.len()) as u64;
        state.counts.most_alive = state.counts.most_alive.max(all);
        Ok(())
    }

    /// Checks that only the current providers are left.
    pub(crate) fn check_all_gone(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.draining.len() + state.dropped.len();
        if left > 0 {
            state
                .faults
                .push(format!("{left} replaced providers are left"));
        }
    }

    /// Returns the counts and the faults.
    pub(crate) fn finish(self) -> (ProviderCounts, Vec<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counts.made = state.made as u64;
        let alive = state
            .dropped
            .iter()
            .filter(|(_, alive)| alive.strong_count() > 0);
        state.counts.alive = (alive.count() + 2 * state.draining.len()) as u64;
        (state.counts.clone(), std::mem::take(&mut state.faults))
    }
}

impl State {
    /// Reads the metrics of a provider whose requests have ended, and shuts it down.
    fn read(&mut self, pair: &Pair, records: &Records) -> io::Result<()> {
        let MetricSums { requests, active } = pair.meters.read().map_err(io::Error::other)?;
        let measured = requests.values().sum();
        records.measured[pair.number].store(measured, Ordering::SeqCst);
        if active != 0 {
            let number = pair.number;
            let fault = format!("{active} requests are active at provider {number}, at its end");
            self.faults.push(fault);
        }
        pair.meters.provider.shutdown().map_err(io::Error::other)
    }
}

impl Pair {
    fn new(number: usize, records: &Arc<Records>) -> Self {
        let receiver = Arc::new(Receiver {
            number,
            records: Arc::clone(records),
        });
        let meters = Metrics::new();
        let alive: [Weak<dyn Any + Send + Sync>; 2] =
            [Arc::downgrade(&receiver) as _, meters.alive()];
        let tracers = SdkTracerProvider::builder()
            .with_span_processor(SharedReceiver(receiver))
            .build();
        Self {
            number,
            tracers,
            meters,
            alive,
        }
    }
}
