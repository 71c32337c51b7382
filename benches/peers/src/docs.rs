//! Writes the figures of a run into the documentation.

use std::fs;
use std::path::{Path, PathBuf};

use crate::svg;
use crate::table::{Panel, Table};

const START: &str = "<!-- The next lines are written by the run itself: see benches/peers. -->\n";
const END: &str = "<!-- So far (benches/peers). -->\n";

/// Writes all tables into this package's README, a short table into the crate's guide, and the chart.
///
/// # Errors
///
/// One line, if a file cannot be written or has no markers.
pub fn write(panels: &[Panel], caption: &[String]) -> Result<(), String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chart = here.join("ratios.svg");
    fs::write(&chart, svg::chart(panels, caption)).map_err(|error| io_error(&chart, &error))?;
    let one_line = caption.join(". ");
    let caption = caption.join(".  \n");
    let all: Vec<_> = panels.iter().map(|panel| panel.text.as_str()).collect();
    put(
        &here.join("README.md"),
        &format!(
            "![Ratios of this run](ratios.svg)\n\n{caption}.\n\n{}",
            all.join("\n")
        ),
    )?;
    put(
        &here.join("../../docs/guide/performance.md"),
        &format!("{}\n{one_line}.\n", short(panels)),
    )
}

/// Joins the columns of all panels. The first column determines the rows.
fn short(panels: &[Panel]) -> Table {
    let columns: Vec<_> = panels.iter().flat_map(|panel| &panel.columns).collect();
    let mut headings = vec!["layer"];
    headings.extend(columns.iter().map(|column| column.heading.as_str()));
    let mut table = Table::new(&headings);
    let rows = columns.first().map_or(&[][..], |column| &column.cells);
    for (name, _) in rows {
        let mut row = vec![name.clone()];
        row.extend(columns.iter().map(|column| {
            let cell = column.cells.iter().find(|(row, _)| row == name);
            cell.map_or("–".to_owned(), |(_, cell)| cell.clone())
        }));
        table.row(row);
    }
    table
}

/// Replaces the text between the two markers of a document.
fn put(path: &PathBuf, text: &str) -> Result<(), String> {
    let document = fs::read_to_string(path).map_err(|error| io_error(path, &error))?;
    let marked = document.split_once(START).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some((before, after))
    });
    let Some((before, after)) = marked else {
        let (start, end) = (START.trim_end(), END.trim_end());
        let path = path.display();
        return Err(format!(
            "{path}: put {start:?} and {end:?} where the figures belong"
        ));
    };
    let document = format!("{before}{START}\n{text}\n{END}{after}");
    fs::write(path, document).map_err(|error| io_error(path, &error))
}

fn io_error(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}
