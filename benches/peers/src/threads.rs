//! Requests in a loop on one thread, and on two at once. What requests share, such as a lock or a counter of references,
//! makes the second thread slow the first one down.

use std::sync::Barrier;
use std::thread;

use crate::child::{Child, answer_lines};
use crate::contestants::{ALL, Contestant};
use crate::hot::{Loop, Requests, Sender, Sent};
use crate::machine::pin_to_cpu;
use crate::spans::CountedByThread;
use crate::table::{Panel, Table, median, median_ratio, percentile, ratios};

const ROUNDS: usize = 21;
const REQUESTS: u64 = 10_000;

/// Measures all contestants with mimalloc: glibc's allocator has locks of its own, which hide the layers'.
pub fn table(sent: Sent) -> Option<Panel> {
    if thread::available_parallelism().map_or(1, usize::from) < 2 {
        eprintln!("SKIPPED: --threads needs two CPUs");
        return None;
    }
    let mut children = ALL.map(|one| {
        let arguments = ["threads", &one.key(), sent.key()];
        (one, Child::start(&arguments, true), Vec::new(), Vec::new())
    });
    for round in 0..=ROUNDS {
        for (_, child, alone, together) in &mut children {
            let took = child.numbers(&format!("time {REQUESTS}"));
            // The first round is the warm-up.
            if round > 0 {
                alone.push(took[0] / REQUESTS as f64);
                together.push(took[1] / REQUESTS as f64);
            }
        }
    }
    let layer = format!("layer, {} request", sent.key());
    let mut table = Table::new(&[
        &layer,
        "one thread, µs",
        "two threads, µs",
        "two to one",
        "quartiles of the rounds",
    ]);
    let title = format!(
        "Time per {} request on two threads, ratio to one thread",
        sent.key()
    );
    let mut panel = Panel::new(&title);
    for (one, mut child, alone, together) in children {
        let (sent_requests, ended) = child.sent_and_ended();
        let expected = if one == Contestant::Bare {
            0
        } else {
            sent_requests
        };
        assert_eq!(ended, expected, "{}: a span for each request", one.name());
        let each = ratios(&together, &alone);
        table.row(vec![
            one.name(),
            format!("{:.2}", median(&alone) / 1e3),
            format!("{:.2}", median(&together) / 1e3),
            format!("{:.2}", median_ratio(&together, &alone)),
            format!(
                "{:.2}–{:.2}",
                percentile(&each, 0.25),
                percentile(&each, 0.75)
            ),
        ]);
        panel.bar(&one.name(), median(&each));
        let heading = format!("{} request: two threads to one", sent.key());
        panel.cell(&heading, &one.name(), format!("{:.2}", median(&each)));
    }
    panel.print(&table);
    Some(panel)
}

/// Runs a child.
pub fn child(contestant: Contestant, sent: Sent) {
    let spans = CountedByThread::default();
    let provider = spans.provider();
    let sender = contestant.run(&provider, Loop(Requests::new(sent)));
    let mut requests_sent = 0;
    answer_lines(|line| {
        let (what, count) = line.split_once(' ').unwrap_or((line, "0"));
        let count: u64 = count.parse().expect("the parent sends a count");
        match what {
            "time" => {
                requests_sent += 3 * count;
                let alone = time(&sender, 1, sent, count);
                let together = time(&sender, 2, sent, count);
                format!("{alone} {together}")
            }
            "end" => {
                provider.shutdown().expect("the processor does not fail");
                format!("{requests_sent} {}", spans.ended())
            }
            _ => unreachable!("unknown command"),
        }
    });
}

/// Returns the mean of the threads' nanoseconds for their requests. The threads begin at the same time.
fn time(sender: &Sender, threads: usize, sent: Sent, count: u64) -> f64 {
    let start = Barrier::new(threads);
    let sum: u128 = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|cpu| {
                let mut send = sender.for_thread();
                let start = &start;
                scope.spawn(move || {
                    pin_to_cpu(cpu);
                    let requests = Requests::new(sent);
                    start.wait();
                    requests.time(count, &mut send).as_nanos()
                })
            })
            .collect();
        let joined = running.into_iter().map(|one| one.join());
        joined.map(|took| took.expect("no thread panics")).sum()
    });
    sum as f64 / threads as f64
}
