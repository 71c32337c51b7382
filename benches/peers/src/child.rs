//! A child process per contestant, so that contestants do not share globals. Parent and child exchange lines.

use std::io::{BufRead, BufReader, Write, stdin, stdout};
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use crate::allocator;

pub struct Child {
    process: process::Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

/// Returns the path of this program.
pub fn current_program() -> std::path::PathBuf {
    std::env::current_exe().expect("the program has a path")
}

impl Child {
    pub fn start(arguments: &[&str], mimalloc: bool) -> Self {
        let mut command = Command::new(current_program());
        command.arg("--child").args(arguments);
        command.env_remove(allocator::VARIABLE);
        if mimalloc {
            command.env(allocator::VARIABLE, "1");
        }
        let (to, from) = (Stdio::piped(), Stdio::piped());
        let started = command.stdin(to).stdout(from).spawn();
        let mut process = started.expect("this program starts");
        let to = process.stdin.take().expect("it is piped");
        let from = BufReader::new(process.stdout.take().expect("it is piped"));
        Self { process, to, from }
    }

    pub fn ask(&mut self, line: &str) -> String {
        writeln!(self.to, "{line}").expect("the child reads");
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

    /// Stops the child. Returns the number of requests it made and of spans it ended.
    pub fn sent_and_ended(&mut self) -> (u64, u64) {
        let counts = self.numbers("end");
        (counts[0] as u64, counts[1] as u64)
    }
}

impl Drop for Child {
    /// Kills the child if it still runs, which happens only after a panic of the parent.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers the parent's lines, until stdin is closed. Runs in the child.
pub fn answer_lines(mut answer: impl FnMut(&str) -> String) {
    for line in stdin().lines() {
        let line = line.expect("the parent writes text");
        println!("{}", answer(&line));
        stdout().flush().expect("the parent reads");
    }
}
