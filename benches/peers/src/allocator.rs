//! The allocator, which counts: the system's or mimalloc. An environment variable selects it, so that one
//! program measures both.
//!
//! It adds the same cost to every allocation: one load, and two branches that are not taken.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use mimalloc::MiMalloc;

/// If this variable is set, the process uses mimalloc.
pub const VARIABLE: &str = "PEERS_MIMALLOC";

pub struct Switch;

const KNOWN: u8 = 1;
const MIMALLOC: u8 = 2;
const COUNTING: u8 = 4;

static STATE: AtomicU8 = AtomicU8::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static REALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// Counts the allocations and the reallocations while `work` runs.
pub fn count_during(work: impl FnOnce()) -> (u64, u64) {
    let counts = || (ALLOCATIONS.load(Relaxed), REALLOCATIONS.load(Relaxed));
    let before = counts();
    STATE.fetch_or(COUNTING, Relaxed);
    work();
    STATE.fetch_and(!COUNTING, Relaxed);
    let after = counts();
    (after.0 - before.0, after.1 - before.1)
}

/// Returns the state. The allocator is selected once, at the first allocation: memory must be freed by the
/// allocator that allocated it.
#[inline]
fn state() -> u8 {
    let state = STATE.load(Relaxed);
    if state == 0 { select() } else { state }
}

#[cold]
fn select() -> u8 {
    // `std::env` allocates. SAFETY: the name ends in NUL, and no thread sets variables yet.
    let unset = unsafe { libc::getenv(c"PEERS_MIMALLOC".as_ptr()) }.is_null();
    let state = if unset { KNOWN } else { KNOWN | MIMALLOC };
    STATE.store(state, Relaxed);
    state
}

#[inline]
fn count(state: u8, what: &AtomicU64) {
    if state & COUNTING != 0 {
        what.fetch_add(1, Relaxed);
    }
}

// SAFETY: each call is forwarded unchanged, always to the same allocator.
unsafe impl GlobalAlloc for Switch {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let state = state();
        count(state, &ALLOCATIONS);
        unsafe {
            if state & MIMALLOC == 0 {
                System.alloc(layout)
            } else {
                MiMalloc.alloc(layout)
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let state = state();
        count(state, &ALLOCATIONS);
        unsafe {
            if state & MIMALLOC == 0 {
                System.alloc_zeroed(layout)
            } else {
                MiMalloc.alloc_zeroed(layout)
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let state = state();
        count(state, &REALLOCATIONS);
        unsafe {
            if state & MIMALLOC == 0 {
                System.realloc(memory, layout, size)
            } else {
                MiMalloc.realloc(memory, layout, size)
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe {
            if state() & MIMALLOC == 0 {
                System.dealloc(memory, layout);
            } else {
                MiMalloc.dealloc(memory, layout);
            }
        }
    }
}
