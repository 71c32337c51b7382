//! The machine, compiler and versions of a run.

use std::process::Command;
use std::time::SystemTime;

/// Returns the version of a package in this package's lock file.
pub fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let start = format!("\nname = \"{name}\"\nversion = \"");
    let (_, rest) = lock
        .split_once(&start)
        .expect("the package is in the lock file");
    rest.split('"').next().expect("a split has a first part")
}

/// Returns three lines: date and commit, machine and compiler, versions.
pub fn caption() -> [String; 3] {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let (system, kind) = (std::env::consts::OS, std::env::consts::ARCH);
    let date = httpdate::fmt_http_date(SystemTime::now());
    let crates = ["opentelemetry_sdk", "hyper", "tracing", "mimalloc"];
    let crates = crates.map(|name| format!("{name} {}", version(name)));
    [
        format!("{date}, commit {}", commit()),
        format!("{cpus} CPUs, {kind} {system}, {}", env!("RUSTC_VERSION")),
        crates.join(", "),
    ]
}

fn commit() -> String {
    let described = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args([
            "describe",
            "--always",
            "--exclude=*",
            "--dirty= with changes",
        ])
        .output();
    match described {
        Ok(described) if described.status.success() => {
            String::from_utf8_lossy(&described.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}

/// Returns the CPU time of all threads of this process, in nanoseconds.
pub fn cpu_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a valid `timespec`.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "every process has this clock");
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("CPU time is not negative")
}

/// Pins the calling thread to a CPU. Otherwise the scheduler may keep two busy threads on one CPU, so that they
/// do not run in parallel.
pub fn pin_to_cpu(number: usize) {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: it writes into the set; a number that is too large panics.
    unsafe { libc::CPU_SET(number, &mut set) };
    // SAFETY: the size matches the pointer; 0 is the calling thread.
    let failed = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    if failed != 0 {
        eprintln!("NOT PINNED: CPU {number} is not available; figures will vary more");
    }
}
