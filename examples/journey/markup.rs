//! What SVG and HTML have in common: escapes, lines, and the colours of both themes.

use std::fmt::Write;

/// The classes, with their colours in the light and the dark theme.
const COLOURS: [(&str, &str, &str); 9] = [
    ("ground", "#ffffff", "#0d1117"),
    ("text", "#1f2328", "#e6edf3"),
    ("aside", "#59636e", "#9198a1"),
    ("client", "#0969da", "#58a6ff"),
    ("engine", "#1b7c83", "#39c5cf"),
    ("good", "#1a7f37", "#3fb950"),
    ("doubtful", "#8a5a00", "#d29922"),
    ("bad", "#cf222e", "#ff7b72"),
    ("grid", "#d1d9e0", "#3d444d"),
];

/// Returns the style of the colours. Without scripts, a picture in an `<img>` follows the theme, too.
pub(crate) fn colours() -> String {
    let light = rules(|(_, light, _)| light);
    let dark = rules(|(.., dark)| dark);
    format!("{light}@media (prefers-color-scheme:dark){{\n{dark}}}\n")
}

type Colour = (&'static str, &'static str, &'static str);

fn rules(colour: fn(Colour) -> &'static str) -> String {
    let mut rules = String::new();
    for class in COLOURS {
        let (name, colour) = (class.0, colour(class));
        // Writing to a string cannot fail.
        let _ = match name {
            "ground" => writeln!(rules, ".ground{{fill:{colour};background:{colour}}}"),
            "grid" => writeln!(rules, ".grid{{stroke:{colour}}}"),
            "text" => writeln!(
                rules,
                ".text{{fill:{colour};color:{colour}}}.tick{{stroke:{colour};stroke-width:1.5}}"
            ),
            _ => writeln!(rules, ".{name}{{fill:{colour};color:{colour}}}"),
        };
    }
    rules
}

/// Escapes text for the content and the attributes of XML and HTML. Replaces characters that XML cannot have.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(character),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ if character.is_control() => escaped.push('\u{fffd}'),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// Breaks a text into lines of at most `width` characters. Longer words are broken, too.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let characters: Vec<_> = word.chars().collect();
        for (part, piece) in characters.chunks(width).enumerate() {
            let length = line.chars().count();
            if length > 0 && (part > 0 || length + 1 + piece.len() > width) {
                lines.push(std::mem::take(&mut line));
            } else if length > 0 {
                line.push(' ');
            }
            line.extend(piece);
        }
    }
    lines.push(line);
    lines
}

/// Checks that every tag is closed in order and that the text has no stray characters.
#[cfg(test)]
pub(crate) fn assert_well_formed(document: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = document;
    while let Some((text, tag)) = rest.split_once('<') {
        assert!(!text.contains('>'), "a stray `>` in {text:?}");
        for entity in text.split('&').skip(1) {
            let (entity, _) = entity.split_once(';').expect("an entity ends with `;`");
            assert!(
                ["amp", "lt", "gt", "quot", "#39"].contains(&entity),
                "{entity}"
            );
        }
        let (tag, after) = tag.split_once('>').expect("a tag ends");
        assert_eq!(tag.matches('"').count() % 2, 0, "quotes in <{tag}>");
        assert!(!tag.contains('<'), "a stray `<` in <{tag}>");
        let name = tag
            .trim_start_matches('/')
            .split([' ', '/'])
            .next()
            .expect("a name");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "</{name}>");
        } else if !tag.ends_with('/') && !tag.starts_with('!') && name != "meta" {
            open.push(name);
        }
        rest = after;
    }
    assert!(open.is_empty(), "not closed: {open:?}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        for (text, expected) in [
            ("plain", "plain"),
            ("<script>", "&lt;script&gt;"),
            ("a & b", "a &amp; b"),
            ("\"it's\"", "&quot;it&#39;s&quot;"),
            ("&amp;", "&amp;amp;"),
            ("\x1b[31m\0", "\u{fffd}[31m\u{fffd}"),
            (
                "\u{fffd}\u{fffe}\u{ffff}\u{10000}",
                "\u{fffd}\u{fffd}\u{fffd}\u{10000}",
            ),
        ] {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }

    #[test]
    fn lines_are_not_wider_than_the_picture() {
        for (text, expected) in [
            ("", &[""][..]),
            ("one two", &["one two"]),
            ("one two three", &["one two", "three"]),
            ("12345678", &["12345678"]),
            ("a 1234567890", &["a", "12345678", "90"]),
            ("1234567890 ab", &["12345678", "90 ab"]),
        ] {
            assert_eq!(wrapped(text, 8), expected, "{text:?}");
        }
    }

    #[test]
    fn every_colour_is_in_both_themes() {
        let colours = colours();
        let (light, dark) = colours.split_once("@media").expect("two themes");
        for (class, light_colour, dark_colour) in COLOURS {
            assert!(light.contains(&format!(".{class}{{")), "{class}");
            assert!(light.contains(light_colour), "{class}");
            assert!(dark.contains(&format!(".{class}{{")), "{class}");
            assert!(dark.contains(dark_colour), "{class}");
        }
    }
}
