//! A request that is spoken to, and the books on what was said when.

use std::sync::Mutex;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, fence};
use std::thread;

use tower_api_span::{CountedBody, SpanHandle};

use super::SPEAKERS;
use crate::support::body::ScriptedBody;

/// What is said, each with a number that counts up from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thing {
    /// Two attributes at once.
    Pair,
    /// An attribute of some length, by the context.
    Text,
    Event,
    EventByContext,
    Link,
    Verdict,
    /// A status of Error, by the context.
    Status,
    Leave,
    Handoff,
    Route,
    Name,
    Tokens,
    /// So many bytes of the request's body were read.
    Read,
}

const THINGS: usize = Thing::Read as usize + 1;

/// How far a speaker has come with a thing.
#[derive(Debug, Default)]
pub struct Count {
    /// The last number that was begun with before the end was known.
    begun: AtomicI64,
    /// The last number that was said before the last move began.
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

/// Who gives a verdict on a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdicts {
    Nobody,
    /// The handler, at once. All others give theirs too, and are too late.
    Before,
    /// Only when it is over.
    After,
    /// All speakers, when they like.
    Racing,
}

impl Verdicts {
    pub const ALL: [Self; 4] = [Self::Nobody, Self::Before, Self::After, Self::Racing];
}

/// A request that is spoken to.
#[derive(Debug)]
pub struct Request {
    pub handle: SpanHandle,
    pub path: usize,
    pub verdicts: Verdicts,
    pub body: Mutex<CountedBody<ScriptedBody>>,
    /// The last move is about to begin.
    is_ending: AtomicBool,
    has_ended: AtomicBool,
    words: AtomicUsize,
    counts: [[Count; THINGS]; SPEAKERS],
}

/// What is said when the end is known: it must not be found anywhere.
pub const TOO_LATE: i64 = 0;

impl Request {
    pub fn new(
        handle: SpanHandle,
        path: usize,
        verdicts: Verdicts,
        body: CountedBody<ScriptedBody>,
    ) -> Self {
        Self {
            handle,
            path,
            verdicts,
            body: Mutex::new(body),
            is_ending: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            words: AtomicUsize::new(0),
            counts: Default::default(),
        }
    }

    pub fn count(&self, speaker: usize, thing: Thing) -> &Count {
        &self.counts[speaker][thing as usize]
    }

    /// Those of all speakers and things.
    pub fn all(&self) -> impl Iterator<Item = &Count> {
        self.counts.iter().flatten()
    }

    /// Those of all speakers.
    pub fn counts(&self, thing: Thing) -> impl Iterator<Item = &Count> {
        self.counts
            .iter()
            .map(move |counts| &counts[thing as usize])
    }

    /// Says a thing with its number, and keeps books. Only the speaker itself may call it.
    pub fn say(&self, speaker: usize, thing: Thing, say: impl FnOnce(i64)) {
        let count = self.count(speaker, thing);
        if self.has_ended.load(SeqCst) {
            say(TOO_LATE);
        } else {
            let number = count.begun.fetch_add(1, SeqCst) + 1;
            say(number);
            // Bytes of a body are counted beside any lock.
            fence(SeqCst);
            if !self.is_ending.load(SeqCst) {
                count.in_time.store(number, SeqCst);
            }
        }
        self.words.fetch_add(1, SeqCst);
    }

    /// Whether the handle says rightly that the span records.
    pub fn ask(&self) {
        let is_after = self.has_ended.load(SeqCst);
        let is_recording = self.handle.is_recording();
        assert!(!(is_after && is_recording), "it has ended and records");
        assert!(is_recording || self.is_ending.load(SeqCst), "it has ended");
        self.words.fetch_add(1, SeqCst);
    }

    pub fn ends_now(&self) {
        self.is_ending.store(true, SeqCst);
        fence(SeqCst);
    }

    pub fn has_ended(&self) {
        self.has_ended.store(true, SeqCst);
    }

    /// Waits until some more has been said, or nobody seems to say anything.
    pub fn listen(&self, words: usize) {
        let enough = self.words.load(SeqCst) + words;
        for _ in 0..200 {
            if self.words.load(SeqCst) >= enough {
                return;
            }
            thread::yield_now();
        }
    }
}

/// Numbers that are random enough.
pub struct Dice(pub u64);

impl Dice {
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
