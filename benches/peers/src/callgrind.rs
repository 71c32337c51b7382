//! Counts instructions: each contestant runs under callgrind, with N requests and with 2N. The difference
//! excludes one-time costs, and only the loop is counted.

use std::process::Command;

use crate::child::current_program;
use crate::contestants::{ALL, Contestant};
use crate::hot::{MEASURED, Sent};
use crate::table::{Panel, Table};

const REQUESTS: u64 = 2_000;

/// Measures all contestants. Returns `None`, with a message, if valgrind is not installed.
pub fn table(sent: Sent) -> Option<Panel> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("SKIPPED: --callgrind needs valgrind, which is not installed");
        return None;
    }
    let each: Vec<_> = ALL
        .iter()
        .map(|&one| {
            let count = |requests| instructions(one, requests, sent);
            let more = count(2 * REQUESTS) - count(REQUESTS);
            more as f64 / REQUESTS as f64
        })
        .collect();
    let layer = format!("layer, {} request", sent.key());
    let mut table = Table::new(&[
        &layer,
        "instructions per request",
        "ratio to ours",
        "beyond the bare service",
        "ratio to ours",
    ]);
    let title = format!(
        "Instructions per {} request, ratio to tower-api-span",
        sent.key()
    );
    let mut panel = Panel::new(&title);
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
        let heading = format!("{} request: instructions", sent.key());
        panel.cell(&heading, &one.name(), ratio);
    }
    panel.print(&table);
    Some(panel)
}

fn instructions(contestant: Contestant, requests: u64, sent: Sent) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(current_program())
        .args(["--child", "once", &contestant.key(), &requests.to_string()])
        .arg(sent.key())
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
