//! Compares the cost of a request with this crate's layer and with other layers. See the README.

mod allocator;
mod callgrind;
mod child;
mod client;
mod contestants;
mod docs;
mod floor;
mod hot;
mod machine;
#[path = "../../real_request/mod.rs"]
mod real_request;
mod servers;
mod spans;
mod svg;
mod table;
mod threads;

use std::{env, fs};

use contestants::Contestant;
use hot::Sent;

#[global_allocator]
static ALLOCATOR: allocator::Switch = allocator::Switch;

const USAGE: &str = "\
usage: peers [--loop] [--batch] [--threads] [--callgrind] [--servers] [--all] [--svg PATH] [--docs]
  without any of the first five: --loop --batch
  --docs: all, and write the figures into the READMEs";

fn main() {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--child", "loop", key, spans, sent] => {
            let sent = Sent::from_key(sent);
            hot::child(Contestant::from_key(key), spans == "batch", sent);
        }
        ["--child", "once", key, count, sent] => {
            let count = count.parse().expect("the parent sends a count");
            hot::once(Contestant::from_key(key), count, Sent::from_key(sent));
        }
        ["--child", "threads", key, sent] => {
            threads::child(Contestant::from_key(key), Sent::from_key(sent));
        }
        ["--child", "serve", key] => servers::child(Contestant::from_key(key)),
        _ => compare(&words),
    }
}

/// The real request leads.
const SENT: [Sent; 2] = [Sent::Real, Sent::Small];

fn compare(words: &[&str]) {
    let modes = ["--loop", "--batch", "--threads", "--callgrind", "--servers"];
    let (mut asked, mut path, mut is_for_docs) = (Vec::new(), None, false);
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--svg" => path = words.next(),
            "--all" => asked.extend(modes),
            "--docs" => {
                asked.extend(modes);
                is_for_docs = true;
            }
            _ if modes.contains(&word) => asked.push(word),
            _ => {
                eprintln!("{USAGE}");
                std::process::exit(2);
            }
        }
    }
    if asked.is_empty() {
        asked.extend(["--loop", "--batch"]);
    }
    let caption = machine::caption();
    println!("{}.\n", caption.join(".  \n"));
    let mut panels = Vec::new();
    for mode in modes {
        if !asked.contains(&mode) {
            continue;
        }
        match mode {
            "--loop" => panels.extend(SENT.map(hot::table)),
            "--batch" => panels.extend(SENT.map(hot::batch_table)),
            "--threads" => panels.extend(SENT.into_iter().filter_map(threads::table)),
            "--callgrind" => panels.extend(SENT.into_iter().filter_map(callgrind::table)),
            _ => panels.extend(servers::tables()),
        }
    }
    if let Some(path) = path {
        fs::write(path, svg::chart(&panels, &caption)).expect("the chart's path is writable");
    }
    if is_for_docs && let Err(error) = docs::write(&panels, &caption) {
        eprintln!("peers: {error}");
        std::process::exit(1);
    }
}
