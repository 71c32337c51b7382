//! A process for each contestant, which answers lines with lines: what one sets for the whole
//! process, no other sees.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use crate::allocator;

pub struct Child {
    process: process::Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// This program, as a child.
pub fn itself() -> std::path::PathBuf {
    std::env::current_exe().expect("the program knows where it is")
}

impl Child {
    pub fn start(arguments: &[&str], mimalloc: bool) -> Self {
        let mut command = Command::new(itself());
        command.arg("--child").args(arguments);
        command.env_remove(allocator::VARIABLE);
        if mimalloc {
            command.env(allocator::VARIABLE, "1");
        }
        let (to, from) = (Stdio::piped(), Stdio::piped());
        let started = command.stdin(to).stdout(from).spawn();
        let mut process = started.expect("this program starts again");
        let to = process.stdin.take().expect("it is piped");
        let from = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, to, from }
    }

    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").expect("the child listens");
        let mut answer = String::new();
        self.from
            .read_line(&mut answer)
            .expect("the child answers with text");
        assert!(answer.ends_with('\n'), "the child has died at {line:?}");
        answer.trim_end().to_owned()
    }

    pub fn numbers(&mut self, line: &str) -> Vec<f64> {
        let answer = self.ask(line);
        let number = |word: &str| word.parse().expect("the child answers with numbers");
        answer.split(' ').map(number).collect()
    }

    /// Ends the child: how many requests it has had, and how many spans have ended.
    pub fn sent_and_ended(&mut self) -> (u64, u64) {
        let counts = self.numbers("end");
        (counts[0] as u64, counts[1] as u64)
    }
}

impl Drop for Child {
    /// Only after a panic of the parent is there still something to stop.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The child's side: answers until the parent is gone.
pub fn answer_lines(mut answer: impl FnMut(&str) -> String) {
    for line in stdin().lines() {
        let line = line.expect("the parent writes text");
        println!("{}", answer(&line));
        stdout().flush().expect("the parent reads");
    }
}
