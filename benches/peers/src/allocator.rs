//! The allocator: the system's or mimalloc, as the environment says, so that one program has tables
//! of both; and a count of what it is asked for.
//!
//! What this adds to an allocation is the same for everybody: a load, and two branches never taken.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

use mimalloc::MiMalloc;

/// If it is set, the process has mimalloc.
pub const VARIABLE: &str = "PEERS_MIMALLOC";

pub struct Switch;

const KNOWN: u8 = 1;
const MIMALLOC: u8 = 2;
const COUNTING: u8 = 4;

static STATE: AtomicU8 = AtomicU8::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static REALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// How often memory was asked for, and how often for more or less of the same, while `work` ran.
pub fn counted(work: impl FnOnce()) -> (u64, u64) {
    let counts = || (ALLOCATIONS.load(Relaxed), REALLOCATIONS.load(Relaxed));
    let before = counts();
    STATE.fetch_or(COUNTING, Relaxed);
    work();
    STATE.fetch_and(!COUNTING, Relaxed);
    let after = counts();
    (after.0 - before.0, after.1 - before.1)
}

/// The choice is made once, at the first allocation: memory must go back to where it came from.
#[inline]
fn state() -> u8 {
    let state = STATE.load(Relaxed);
    if state == 0 { chosen() } else { state }
}

#[cold]
fn chosen() -> u8 {
    // `std::env` allocates. SAFETY: a name that ends in NUL, and nobody sets variables yet.
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

// SAFETY: each call is handed on as it is, always to the same allocator of the two.
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
