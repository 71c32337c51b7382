//! The allocated and the resident memory of this process.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static TOTAL: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, with counters.
pub(crate) struct Counting;

/// The memory at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Allocations since the start of the program.
    pub(crate) total: u64,
    /// Allocations that are not freed.
    pub(crate) live: u64,
    pub(crate) live_bytes: u64,
    /// Resident bytes; `None` where the system does not provide them.
    pub(crate) resident: Option<u64>,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let total = TOTAL.load(Relaxed);
        Self {
            total,
            live: total.wrapping_sub(FREED.load(Relaxed)),
            live_bytes: LIVE_BYTES.load(Relaxed),
            resident: resident(),
        }
    }
}

/// Makes glibc keep freed memory, in one arena, so that resident memory is the peak.
///
/// By default glibc has an arena per thread and returns free memory at an arena's end to the system. Resident
/// memory then varies by a fifth at random.
pub(crate) fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        use std::ffi::c_int;

        const M_TRIM_THRESHOLD: c_int = -1;
        const M_MMAP_THRESHOLD: c_int = -3;
        const M_ARENA_MAX: c_int = -8;
        #[expect(unsafe_code, reason = "glibc has no safe interface for this")]
        // SAFETY: the declaration matches glibc's, and every parameter value is sound.
        unsafe extern "C" {
            safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
        }
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_TRIM_THRESHOLD, c_int::MAX);
        mallopt(M_MMAP_THRESHOLD, 32 << 20);
    }
}

/// Returns the resident bytes, counted page by page. `VmRSS` in `status` is an estimate and too inexact.
fn resident() -> Option<u64> {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let rest = rollup.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kibibytes: u64 = rest.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

fn add(bytes: usize) {
    TOTAL.fetch_add(1, Relaxed);
    LIVE_BYTES.fetch_add(bytes as u64, Relaxed);
}

fn remove(bytes: usize) {
    FREED.fetch_add(1, Relaxed);
    LIVE_BYTES.fetch_sub(bytes as u64, Relaxed);
}

#[expect(unsafe_code, reason = "a global allocator is an unsafe trait")]
// SAFETY: each call is forwarded unchanged.
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
