//! The same calls to both applications.

use crate::client::Call;
use crate::recording::{Application, Recording, record};

/// What a call left, as the guide has it.
pub type Measure = fn(&Recording) -> String;

/// A call, and what is compared of it.
pub struct Rows {
    /// The call, in the guide's words.
    pub name: &'static str,
    pub call: Call,
    pub measures: &'static [(&'static str, Measure)],
}

/// Returns the rows of the guide: the call, what is compared, what it was, what it is.
pub fn compare(before: Application, after: Application, rows: &[Rows]) -> Vec<[String; 4]> {
    let mut table = Vec::new();
    for Rows {
        name,
        call,
        measures,
    } in rows
    {
        let before = record(before, call);
        let after = record(after, call);
        for (index, (what, measure)) in measures.iter().enumerate() {
            let name = if index == 0 { name } else { "" };
            table.push([
                name.to_owned(),
                (*what).to_owned(),
                measure(&before),
                measure(&after),
            ]);
        }
    }
    table
}

/// Asserts that all that is compared is the same for both.
pub fn assert_unchanged(before: Application, after: Application, rows: &[Rows]) {
    for [name, what, was, is] in compare(before, after, rows) {
        assert_eq!(was, is, "{name}: {what}");
    }
}
