//! How the source is laid out: folders import downward only, no file is in an import circle, and files and
//! functions stay short. `docs/ARCHITECTURE.md` explains the layout. Also: links of documents, and the tests and
//! examples that they name.

mod documents;
mod guides;
mod imports;
mod source;

use std::collections::{BTreeMap, BTreeSet};

use imports::{find_circle, imports_of};
use source::{Source, functions, root_entries};

/// The folders and files at the root of `src`, from the top floor to the bottom. A floor imports lower floors
/// only.
const FLOORS: [&[&str]; 12] = [
    &["layer"],
    &["middleware"],
    &["exchange"],
    &["telemetry"],
    &["provider", "handle"],
    &["recording"],
    &["settings"],
    &["outcome"],
    &["protocol"],
    &["propagation"],
    &["text"],
    &["semconv", "catch_panic"],
];

const MAX_ROOT_ENTRIES: usize = 16;
/// Without unit tests.
const MAX_FILE_LINES: usize = 320;
const MAX_FUNCTION_LINES: usize = 50;

fn floor(root: &str) -> usize {
    let has = |floor: &&[&str]| floor.contains(&root);
    let found = FLOORS.iter().position(has);
    found.unwrap_or_else(|| panic!("`src/{root}` has no floor: add it to `FLOORS`"))
}

#[test]
fn folders_import_lower_floors_only() {
    let sources = Source::read_all();
    let mut upward = Vec::new();
    for source in sources.iter().filter(|source| source.path != "lib.rs") {
        let from = source.root();
        for import in imports_of(source, &sources) {
            let to = sources[import.target].root();
            let is_upward = || to == "lib" || floor(to) <= floor(from);
            if to != from && is_upward() {
                upward.push(format!("src/{}: {}", source.path, import.text));
            }
        }
    }
    assert!(upward.is_empty(), "upward imports:\n{}", upward.join("\n"));
}

#[test]
fn every_form_of_an_import_is_found() {
    let file = |path: &str, text: &str| Source {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    for (form, text, expected) in [
        ("nothing", "pub fn layer() {}", &[][..]),
        ("a comment", "// crate::layer::Layer", &[]),
        ("another crate", "use tower::layer::Layer;", &[]),
        ("`use`", "use crate::layer::Layer;", &["layer"]),
        ("a module", "use crate::layer;", &["layer"]),
        ("another name", "use crate::layer as other;", &["layer"]),
        ("a glob", "use crate::layer::*;", &["layer"]),
        (
            "a re-export",
            "pub(crate) use crate::layer::Layer;",
            &["layer"],
        ),
        ("re-exported by the root", "use crate::Layer;", &["layer"]),
        ("the root", "use crate as root;", &["lib"]),
        ("everything", "use crate::*;", &["lib"]),
        (
            "a group",
            "use crate::{\n    layer::{self, Layer},\n    text::cut,\n};",
            &["layer", "text"],
        ),
        (
            "`super`",
            "use super::super::layer::Layer;\nuse super::mine;",
            &["layer", "protocol"],
        ),
        (
            "in a function",
            "fn f() {\n    use crate::layer::Layer;\n}",
            &["layer"],
        ),
        (
            "in an expression",
            "fn f() {\n    crate::layer::Layer::new();\n}",
            &["layer"],
        ),
        (
            "in an expression, with `super`",
            "fn f() {\n    super::super::layer::Layer::new();\n}",
            &["layer"],
        ),
        (
            "in a type",
            "type Mine = Vec<super::super::layer::Layer>;",
            &["layer"],
        ),
        (
            "in a macro",
            "macro_rules! mine {\n    () => {\n        $crate :: layer :: Layer\n    };\n}",
            &["layer"],
        ),
    ] {
        let sources = [
            file("layer/mod.rs", "pub struct Layer;"),
            file("lib.rs", "mod layer;\npub use layer::Layer;"),
            file("protocol/http.rs", text),
            file("protocol/mod.rs", "mod http;\nfn mine() {}"),
            file("text.rs", "pub fn cut() {}"),
        ];
        let imports = imports_of(&sources[2], &sources).into_iter();
        let found: BTreeSet<_> = imports
            .map(|import| sources[import.target].root())
            .collect();
        assert_eq!(found, expected.iter().copied().collect(), "{form}");
    }
}

/// What these do is not seen by the other tests.
#[test]
fn nothing_is_imported_past_the_tests() {
    for source in Source::read_all() {
        for hidden in [
            "extern crate",
            "#[path",
            "include!",
            "macro_use",
            "macro_export",
        ] {
            let is_there = source.code().contains(hidden);
            assert!(!is_there, "src/{}: `{hidden}`", source.path);
        }
        let after = source.after_tests().trim();
        assert!(
            after.is_empty(),
            "src/{}: behind the unit tests",
            source.path
        );
    }
}

#[test]
fn no_file_is_in_an_import_circle() {
    let sources = Source::read_all();
    let graph: BTreeMap<usize, Vec<usize>> = (0..sources.len())
        .map(|file| {
            let imports = imports_of(&sources[file], &sources);
            let targets = imports.into_iter().map(|import| import.target);
            (file, targets.filter(|target| *target != file).collect())
        })
        .collect();
    if let Some(circle) = find_circle(&graph) {
        let paths: Vec<_> = circle
            .into_iter()
            .map(|file| sources[file].path.as_str())
            .collect();
        panic!("import circle: {}", paths.join(" -> "));
    }
}

#[test]
fn the_root_has_few_entries() {
    let entries = root_entries();
    assert!(entries.len() <= MAX_ROOT_ENTRIES, "{entries:?}");
}

#[test]
fn every_file_says_what_it_is_for() {
    for source in Source::read_all() {
        let is_documented = source.text.starts_with("//! ") || source.is_test();
        assert!(is_documented, "src/{} has no `//!`", source.path);
    }
}

#[test]
fn folders_have_one_module_style() {
    let sources = Source::read_all();
    for source in &sources {
        let folder = source.path.trim_end_matches(".rs");
        let has_folder = sources
            .iter()
            .any(|other| other.path.starts_with(&format!("{folder}/")));
        assert!(
            !has_folder,
            "src/{} stands beside its folder: move it to {folder}/mod.rs",
            source.path
        );
    }
}

/// The words are joined here, so that this file has none of them.
#[test]
fn texts_use_the_words_of_the_field() {
    let private = [
        concat!("to", "ld"),
        concat!("te", "lls"),
        concat!("stran", "ger"),
        concat!("stran", "gers"),
        concat!("who", "ever"),
        concat!("no", "body"),
        concat!("some", "body"),
        concat!("ow", "ed"),
        concat!("he", "ars"),
    ];
    let mut found = Vec::new();
    for (path, text) in source::texts() {
        for (index, line) in text.lines().enumerate() {
            let is_private = |word: &str| private.contains(&&*word.to_lowercase());
            let mut words = line.split(|character: char| !character.is_alphanumeric());
            if words.any(is_private) {
                found.push(format!("{path}:{}: {}", index + 1, line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "use plain words:\n{}", found.join("\n"));
}

#[test]
fn files_and_functions_are_short() {
    for source in Source::read_all() {
        let lines = source.code().lines().count();
        // The crate documentation is a page of its own.
        if source.path != "lib.rs" {
            assert!(
                lines <= MAX_FILE_LINES,
                "src/{}: {lines} lines",
                source.path
            );
        }
        for (name, lines) in functions(source.code()) {
            assert!(
                lines <= MAX_FUNCTION_LINES,
                "src/{}: `{name}` has {lines} lines",
                source.path
            );
        }
    }
}

#[test]
fn links_of_documents_lead_somewhere() {
    let mut count = 0;
    let mut broken = Vec::new();
    for document in documents::read_all() {
        for link in document.links() {
            count += 1;
            if let Some(fault) = document.fault(link) {
                broken.push(format!("{}: {link}: {fault}", document.path));
            }
        }
        for name in document.undefined() {
            broken.push(format!("{}: [{name}] is not defined", document.path));
        }
        if document.path == "README.md" && !document.is_for_one_place() {
            broken.push("README.md: a package page finds no files".to_owned());
        }
    }
    assert!(count >= 20, "{count} links");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let pages = "https://docs.rs/tower-api-span/latest/tower_api_span/";
    let source = "https://docs.rs/crate/tower-api-span/latest/source/";
    let document = documents::Document {
        path: "docs/guide/page.md".to_owned(),
        text: String::new(),
    };
    for (link, expected) in [
        ("../ARCHITECTURE.md", None),
        ("../ARCHITECTURE.md#the-floors", None),
        ("../ARCHITECTURE.md#the-roof", Some("no such heading")),
        ("ARCHITECTURE.md", Some("no such file")),
        (&format!("{pages}guide/endings/index.html"), None),
        (
            &format!("{pages}guide/ending/index.html"),
            Some("no such page"),
        ),
        (&format!("{pages}struct.SpanHandle.html"), None),
        (&format!("{pages}struct.Span.html"), Some("no such page")),
        (&format!("{source}examples/axum.rs"), None),
        (&format!("{source}examples/actix.rs"), Some("no such file")),
        (
            &format!("{source}examples/soak/main.rs"),
            Some("not in the package"),
        ),
        (
            &format!("{source}tests/README.md"),
            Some("not in the package"),
        ),
    ] {
        assert_eq!(document.fault(link).as_deref(), expected, "{link}");
    }
}

/// Each row of its tables of promises names a test, and each test and file that is named exists.
#[test]
fn the_page_on_security_names_tests_that_exist() {
    let page = documents::read("docs/SECURITY.md");
    let (_, promises) = page
        .split_once("## What the layer promises")
        .expect("a section");
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| promise");
    let rows: Vec<_> = promises.lines().filter(is_row).collect();
    assert!(rows.len() >= 20, "{} rows", rows.len());
    for row in rows {
        let cells = row.trim_end_matches('|').rsplit_once(" | ");
        let (_, tests) = cells.unwrap_or_else(|| panic!("no column of tests: {row}"));
        assert!(documents::code(tests).count() > 0, "no test: {row}");
        for name in documents::code(tests) {
            let exists = if name.starts_with("#![") {
                documents::read("src/lib.rs").contains(name)
            } else {
                documents::is_test(name) || documents::exists(name)
            };
            assert!(exists, "{name} does not exist: {row}");
        }
    }
}

/// Each row of the table of public bug reports names tests, and each of them exists.
#[test]
fn the_page_on_reports_names_tests_that_exist() {
    let page = documents::read("tests/reports.md");
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| case |");
    let rows: Vec<_> = page.lines().filter(is_row).collect();
    assert!(rows.len() >= 28, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split(" | ").collect();
        let [_, _, _, seen, tests] = cells[..] else {
            panic!("five columns: {row}");
        };
        assert!(["passed", "fixed"].contains(&seen), "{seen}: {row}");
        assert!(documents::code(tests).count() > 0, "no test: {row}");
        for name in documents::code(tests) {
            assert!(documents::is_test(name), "{name} does not exist: {row}");
        }
    }
}

#[test]
fn examples_name_their_commands() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("examples") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").display().to_string();
        let main = if path.is_dir() {
            path.join("main.rs")
        } else {
            path
        };
        let text = std::fs::read_to_string(&main).expect("a file is text");
        let documented = text.lines().take_while(|line| line.starts_with("//!"));
        let command = format!("cargo run --example {name}");
        let release = format!("cargo run --release --example {name}");
        let is_named = documented
            .into_iter()
            .any(|line| line.contains(&command) || line.contains(&release));
        assert!(is_named, "{}: `{command}` is missing", main.display());
        count += 1;
    }
    assert!(count >= 9, "{count} examples");
}
