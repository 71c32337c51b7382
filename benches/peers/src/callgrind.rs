//! Instructions: each contestant under callgrind, with N requests and with 2N. The difference has no
//! part of what happens once; and outside of the loop nothing is counted.

use std::process::Command;

use crate::child::itself;
use crate::contestants::{ALL, Contestant};
use crate::hot::MEASURED;
use crate::table::{Panel, Table};

const REQUESTS: u64 = 2_000;

/// `None` if there is no valgrind, which it says.
pub fn table() -> Option<Panel> {
    if Command::new("valgrind").arg("--version").output().is_err() {
        eprintln!("SKIPPED: --callgrind needs valgrind, and there is none");
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
        "without the bare service's",
        "ratio to ours",
    ]);
    let mut panel = Panel::new("Instructions of a request, ratio to tower-api-span");
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
    panel.say(&table);
    Some(panel)
}

fn instructions(of: Contestant, requests: u64) -> u64 {
    let ran = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={MEASURED}"))
        .arg(itself())
        .args(["--child", "once", &of.key(), &requests.to_string()])
        .output()
        .expect("valgrind started a moment ago");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {said}", of.name());
    let (_, collected) = said
        .split_once("Collected : ")
        .expect("callgrind says what it counted");
    let count = collected
        .split_whitespace()
        .next()
        .expect("a number follows");
    count.parse().expect("a number follows")
}
