//! Reads the files of `src`.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src`.
pub struct Source {
    /// Below `src`, with slashes.
    pub path: String,
    pub text: String,
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the names at the root of `src`.
pub fn root_entries() -> Vec<String> {
    let entries = fs::read_dir(src()).expect("src is readable");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries
        .map(|entry| name(entry.expect("an entry")))
        .collect()
}

impl Source {
    /// Reads all files, sorted by path.
    pub fn read_all() -> Vec<Self> {
        let mut sources = Vec::new();
        read_folder(&src(), &mut sources);
        sources.sort_by(|one, other| one.path.cmp(&other.path));
        assert!(sources.len() > 40, "src has files");
        sources
    }

    /// Returns the name at the root of `src`: `layer` for `layer/mod.rs`, `text` for `text.rs`.
    pub fn root(&self) -> &str {
        let first = self.path.split('/').next().expect("a first part");
        first.trim_end_matches(".rs")
    }

    /// Whether the file has unit tests alone.
    pub fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// Returns the text before the unit tests.
    pub fn code(&self) -> &str {
        if self.is_test() {
            return "";
        }
        let tests = [
            "\n#[cfg(test)]\nmod tests",
            "\n#[cfg(test)]\npub(crate) mod tests",
        ];
        let end = tests.iter().filter_map(|tests| self.text.find(tests)).min();
        &self.text[..end.unwrap_or(self.text.len())]
    }

    /// Returns the module's path below the crate: `["layer"]` for `layer/mod.rs`.
    pub fn module(&self) -> Vec<&str> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        path.split('/').filter(|part| *part != "lib").collect()
    }
}

fn read_folder(folder: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("a folder is readable") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            read_folder(&path, sources);
        } else {
            let below = path.strip_prefix(src()).expect("it is below src");
            sources.push(Source {
                path: below.to_string_lossy().replace('\\', "/"),
                text: fs::read_to_string(&path).expect("a file is text"),
            });
        }
    }
}

/// Returns name and number of lines of each function. The source is formatted, so a function ends at the next
/// brace of its own indentation.
pub fn functions(code: &str) -> Vec<(String, usize)> {
    let lines: Vec<_> = code.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let Some(name) = function_name(trimmed) else {
            continue;
        };
        let closing = format!("{}}}", &line[..line.len() - trimmed.len()]);
        let length = lines[start..].iter().position(|line| **line == closing);
        if let Some(length) = length.filter(|_| !line.ends_with(['}', ';'])) {
            found.push((name, length + 1));
        }
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let (before, after) = line.split_once("fn ")?;
    let words = ["pub", "pub(crate)", "pub(super)", "const", "async", ""];
    if !before.split(' ').all(|word| words.contains(&word)) {
        return None;
    }
    let end = after.find(['(', '<'])?;
    Some(after[..end].to_owned())
}
