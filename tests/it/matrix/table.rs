//! The table of results: collects the rows, prints them, and fails if any row is wrong.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::client_result::ClientResult;
use super::servers::{Family, Server};

/// One case on one server.
pub struct Row {
    pub case: String,
    pub family: Family,
    pub server: String,
    pub result: ClientResult,
    pub outcome: String,
    problems: Vec<String>,
}

impl Row {
    pub fn new(case: String, server: Server, result: ClientResult, outcome: String) -> Self {
        Self {
            case,
            family: server.family,
            server: server.to_string(),
            result,
            outcome,
            problems: Vec::new(),
        }
    }

    pub fn check(&mut self, is_ok: bool, problem: impl Into<String>) {
        if !is_ok {
            self.problems.push(problem.into());
        }
    }

    pub fn expect(&mut self, is_ok: bool, expected: impl Display) {
        self.check(is_ok, format!("expected: {expected}"));
    }

    fn agrees(&self) -> bool {
        self.result.agrees_with(&self.outcome)
    }
}

/// A case in which the client's result and the span cannot agree, and the reason.
pub type KnownDisagreement = (Family, &'static str, &'static str);

#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub fn extend(&mut self, rows: impl IntoIterator<Item = Row>) {
        self.rows.extend(rows);
    }

    /// Compares client and span in every row, prints the table, and panics if any row is wrong.
    pub fn finish(mut self, title: &str, known: &[KnownDisagreement]) {
        let outdated = self.compare(known);
        let mut text = format!("\n{title}, {} runs\n\n", self.rows.len());
        text += &aligned(&self.lines());
        if !known.is_empty() {
            text += "\n* Client and span cannot agree:\n";
        }
        for (family, case, why) in known {
            writeln!(text, "  {case}, {family}: {why}.").expect("room");
        }
        // One call, because tests print concurrently.
        println!("{text}");

        let mut wrong = outdated;
        for row in &self.rows {
            let Row {
                case,
                family,
                server,
                result,
                outcome,
                ..
            } = row;
            for problem in &row.problems {
                writeln!(
                    wrong,
                    "{case}, {family}, {server}: {problem}; got {result}; {outcome}"
                )
                .expect("room");
            }
        }
        assert!(wrong.is_empty(), "wrong rows:\n{wrong}");
    }

    /// Marks the rows that disagree and are not known to. Returns a text about the known
    /// disagreements that do not occur.
    fn compare(&mut self, known: &[KnownDisagreement]) -> String {
        for row in &mut self.rows {
            let is_known = known
                .iter()
                .any(|(family, case, _)| *family == row.family && *case == row.case);
            let agrees = row.agrees();
            row.check(agrees || is_known, "client and span disagree");
        }
        let mut outdated = String::new();
        for (family, case, _) in known {
            let is_this = |row: &&Row| row.family == *family && row.case == *case;
            if self.rows.iter().filter(is_this).all(Row::agrees) {
                writeln!(
                    outdated,
                    "{case}, {family}: client and span agree in all rows"
                )
                .expect("room");
            }
        }
        outdated
    }

    /// Returns one line for all servers with the same result.
    fn lines(&self) -> Vec<[String; 5]> {
        let mut servers: BTreeMap<Family, Vec<&str>> = BTreeMap::new();
        let mut lines: BTreeMap<_, Vec<&str>> = BTreeMap::new();
        for row in &self.rows {
            let in_family = servers.entry(row.family).or_default();
            if !in_family.contains(&row.server.as_str()) {
                in_family.push(&row.server);
            }
            let mark = match row.problems.as_slice() {
                [] if row.agrees() => "",
                [] => "*",
                _ => "WRONG",
            };
            let line = (
                &row.case,
                row.family,
                row.result.to_string(),
                &row.outcome,
                mark,
            );
            lines.entry(line).or_default().push(&row.server);
        }
        let lines = lines.into_iter().map(|(line, on)| {
            let (case, family, result, outcome, mark) = line;
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
            [case.clone(), on, result, outcome.clone(), mark.to_owned()]
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
