//! Counts instructions: each contestant runs under callgrind, with N requests and with 2N. The difference
//! excludes one-time costs, and only the loop is counted.

use std::process::Command;

use crate::child::current_program;
use crate::contestants::{ALL, Contestant};
use crate::hot::MEASURED;
use crate::table::{Panel, Table};

const REQUESTS: u64 = 2_000;

/// Measures all contestants. Returns `None`, with a message, if valgrind is not installed.
pub fn table() -> Option<Panel> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("SKIPPED: --callgrind needs valgrind, which is not installed");
        return None;
    }
    let each: Vec<_> = ALL
        .iter()
        .map(|&one| {
            let more = instructions(one, 2 * REQUESTS) - instructions(one, REQUESTS);
            more as f64 / REQUESTS as f64
        })
        .collect();
    let mut table = Table::new(&[
        "layer",
        "instructions per request",
        "ratio to ours",
        "beyond the bare service",
        "ratio to ours",
    ]);
    let mut panel = Panel::new("Instructions per request, ratio to tower-api-span");
    for (one, count) in ALL.iter().zip(&each) {
        table.row(vec![
            one.name(),
            format!("{count:.0}"),
            format!("{:.2}", count / each[2]),
            format!("{:.0}", count - each[0]),
            format!("{:.2}", (count - each[0]) / (each[2] - each[0])),
        ]);
        panel.bar(&one.name(), count / each[2]);
        let ratio = format!("{:.2}", count / each[2]);
        panel.cell("instructions", &one.name(), ratio);
    }
    panel.print(&table);
    Some(panel)
}

fn instructions(contestant: Contestant, requests: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(current_program())
        .args(["--child", "once", &contestant.key(), &requests.to_string()])
        .output()
        .expect("valgrind starts");
    let report = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {report}", contestant.name());
    let (_, collected) = report
        .split_once("Collected : ")
        .expect("callgrind prints its count");
    let count = collected
        .split_whitespace()
        .next()
        .expect("a number follows");
    count.parse().expect("a number follows")
}
