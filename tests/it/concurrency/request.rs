//! A request on which tasks make calls, and the counts of these calls.

use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, fence};
use std::thread;

use tower_api_span::{RequestBody, SpanHandle};

use super::TASKS;
use crate::support::body::ScriptedBody;

/// A method that tasks call. Each call has a number, from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Two attributes at once.
    Pair,
    /// A long attribute, set on the context.
    Text,
    Event,
    ContextEvent,
    Link,
    Verdict,
    /// The status Error, set on the context.
    Status,
    AllowDisconnect,
    HandOff,
    Route,
    Name,
    Tokens,
    /// A read of the request's body.
    Read,
}

const METHODS: usize = Method::Read as usize + 1;

/// The calls of one method by one task.
#[derive(Debug, Default)]
pub struct Count {
    /// The number of the last call that began before the end.
    begun: AtomicI64,
    /// The number of the last call that returned before the last step began.
    in_time: AtomicI64,
}

impl Count {
    pub fn begun(&self) -> i64 {
        self.begun.load(SeqCst)
    }

    pub fn in_time(&self) -> i64 {
        self.in_time.load(SeqCst)
    }
}

/// When verdicts are given on a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdicts {
    Never,
    /// By the handler at once. Those of the tasks are too late.
    Before,
    /// After the end.
    After,
    /// By all tasks at any time.
    Racing,
}

impl Verdicts {
    pub const ALL: [Self; 4] = [Self::Never, Self::Before, Self::After, Self::Racing];
}

/// A request on which tasks make calls.
#[derive(Debug)]
pub struct Request {
    pub handle: SpanHandle,
    pub path: usize,
    pub verdicts: Verdicts,
    pub body: Mutex<RequestBody<ScriptedBody>>,
    /// The last step is about to begin.
    is_ending: AtomicBool,
    has_ended: AtomicBool,
    calls: AtomicUsize,
    counts: [[Count; METHODS]; TASKS],
}

/// The number of calls after the end. It must not be recorded.
pub const TOO_LATE: i64 = 0;

impl Request {
    pub fn new(
        handle: SpanHandle,
        path: usize,
        verdicts: Verdicts,
        body: RequestBody<ScriptedBody>,
    ) -> Self {
        Self {
            handle,
            path,
            verdicts,
            body: Mutex::new(body),
            is_ending: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            counts: Default::default(),
        }
    }

    pub fn count(&self, task: usize, method: Method) -> &Count {
        &self.counts[task][method as usize]
    }

    /// Returns the counts of all tasks and methods.
    pub fn all_counts(&self) -> impl Iterator<Item = &Count> {
        self.counts.iter().flatten()
    }

    /// Returns the counts of all tasks.
    pub fn counts(&self, method: Method) -> impl Iterator<Item = &Count> {
        self.counts
            .iter()
            .map(move |counts| &counts[method as usize])
    }

    /// Makes a call with its number, and counts it. Only the thread of this task may use it.
    pub fn call(&self, task: usize, method: Method, call: impl FnOnce(i64)) {
        let count = self.count(task, method);
        if self.has_ended.load(SeqCst) {
            call(TOO_LATE);
        } else {
            let number = count.begun.fetch_add(1, SeqCst) + 1;
            call(number);
            // The bytes of a body are counted without a lock.
            fence(SeqCst);
            if !self.is_ending.load(SeqCst) {
                count.in_time.store(number, SeqCst);
            }
        }
        self.calls.fetch_add(1, SeqCst);
    }

    /// Checks that `is_recording` is true until the end.
    pub fn check_is_recording(&self) {
        let is_after = self.has_ended.load(SeqCst);
        let is_recording = self.handle.is_recording();
        assert!(!(is_after && is_recording), "it records after the end");
        assert!(
            is_recording || self.is_ending.load(SeqCst),
            "it does not record before the end"
        );
        self.calls.fetch_add(1, SeqCst);
    }

    pub fn mark_ending(&self) {
        self.is_ending.store(true, SeqCst);
        fence(SeqCst);
    }

    pub fn mark_ended(&self) {
        self.has_ended.store(true, SeqCst);
    }

    /// Waits until some more calls were made, or no calls seem to be made.
    pub fn wait_for_calls(&self, more: usize) {
        let enough = self.calls.load(SeqCst) + more;
        for _ in 0..200 {
            if self.calls.load(SeqCst) >= enough {
                return;
            }
            thread::yield_now();
        }
    }
}

/// A generator of pseudo-random numbers.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let random = (z ^ (z >> 31)) >> 32;
        usize::try_from(random).expect("32 bits") % bound
    }
}
