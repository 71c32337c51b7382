//! What a run ran on, asked of the run itself.

use std::process::Command;
use std::time::SystemTime;

/// The version of a package in the lock file that this was built with.
pub fn version(name: &str) -> &'static str {
    let lock = include_str!("../Cargo.lock");
    let start = format!("\nname = \"{name}\"\nversion = \"");
    let (_, rest) = lock
        .split_once(&start)
        .expect("the lock file has all peers");
    rest.split('"').next().expect("there is a first part")
}

/// Date, machine, compiler, versions and commit, a line each.
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

/// CPU time of all threads of this process, in nanoseconds.
pub fn cpu_time() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the clock writes into what the pointer is of.
    let failed = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    assert_eq!(failed, 0, "every process has this clock");
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("CPU time is not negative")
}

/// Keeps the calling thread on one of the CPUs: a scheduler may well leave two busy threads on the
/// same one for a while, and then they are never at work at the same time.
pub fn stay_on_cpu(number: usize) {
    // SAFETY: all zeros is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: it writes into the set, if the number is not too large for it.
    unsafe { libc::CPU_SET(number, &mut set) };
    // SAFETY: the size is that of what the pointer is of; 0 is the calling thread.
    let failed = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    if failed != 0 {
        eprintln!("NOT PINNED: there is no CPU {number} for a thread, figures will vary more");
    }
}
