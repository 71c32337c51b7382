//! What is known of each request: the provider of its span, and how often that has arrived.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU64, Ordering};

use super::plan::PLAN;
use super::timeline::Timeline;

/// The number of requests after which a layer looks again.
pub(crate) const PERIOD: u64 = 1_024;

/// Room for the requests that are made while other threads reload.
const ROOM_PER_STEP: u64 = 3_000;

/// The records of all requests. All memory is allocated at the start.
#[derive(Debug)]
pub(crate) struct Records {
    next: AtomicU64,
    requests: Box<[Record]>,
    pub(crate) completions: AtomicU64,
    pub(crate) log_events: AtomicU64,
    /// Log events that the requests made must have.
    pub(crate) expected_log_events: AtomicU64,
    pub(crate) tracers: Mutex<Timeline>,
    pub(crate) meters: Mutex<Timeline>,
    pub(crate) propagators: Mutex<Timeline>,
    /// For each meter provider, the number of requests that it has measured.
    pub(crate) measured: Box<[AtomicU64]>,
    /// For each provider, whether its shutdown has begun.
    shut_down: Box<[AtomicBool]>,
    /// For each provider, the number of requests when its shutdown began.
    pub(crate) shut_down_at: Box<[AtomicU64]>,
}

/// The record of one request.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// The number of the provider that has started its span, from 1.
    started_by: AtomicU16,
    /// The number of the provider at which its span has arrived.
    arrived_at: AtomicU16,
    arrivals: AtomicU8,
    flags: AtomicU8,
}

/// The span is in the caller's trace.
pub(crate) const IN_CALLERS_TRACE: u8 = 1;
/// The span does not have the intended outcome.
pub(crate) const WRONG_OUTCOME: u8 = 2;
/// The request has ended.
pub(crate) const ENDED: u8 = 4;
/// When the request had ended, the shutdown of its span's provider had begun.
pub(crate) const AFTER_SHUTDOWN: u8 = 8;

impl Records {
    pub(crate) fn new(steps: u64) -> Self {
        let rounds = steps / PLAN.len() as u64;
        let extra: u64 = PLAN.iter().map(|step| step.requests()).sum();
        let requests = (steps + 20) * ROOM_PER_STEP + rounds * extra;
        let settings = usize::try_from(steps).unwrap_or_default() * 3 + 16;
        Self {
            next: AtomicU64::new(0),
            requests: (0..requests).map(|_| Record::default()).collect(),
            completions: AtomicU64::new(0),
            log_events: AtomicU64::new(0),
            expected_log_events: AtomicU64::new(0),
            tracers: Mutex::new(Timeline::delayed(settings)),
            meters: Mutex::new(Timeline::delayed(settings)),
            propagators: Mutex::new(Timeline::immediate(settings)),
            measured: (0..settings).map(|_| AtomicU64::new(0)).collect(),
            shut_down: (0..settings).map(|_| AtomicBool::new(false)).collect(),
            shut_down_at: (0..settings).map(|_| AtomicU64::new(u64::MAX)).collect(),
        }
    }

    /// Begins a request. Returns its number.
    pub(crate) fn begin(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Returns the number of requests that have begun.
    pub(crate) fn begun(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    pub(crate) fn of(&self, request: u64) -> &Record {
        &self.requests[usize::try_from(request).expect("a small number")]
    }

    /// Records that the shutdown of a provider begins. Returns false if it has begun before.
    pub(crate) fn begin_shutdown(&self, provider: usize) -> bool {
        if self.shut_down[provider].load(Ordering::SeqCst) {
            return false;
        }
        self.shut_down_at[provider].store(self.begun(), Ordering::SeqCst);
        self.shut_down[provider].store(true, Ordering::SeqCst);
        true
    }

    /// Records that a request has ended.
    pub(crate) fn end(&self, request: u64) {
        let record = self.of(request);
        let provider = record.started_by();
        let is_shut_down =
            provider.is_some_and(|provider| self.shut_down[provider].load(Ordering::SeqCst));
        record.add(ENDED | if is_shut_down { AFTER_SHUTDOWN } else { 0 });
    }
}

impl Record {
    pub(crate) fn start(&self, provider: usize) {
        let number = u16::try_from(provider + 1).expect("few providers");
        self.started_by.store(number, Ordering::SeqCst);
    }

    pub(crate) fn arrive(&self, provider: usize) {
        let number = u16::try_from(provider + 1).expect("few providers");
        self.arrived_at.store(number, Ordering::SeqCst);
        self.arrivals.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn add(&self, flags: u8) {
        self.flags.fetch_or(flags, Ordering::SeqCst);
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::SeqCst) & flag != 0
    }

    pub(crate) fn started_by(&self) -> Option<usize> {
        usize::from(self.started_by.load(Ordering::SeqCst)).checked_sub(1)
    }

    pub(crate) fn arrived_at(&self) -> Option<usize> {
        usize::from(self.arrived_at.load(Ordering::SeqCst)).checked_sub(1)
    }

    pub(crate) fn arrivals(&self) -> u8 {
        self.arrivals.load(Ordering::SeqCst)
    }
}
