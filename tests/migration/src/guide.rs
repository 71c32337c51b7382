//! A page of the guide, and the source of its two applications.

const MANIFEST: &str = include_str!("../Cargo.toml");

/// A page `docs/guide/coming_from_*.md`.
pub struct Guide {
    pub page: &'static str,
    /// The source of the application with the other layer.
    pub before: &'static str,
    /// The source of the application with `ApiSpanLayer`.
    pub after: &'static str,
}

impl Guide {
    /// Asserts that the page's code is the code of the applications.
    ///
    /// Its `diff` leads from the lines that one source marks with `guide {` and `guide }` to those of the other.
    pub fn assert_code(&self) {
        let (_, code) = self.diff();
        let side = |sign| side(code, sign);
        assert_eq!(
            side('-'),
            marked(self.before),
            "the code with the other layer"
        );
        assert_eq!(
            side('+'),
            marked(self.after),
            "the code with `ApiSpanLayer`"
        );
    }

    /// Asserts that the page's dependencies are those of this package, with the same versions and features.
    pub fn assert_dependencies(&self) {
        let (lines, _) = self.diff();
        let lines: Vec<_> = lines.lines().collect();
        assert!(
            lines.len() >= 2,
            "one is removed, and one is added: {lines:?}"
        );
        for line in lines {
            let (name, wanted) = line[1..].split_once(" = ").expect("a dependency");
            let has = |line: &&str| line.split_once(" = ").is_some_and(|(key, _)| key == name);
            let (_, present) = MANIFEST
                .lines()
                .find(has)
                .expect(name)
                .split_once(" = ")
                .expect(name);
            let present: Vec<_> = quoted(present).collect();
            for value in quoted(wanted) {
                // The crate itself is a path.
                let is_present =
                    |present: &&str| present.trim_start_matches('=').starts_with(value);
                let is_there =
                    present.iter().any(is_present) || (name == "tower-api-span" && value == "0.1");
                assert!(is_there, "{name}: {value:?} is not in {present:?}");
            }
        }
    }

    /// Asserts that the table below "What changes" has these rows.
    pub fn assert_changes(&self, rows: &[[String; 4]]) {
        let measured: Vec<_> = rows
            .iter()
            .map(|row| format!("| {} |", row.join(" | ")))
            .collect();
        let (_, section) = self
            .page
            .split_once("\n## What changes\n")
            .expect("the section");
        let (section, _) = section.split_once("\n## ").expect("the next section");
        let table = section.lines().filter(|line| line.starts_with('|'));
        let written: Vec<_> = table.skip(2).collect();
        let whole = measured.join("\n");
        for (written, measured) in written.iter().zip(&measured) {
            assert_eq!(written, measured, "the whole table:\n{whole}\n");
        }
        assert_eq!(written.len(), rows.len(), "the whole table:\n{whole}\n");
    }

    /// Returns the parts of the page's block `diff`: the dependencies and, below an empty line, the code.
    fn diff(&self) -> (&'static str, &'static str) {
        let block = self
            .page
            .split("\n```diff\n")
            .nth(1)
            .expect("a block `diff`");
        let block = block.split("\n```\n").next().expect("its end");
        block.split_once("\n\n").expect("two parts")
    }
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').skip(1).step_by(2)
}

/// Returns the lines of one side of a `diff`.
fn side(diff: &str, sign: char) -> Vec<&str> {
    let lines = diff
        .lines()
        .filter(|line| line.is_empty() || line.starts_with([' ', sign]));
    lines
        .map(|line| line.get(1..).unwrap_or_default())
        .collect()
}

/// Returns the marked lines of a source, as far to the left as their marks. Between two pieces is an empty line.
fn marked(source: &str) -> Vec<&str> {
    let mut marked = Vec::new();
    let mut indent = None;
    for line in source.lines() {
        match (line.trim_start(), indent) {
            ("// guide {", _) => {
                if !marked.is_empty() {
                    marked.push("");
                }
                indent = Some(line.len() - "// guide {".len());
            }
            ("// guide }", _) => indent = None,
            (_, Some(indent)) => marked.push(line.get(indent..).unwrap_or_default()),
            (_, None) => {}
        }
    }
    marked
}
