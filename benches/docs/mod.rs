//! Writes what a run has measured into the guide.

use std::process::Command;

/// Writes a table between the markers of a bench, with the caption of the run below it.
///
/// # Errors
///
/// One line, if the guide cannot be written or the markers are missing.
pub(crate) fn write(bench: &str, table: &str) -> Result<(), String> {
    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/guide/performance.md");
    let start = format!("<!-- The next lines are written by the run itself: see {bench}. -->\n");
    let end = format!("<!-- So far ({bench}). -->\n");
    let guide = std::fs::read_to_string(PATH).map_err(|error| format!("{PATH}: {error}"))?;
    let marked = guide.split_once(&start).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        let caption = caption();
        Some(format!(
            "{before}{start}\n{table}\n{caption}\n\n{end}{after}"
        ))
    });
    let marked = marked.ok_or(format!(
        "{PATH}: put {start:?} and {end:?} around the table"
    ))?;
    std::fs::write(PATH, marked).map_err(|error| format!("{PATH}: {error}"))
}

/// Returns the date, the commit, the platform and the tool versions of the run.
pub(crate) fn caption() -> String {
    let stdout_of = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let output = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        output.unwrap_or_default()
    };
    let commit = stdout_of("git", &["describe", "--always", "--exclude=*"]);
    // Not the documents, which an earlier run may have written.
    let changes = stdout_of("git", &["status", "--porcelain", "--", ":!*.md", ":!*.svg"]);
    let with = if changes.is_empty() {
        ""
    } else {
        " with changes"
    };
    format!(
        "{}, commit {commit}{with}, {} {}, {}, {}.",
        stdout_of("date", &["-u", "+%Y-%m-%d"]),
        std::env::consts::ARCH,
        std::env::consts::OS,
        stdout_of("rustc", &["--version"]),
        stdout_of("valgrind", &["--version"]),
    )
}
