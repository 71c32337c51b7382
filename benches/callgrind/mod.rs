//! This program run again under callgrind, which counts its instructions.

use std::process::Command;

/// Whether there is a valgrind.
pub(crate) fn is_there() -> bool {
    Command::new("valgrind").arg("--version").output().is_ok()
}

/// The instructions of one operation: of `2 n` of them less those of `n`, so without the start of the
/// process. The child gets the arguments `--run`, then `run`, then how often.
pub(crate) fn of_one(run: &[&str], n: u64) -> u64 {
    let (once, twice) = (counted(run, n), counted(run, 2 * n));
    (twice - once) / n
}

/// The instructions of a process with so many operations.
fn counted(run: &[&str], times: u64) -> u64 {
    let this = std::env::current_exe().expect("this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(this)
        .arg("--run")
        .args(run)
        .arg(times.to_string())
        .output()
        .expect("valgrind runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{run:?} fails under valgrind:\n{said}"
    );
    let collected = said
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .expect("callgrind says what it has collected");
    collected.1.trim().parse().expect("a number")
}
