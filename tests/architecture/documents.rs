//! Reads the documents: their links, and the tests and files that they name.

use std::fs;
use std::path::{Path, PathBuf};

/// The crate's pages on docs.rs, and the source that docs.rs shows of its package.
const PAGES: &str = "https://docs.rs/tower-api-span/latest/tower_api_span/";
const PACKAGED: &str = "https://docs.rs/crate/tower-api-span/latest/source/";

/// A document with its path below the root.
pub(crate) struct Document {
    pub(crate) path: String,
    pub(crate) text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Reads the documents of the root, of `docs` and of `tests`.
pub(crate) fn read_all() -> Vec<Document> {
    let mut documents = Vec::new();
    for folder in [
        "",
        "docs",
        "docs/guide",
        "tests",
        "tests/fuzz",
        "tests/mutants",
    ] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "md") {
                let path = path.strip_prefix(root()).expect("it is below the root");
                let path = path.to_string_lossy().replace('\\', "/");
                let text = read(&path);
                documents.push(Document { path, text });
            }
        }
    }
    assert!(documents.len() >= 16, "{} documents", documents.len());
    documents
}

impl Document {
    /// Returns the lines, without blocks of code.
    fn lines(&self) -> impl Iterator<Item = &str> {
        let mut in_code = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.starts_with("```");
            in_code ^= is_fence;
            !in_code && !is_fence
        })
    }

    /// Returns the names and the targets that are defined in lines of their own: `[name]: target`.
    fn definitions(&self) -> impl Iterator<Item = (&str, &str)> {
        let lines = self.lines().filter_map(|line| line.strip_prefix('['));
        lines.filter_map(|line| line.split_once("]: "))
    }

    /// Returns the targets of the links.
    pub(crate) fn links(&self) -> Vec<&str> {
        let parts = self.lines().flat_map(|line| line.split("](").skip(1));
        let inline = parts.filter_map(|part| Some(part.split_once(')')?.0));
        let defined = self.definitions().map(|(_, target)| target);
        inline.chain(defined).collect()
    }

    /// Returns the names that links use, `[text][name]`, and no line defines.
    pub(crate) fn undefined(&self) -> Vec<&str> {
        let parts = self.lines().flat_map(|line| line.split("][").skip(1));
        let mut names: Vec<_> = parts
            .filter_map(|part| Some(part.split_once(']')?.0))
            .collect();
        names.retain(|name| self.definitions().all(|(defined, _)| defined != *name));
        names
    }

    /// Whether a page of the crate's package has all links, or else the repository: none is relative to a file if
    /// another one leads to a page.
    pub(crate) fn is_for_one_place(&self) -> bool {
        let links = self.links();
        let is_page = |link: &&str| link.starts_with(PAGES) || link.starts_with(PACKAGED);
        let is_relative = |link: &&str| !link.starts_with("https://") && !link.starts_with('#');
        !links.iter().any(is_page) || !links.iter().any(is_relative)
    }

    /// Returns why a link leads nowhere.
    pub(crate) fn fault(&self, link: &str) -> Option<String> {
        if let Some(page) = link.strip_prefix(PAGES) {
            return page_fault(page);
        }
        if let Some(path) = link.strip_prefix(PACKAGED) {
            return packaged_fault(path);
        }
        if link.starts_with("https://") {
            return None;
        }
        let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
        let folder = Path::new(&self.path).parent().expect("a folder");
        let path = if path.is_empty() {
            PathBuf::from(&self.path)
        } else {
            folder.join(path)
        };
        let Ok(file) = fs::read(root().join(&path)) else {
            return Some("no such file".to_owned());
        };
        let text = String::from_utf8_lossy(&file);
        let has_anchor = anchor.is_empty() || headings(&text).any(|heading| heading == anchor);
        (!has_anchor).then(|| "no such heading".to_owned())
    }
}

/// Returns the anchors of the headings, as forges make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        title
            .chars()
            .filter(is_kept)
            .collect::<String>()
            .replace(' ', "-")
    })
}

/// A page is the crate's, a guide's, or that of an item that `src/lib.rs` exports.
fn page_fault(page: &str) -> Option<String> {
    let page = page.split('#').next().unwrap_or_default();
    let exists = if page.is_empty() || page == "index.html" {
        true
    } else if let Some(guide) = page.strip_prefix("guide/") {
        let guide = guide.trim_end_matches("index.html").trim_end_matches('/');
        read("src/guide/mod.rs").contains(&format!("pub mod {guide} "))
    } else {
        // Such as `struct.SpanHandle.html`.
        let item = page.strip_suffix(".html");
        let name = item.and_then(|item| item.split('.').next_back());
        let root = read("src/lib.rs");
        let mut exports = root.lines().filter(|line| line.starts_with("pub use "));
        let is_name_end = |c: char| !c.is_alphanumeric() && c != '_';
        exports.any(|line| line.split(is_name_end).any(|word| Some(word) == name))
    };
    (!exists).then(|| "no such page".to_owned())
}

/// The file exists, and `include` of the manifest has it or a folder above it.
fn packaged_fault(path: &str) -> Option<String> {
    let manifest = read("Cargo.toml");
    let is_included = Path::new(path).ancestors().any(|part| {
        let part = part.display().to_string();
        !part.is_empty() && manifest.contains(&format!("\"/{part}\""))
    });
    let is_excluded = Path::new(path)
        .ancestors()
        .any(|part| manifest.contains(&format!("\"!/{}\"", part.display())));
    if !root().join(path).exists() {
        Some("no such file".to_owned())
    } else if !is_included || is_excluded {
        Some("not in the package".to_owned())
    } else {
        None
    }
}

/// Returns the texts between backticks of a line.
pub(crate) fn code(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// Whether `tests/it` has a test with this path, such as `settings::attributes::no_header_is_captured`.
pub(crate) fn is_test(name: &str) -> bool {
    let Some((module, function)) = name.rsplit_once("::") else {
        return false;
    };
    let module = module.replace("::", "/");
    let files = [
        format!("tests/it/{module}.rs"),
        format!("tests/it/{module}/mod.rs"),
    ];
    files.iter().any(|file| {
        let text = fs::read_to_string(root().join(file)).unwrap_or_default();
        text.contains(&format!("fn {function}("))
    })
}

/// Whether the file or folder exists.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}
