//! What the guides name exists, and what exists is named.

use std::fs;
use std::path::Path;

const SEMCONV: &str = include_str!("../../src/semconv.rs");

/// Returns name and text of every guide.
fn guides() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide");
    let files = fs::read_dir(folder).expect("the folder");
    let guides: Vec<_> = files
        .map(|file| {
            let path = file.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fs::read_to_string(&path).expect("text"))
        })
        .collect();
    assert!(guides.len() > 15, "{} guides", guides.len());
    guides
}

fn guide(name: &str) -> String {
    let found = guides().into_iter().find(|(guide, _)| guide == name);
    found.expect(name).1
}

/// Returns the values of the constants in `src/semconv.rs`: keys of attributes, and names of events.
fn names() -> impl Iterator<Item = &'static str> {
    let constants = SEMCONV.split("pub(crate) const ").skip(1);
    let texts = constants.filter_map(|constant| constant.split_once(": &str ="));
    let values = texts.map(|(_, value)| value.split(';').next().expect("a value"));
    let values = values.map(|value| value.trim().trim_matches('"'));
    // Event `exception` is the handler's. The others are no names, or values of the scope.
    values.filter(|value| value.contains('.') && !value.contains('/'))
}

#[test]
fn every_attribute_and_event_is_in_a_guide() {
    let text = guide("attributes.md") + &guide("llm.md");
    let is_listed = |name: &&str| {
        text.contains(&format!("`{name}`")) || text.contains(&format!("`{name}.<name>`"))
    };
    let missing: Vec<_> = names().filter(|name| !is_listed(name)).collect();
    assert!(missing.is_empty(), "in no guide: {missing:?}");
    assert!(names().count() > 50);
}

#[test]
fn every_method_that_a_guide_names_exists() {
    let texts = super::source::texts();
    let sources: Vec<_> = texts
        .iter()
        .filter(|(path, _)| path.contains("/src/"))
        .collect();
    let mut named = 0;
    for (name, text) in guides() {
        for kind in ["ApiSpanLayer::", "SpanHandle::", "AccessLog::"] {
            for after in text.split(kind).skip(1) {
                let is_word = |character: char| character.is_alphanumeric() || character == '_';
                let end = after
                    .find(|character| !is_word(character))
                    .unwrap_or(after.len());
                let method = format!("pub fn {}", &after[..end]);
                let exists = sources.iter().any(|(_, text)| {
                    text.contains(&format!("{method}(")) || text.contains(&format!("{method}<"))
                });
                assert!(exists, "{name}: {kind}{}", &after[..end]);
                named += 1;
            }
        }
    }
    assert!(named > 40, "{named} names");
}

/// Returns the anchor of a heading, as GitHub and rustdoc make it.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|one| one.is_alphanumeric() || " -_".contains(*one));
    kept.map(|one| if one == ' ' { '-' } else { one }).collect()
}

#[test]
fn links_between_guides_lead_to_headings() {
    let all = guides();
    let mut links = 0;
    for (name, text) in &all {
        let inline = text
            .split("](")
            .skip(1)
            .map(|after| after.split(')').next());
        let listed = text.lines().filter(|line| line.starts_with('['));
        let listed = listed.map(|line| line.split("]: ").nth(1));
        for link in inline.chain(listed).flatten() {
            // `documents` checks files that are no guides.
            let is_elsewhere = link.starts_with("http") || link.starts_with("../");
            if is_elsewhere || link.contains("::") || link.contains(' ') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { name } else { file };
            let target = all.iter().find(|(other, _)| other == file);
            let (_, target) = target.unwrap_or_else(|| panic!("{name}: {link}"));
            let mut headings = target.lines().filter(|line| line.starts_with('#'));
            let is_there = heading.is_empty() || headings.any(|line| anchor(line) == heading);
            assert!(is_there, "{name}: {link}");
            links += 1;
        }
    }
    assert!(links > 10, "{links} links");
}

/// A page's first definition of a link counts in rustdoc, and its last lines are for the repository.
#[test]
fn links_to_guides_are_modules_in_rustdoc() {
    let modules = include_str!("../../src/guide/mod.rs");
    for (name, text) in guides() {
        let page = format!("include_str!(\"../../docs/guide/{name}\")");
        let before = modules.split(&page).next().expect("the page");
        assert_ne!(before, modules, "{name} is in no module");
        let own = before.rsplit("pub mod ").next().expect("its attributes");
        for line in text.lines().filter(|line| line.starts_with('[')) {
            let Some((link, target)) = line.split_once("]: ") else {
                continue;
            };
            let Some(module) = target
                .split('#')
                .next()
                .and_then(|file| file.strip_suffix(".md"))
            else {
                continue;
            };
            let defined = format!("{link}]: crate::guide::{module}");
            assert!(own.contains(&defined), "{name}: {defined}");
        }
    }
}
