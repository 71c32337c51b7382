//! The memory of this process: what is allocated, counted under everything, and what is resident.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static MADE: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with a count of what it is asked for.
pub(crate) struct Counting;

/// What there is at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Allocations since the program began.
    pub(crate) made: u64,
    /// Those that have not been freed.
    pub(crate) live: u64,
    pub(crate) live_bytes: u64,
    /// `None` where the system does not tell.
    pub(crate) resident: Option<u64>,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let made = MADE.load(Relaxed);
        Self {
            made,
            live: made.wrapping_sub(FREED.load(Relaxed)),
            live_bytes: LIVE_BYTES.load(Relaxed),
            resident: resident(),
        }
    }
}

/// Has the allocator keep what is freed, in one arena, so that resident memory is the most that was ever
/// needed. By default it has an arena a thread and gives back what lies behind the last block that is not
/// free: then resident memory varies by a fifth from one moment to another, with nothing behind it.
pub(crate) fn keep_all() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        #[expect(unsafe_code, reason = "the allocator has no other door")]
        // SAFETY: this is how it is declared, and no parameter can do harm.
        unsafe extern "C" {
            safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_TRIM_THRESHOLD, c_int::MAX);
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
    }
}

/// Bytes in memory, counted page by page: `VmRSS` in `status` is an estimate, which may be off by more
/// than what is looked for here.
fn resident() -> Option<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let rest = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

fn add(bytes: usize) {
    MADE.fetch_add(1, Relaxed);
    LIVE_BYTES.fetch_add(bytes as u64, Relaxed);
}

fn remove(bytes: usize) {
    FREED.fetch_add(1, Relaxed);
    LIVE_BYTES.fetch_sub(bytes as u64, Relaxed);
}

#[expect(unsafe_code, reason = "an allocator cannot be had without it")]
// SAFETY: each call is handed on as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        add(size);
        remove(layout.size());
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        remove(layout.size());
        unsafe { System.dealloc(memory, layout) }
    }
}
