//! Reads the files of `src`.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src`.
pub(crate) struct Source {
    /// Below `src`, with slashes.
    pub(crate) path: String,
    pub(crate) text: String,
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Returns the names at the root of `src`.
pub(crate) fn root_entries() -> Vec<String> {
    let entries = fs::read_dir(src()).expect("src is readable");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    entries
        .map(|entry| name(entry.expect("an entry")))
        .collect()
}

impl Source {
    /// Reads all files, sorted by path.
    pub(crate) fn read_all() -> Vec<Self> {
        let mut sources = Vec::new();
        read_folder(&src(), &mut sources);
        sources.sort_by(|one, other| one.path.cmp(&other.path));
        assert!(sources.len() > 40, "src has files");
        sources
    }

    /// Returns the name at the root of `src`: `layer` for `layer/mod.rs`, `text` for `text.rs`.
    pub(crate) fn root(&self) -> &str {
        let first = self.path.split('/').next().expect("a first part");
        first.trim_end_matches(".rs")
    }

    /// Whether the file has unit tests alone.
    pub(crate) fn is_test(&self) -> bool {
        self.path.ends_with("tests.rs") || self.path.contains("/tests/")
    }

    /// Returns the text before the unit tests.
    pub(crate) fn code(&self) -> &str {
        if self.is_test() {
            return "";
        }
        &self.text[..self.tests_at().unwrap_or(self.text.len())]
    }

    /// Returns the text behind the unit tests. The source is formatted, so they end at the next brace that is
    /// not indented.
    pub(crate) fn after_tests(&self) -> &str {
        let tests = &self.text[self.tests_at().unwrap_or(self.text.len())..];
        let end = match tests.split_once("mod tests;") {
            Some((_, after)) => return after,
            None => tests.find("\n}").map(|at| at + 2),
        };
        &tests[end.unwrap_or(tests.len())..]
    }

    fn tests_at(&self) -> Option<usize> {
        let tests = [
            "\n#[cfg(test)]\nmod tests",
            "\n#[cfg(test)]\npub(crate) mod tests",
        ];
        tests.iter().filter_map(|tests| self.text.find(tests)).min()
    }

    /// Returns the module's path below the crate: `["layer"]` for `layer/mod.rs`.
    pub(crate) fn module(&self) -> Vec<&str> {
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
pub(crate) fn functions(code: &str) -> Vec<(String, usize)> {
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

/// Returns path and text of every file that people read: source, tests, examples, benches and documents.
pub(crate) fn texts() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = Vec::new();
    for name in [
        "src",
        "tests",
        "examples",
        "benches",
        "docs",
        "README.md",
        "CHANGELOG.md",
    ] {
        read_texts(&root.join(name), &mut texts);
    }
    assert!(texts.len() > 200, "{} texts", texts.len());
    texts
}

fn read_texts(path: &Path, texts: &mut Vec<(String, String)>) {
    const KINDS: [&str; 5] = ["rs", "md", "py", "sh", "toml"];
    if path.is_dir() {
        // Build output and data are not written by people.
        let skipped = ["target", "seeds", "regressions", "corpus", "fuzz_targets"];
        let name = path.file_name().map(|name| name.to_string_lossy());
        if name.is_some_and(|name| skipped.contains(&&*name)) {
            return;
        }
        for entry in fs::read_dir(path).expect("a folder is readable") {
            read_texts(&entry.expect("an entry").path(), texts);
        }
        return;
    }
    // Scripts have no ending.
    let kind = path.extension().map(|kind| kind.to_string_lossy());
    if kind.is_none_or(|kind| KINDS.contains(&&*kind))
        && let Ok(text) = fs::read_to_string(path)
    {
        texts.push((path.display().to_string(), text));
    }
}
