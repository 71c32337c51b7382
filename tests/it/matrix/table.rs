//! The rows: collected from real results, printed, and judged at the end.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::got::Got;
use super::servers::{Family, Server};

/// One case on one server.
pub struct Row {
    pub case: String,
    pub family: Family,
    pub server: String,
    pub got: Got,
    pub outcome: String,
    /// What is wrong with it.
    wrong: Vec<String>,
}

impl Row {
    pub fn new(case: String, server: Server, got: Got, outcome: String) -> Self {
        Self {
            case,
            family: server.family,
            server: server.to_string(),
            got,
            outcome,
            wrong: Vec::new(),
        }
    }

    pub fn check(&mut self, is_right: bool, otherwise: impl Into<String>) {
        if !is_right {
            self.wrong.push(otherwise.into());
        }
    }

    pub fn expect(&mut self, is_right: bool, expected: impl Display) {
        self.check(is_right, format!("expected: {expected}"));
    }

    fn agrees(&self) -> bool {
        self.got.agrees_with(&self.outcome)
    }
}

/// A case in which client and span can't tell the same story, and why.
pub type Exception = (Family, &'static str, &'static str);

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// Compares both ends in every row, prints all, and then fails if any row is wrong.
    pub fn finish(mut self, title: &str, exceptions: &[Exception]) {
        let unneeded = self.compare(exceptions);
        let mut text = format!("\n{title}, {} runs\n\n", self.rows.len());
        text += &aligned(&self.lines());
        if !exceptions.is_empty() {
            text += "\n* Client and span can't tell the same story:\n";
        }
        for (family, case, why) in exceptions {
            writeln!(text, "  {case}, {family}: {why}.").expect("room");
        }
        // In one piece, as tests print side by side.
        println!("{text}");

        let mut wrong = unneeded;
        for row in &self.rows {
            let Row {
                case,
                family,
                server,
                got,
                outcome,
                ..
            } = row;
            for what in &row.wrong {
                writeln!(
                    wrong,
                    "{case}, {family}, {server}: {what}; got {got}; {outcome}"
                )
                .expect("room");
            }
        }
        assert!(wrong.is_empty(), "wrong rows:\n{wrong}");
    }

    /// Marks the rows that disagree without being an exception, and tells the exceptions that are
    /// none.
    fn compare(&mut self, exceptions: &[Exception]) -> String {
        for row in &mut self.rows {
            let is_excused = exceptions
                .iter()
                .any(|(family, case, _)| *family == row.family && *case == row.case);
            let agrees = row.agrees();
            row.check(agrees || is_excused, "client and span disagree");
        }
        let mut unneeded = String::new();
        for (family, case, _) in exceptions {
            let is_this = |row: &&Row| row.family == *family && row.case == *case;
            if self.rows.iter().filter(is_this).all(Row::agrees) {
                writeln!(unneeded, "{case}, {family}: is no exception").expect("room");
            }
        }
        unneeded
    }

    /// One line for all servers that had the same result.
    fn lines(&self) -> Vec<[String; 5]> {
        let mut servers: BTreeMap<Family, Vec<&str>> = BTreeMap::new();
        let mut lines: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            let known = servers.entry(row.family).or_default();
            if !known.contains(&row.server.as_str()) {
                known.push(&row.server);
            }
            let mark = match row.wrong.as_slice() {
                [] if row.agrees() => "",
                [] => "*",
                _ => "WRONG",
            };
            let line = (
                &row.case,
                row.family,
                row.got.to_string(),
                &row.outcome,
                mark,
            );
            lines.entry(line).or_default().push(&row.server);
        }
        let lines = lines.into_iter().map(|(line, on)| {
            let (case, family, got, outcome, mark) = line;
            let all = &servers[&family];
            let on = if on == *all && on.len() > 1 {
                format!("{family} all {}", on.len())
            } else if on.len() > all.len() / 2 + 1 {
                let others: Vec<_> = all.iter().filter(|server| !on.contains(server)).collect();
                let others: Vec<_> = others.into_iter().copied().collect();
                format!("{family} all but {}", others.join(", "))
            } else {
                format!("{family} {}", on.join(", "))
            };
            [case.clone(), on, got, outcome.clone(), mark.to_owned()]
        });
        lines.collect()
    }
}

fn aligned<const N: usize>(lines: &[[String; N]]) -> String {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max();
    let widths: Vec<_> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        let mut cells = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            write!(cells, "{cell:width$}  ").expect("room");
        }
        text += cells.trim_end();
        text.push('\n');
    }
    text
}
