//! Markdown tables, the data of the chart, and statistics.

use std::fmt::{Display, Formatter, Result};

pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: &[&str]) -> Self {
        let columns: Vec<_> = columns.iter().map(|&column| column.to_owned()).collect();
        let line = vec!["---".to_owned(); columns.len()];
        Self {
            rows: vec![columns, line],
        }
    }

    pub fn row(&mut self, row: Vec<String>) {
        assert_eq!(
            row.len(),
            self.rows[0].len(),
            "one cell per column: {row:?}"
        );
        self.rows.push(row);
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        Ok(())
    }
}

/// The result of a mode: its table, its bars, and its columns in the short table of the crate's guide.
pub struct Panel {
    pub title: String,
    pub bars: Vec<(String, f64)>,
    pub text: String,
    pub columns: Vec<Column>,
}

/// A column of the short table: its heading, and cells with their row names.
pub struct Column {
    pub heading: String,
    pub cells: Vec<(String, String)>,
}

impl Panel {
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            bars: Vec::new(),
            text: String::new(),
            columns: Vec::new(),
        }
    }

    pub fn bar(&mut self, name: &str, ratio: f64) {
        self.bars.push((name.replace("**", ""), ratio));
    }

    /// Prints a text and keeps it for the README.
    pub fn print(&mut self, text: &impl Display) {
        println!("{text}");
        self.text.push_str(&format!("{text}\n"));
    }

    /// Adds a cell to the short table.
    pub fn cell(&mut self, heading: &str, row: &str, cell: String) {
        let known = self
            .columns
            .iter()
            .position(|known| known.heading == heading);
        let at = known.unwrap_or_else(|| {
            self.columns.push(Column {
                heading: heading.to_owned(),
                cells: Vec::new(),
            });
            self.columns.len() - 1
        });
        self.columns[at].cells.push((row.to_owned(), cell));
    }
}

pub fn best(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn median(values: &[f64]) -> f64 {
    percentile(values, 0.5)
}

/// Returns the median of the rounds' ratios. A slow round hardly affects it.
pub fn median_ratio(values: &[f64], to: &[f64]) -> f64 {
    median(&ratios(values, to))
}

pub fn ratios(values: &[f64], to: &[f64]) -> Vec<f64> {
    values
        .iter()
        .zip(to)
        .map(|(value, to)| value / to)
        .collect()
}

pub fn percentile(values: &[f64], part: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * part).round() as usize]
}
