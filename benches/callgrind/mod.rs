//! Runs this program under callgrind and reads the instruction count.

use std::process::Command;

/// Whether valgrind is installed.
pub(crate) fn is_available() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// Returns the instructions per operation: those of `2 n` operations minus those of `n`, divided by `n`. The
/// difference excludes the start of the process. The child's arguments are `--run`, `run` and the count.
pub(crate) fn per_operation(run: &[&str], n: u64) -> u64 {
    let (once, twice) = (count(run, n), count(run, 2 * n));
    (twice - once) / n
}

/// Counts the instructions of a process with `times` operations.
fn count(run: &[&str], times: u64) -> u64 {
    let report = report(&["--callgrind-out-file=/dev/null"], run, times);
    let collected = report
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .expect("callgrind prints its count");
    collected.1.trim().parse().expect("a number")
}

/// Runs `times` operations under callgrind, with these options of it. Returns what it reports.
pub(crate) fn report(options: &[&str], run: &[&str], times: u64) -> String {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .args(options)
        .arg(this)
        .arg("--run")
        .args(run)
        .arg(times.to_string())
        .output()
        .expect("valgrind runs");
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "{run:?} fails under valgrind:\n{report}"
    );
    report
}
