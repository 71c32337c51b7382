//! Which file imports which.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;

/// An import of one file in another.
pub(crate) struct Import {
    /// The index of the imported file.
    pub(crate) target: usize,
    pub(crate) text: String,
}

/// Returns what a file imports of the crate: in `use` declarations, and in paths that begin with `crate` or
/// `super`.
pub(crate) fn imports_of(source: &Source, sources: &[Source]) -> Vec<Import> {
    let code = without_comments(source.code());
    let mut paths = BTreeSet::new();
    for declaration in use_declarations(&code) {
        expand(declaration, &mut Vec::new(), &mut paths);
    }
    for path in inline_paths(&code) {
        paths.insert(path);
    }
    paths
        .into_iter()
        .filter_map(|path| {
            let target = resolve(&path, source, sources)?;
            Some(Import {
                target,
                text: path.join("::"),
            })
        })
        .collect()
}

fn without_comments(code: &str) -> String {
    let lines = code
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns what stands between `use` and `;`.
fn use_declarations(code: &str) -> impl Iterator<Item = &str> {
    let mut rest = code;
    std::iter::from_fn(move || {
        loop {
            let at = rest.find("use ")?;
            let is_start = rest[..at].ends_with(['\n', ' ', ')']) || at == 0;
            let declaration = &rest[at + 4..];
            rest = declaration;
            if is_start && let Some((declaration, _)) = declaration.split_once(';') {
                return Some(declaration);
            }
        }
    })
}

/// Expands `a::{b, c::d}` to its paths.
fn expand(tree: &str, prefix: &mut Vec<String>, paths: &mut BTreeSet<Vec<String>>) {
    let tree = tree.trim();
    let tree = tree.split(" as ").next().unwrap_or(tree).trim();
    if let Some((head, group)) = tree.split_once('{')
        && !head.contains(',')
    {
        let group = group.rsplit_once('}').map_or(group, |(group, _)| group);
        let length = prefix.len();
        prefix.extend(segments(head));
        for part in split_top_level(group) {
            expand(part, prefix, paths);
        }
        prefix.truncate(length);
    } else if !tree.is_empty() {
        let mut path = prefix.clone();
        path.extend(segments(tree).filter(|segment| segment != "self"));
        paths.insert(path);
    }
}

fn segments(path: &str) -> impl Iterator<Item = String> {
    let segments = path.split("::").map(str::trim);
    segments
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
}

fn split_top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&group[start..]);
    parts
}

/// Returns the paths that stand in expressions, types and macros.
fn inline_paths(code: &str) -> Vec<Vec<String>> {
    let starts = ["crate", "super"].into_iter().flat_map(|start| {
        let places = code.match_indices(start);
        places.filter(|(at, _)| {
            let before = code[..*at].trim_end();
            !code[..*at].ends_with(is_word) && !before.ends_with("::")
        })
    });
    let paths = starts.map(|(at, _)| path_at(&code[at..]));
    paths.filter(|path| path.len() > 1).collect()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Returns the path at the start of `code`. White space may stand around `::`, as in macros.
fn path_at(code: &str) -> Vec<String> {
    let mut path = Vec::new();
    let mut rest = code;
    loop {
        let end = rest.find(|character| !is_word(character));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        if word.is_empty() {
            return path;
        }
        path.push(word.to_owned());
        let Some(next) = after.trim_start().strip_prefix("::") else {
            return path;
        };
        rest = next.trim_start();
    }
}

/// Returns the file in which a path's item is defined, through re-exports. `None` for a path of another crate.
fn resolve(path: &[String], source: &Source, sources: &[Source]) -> Option<usize> {
    let mut module: Vec<&str> = source.module();
    let rest = match path.first()?.as_str() {
        "crate" => {
            module.clear();
            &path[1..]
        }
        "super" => {
            let up = path
                .iter()
                .take_while(|segment| *segment == "super")
                .count();
            module.truncate(module.len().saturating_sub(up));
            &path[up..]
        }
        // A child of this file.
        first => {
            module.push(first);
            file_of(&module, sources)?;
            &path[1..]
        }
    };
    let mut rest = rest.iter();
    let mut item = None;
    for segment in rest.by_ref() {
        module.push(segment);
        if file_of(&module, sources).is_none() {
            module.pop();
            item = Some(segment);
            break;
        }
    }
    let file = file_of(&module, sources)?;
    let Some(item) = item else {
        return Some(file);
    };
    Some(re_exported(item, file, sources).unwrap_or(file))
}

/// Returns the child file from which a file re-exports an item.
fn re_exported(item: &str, file: usize, sources: &[Source]) -> Option<usize> {
    let code = without_comments(sources[file].code());
    for line in use_declarations(&code) {
        let mut paths = BTreeSet::new();
        expand(line, &mut Vec::new(), &mut paths);
        for path in paths {
            let is_item = path.last().is_some_and(|last| last == item);
            let first = path.first()?;
            if is_item && !["crate", "super", "std"].contains(&first.as_str()) {
                let mut module = sources[file].module();
                module.push(first);
                if let Some(child) = file_of(&module, sources) {
                    return Some(child);
                }
            }
        }
    }
    None
}

fn file_of(module: &[&str], sources: &[Source]) -> Option<usize> {
    sources.iter().position(|source| source.module() == module)
}

/// Returns files that import each other in a circle.
pub(crate) fn find_circle(graph: &BTreeMap<usize, Vec<usize>>) -> Option<Vec<usize>> {
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|start| visit(*start, graph, &mut Vec::new(), &mut done))
}

fn visit(
    file: usize,
    graph: &BTreeMap<usize, Vec<usize>>,
    path: &mut Vec<usize>,
    done: &mut BTreeSet<usize>,
) -> Option<Vec<usize>> {
    if let Some(at) = path.iter().position(|on_path| *on_path == file) {
        let mut circle = path[at..].to_vec();
        circle.push(file);
        return Some(circle);
    }
    if done.contains(&file) {
        return None;
    }
    path.push(file);
    for target in &graph[&file] {
        if let Some(circle) = visit(*target, graph, path, done) {
            return Some(circle);
        }
    }
    path.pop();
    done.insert(file);
    None
}
