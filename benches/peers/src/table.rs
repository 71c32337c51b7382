//! Tables, as Markdown, and what a chart is made of.

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
            "a cell for each column: {row:?}"
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

/// What a mode has found: its table, bars under one title, and columns of the table that is short enough
/// for the crate's README.
pub struct Panel {
    pub title: String,
    pub bars: Vec<(String, f64)>,
    pub text: String,
    pub columns: Vec<Column>,
}

/// A heading, and a cell for each of some rows.
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

    /// Says something, to whoever is waiting and for later.
    pub fn say(&mut self, text: &impl Display) {
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

pub fn best(of: &[f64]) -> f64 {
    of.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn median(of: &[f64]) -> f64 {
    percentile(of, 0.5)
}

/// Of what took turns: the median of each round's ratio, which a slow round does not touch.
pub fn median_ratio(of: &[f64], to: &[f64]) -> f64 {
    median(&ratios(of, to))
}

pub fn ratios(of: &[f64], to: &[f64]) -> Vec<f64> {
    of.iter().zip(to).map(|(of, to)| of / to).collect()
}

pub fn percentile(of: &[f64], part: f64) -> f64 {
    let mut of = of.to_vec();
    of.sort_by(f64::total_cmp);
    of[((of.len() - 1) as f64 * part).round() as usize]
}
