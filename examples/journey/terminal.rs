//! Draws requests as text.

use std::fmt::Write;
use std::iter;

use crate::drawing::{Drawing, Request};
use crate::legend::{BARS, INTRODUCTION, MARKS, TITLE, meaning};
use crate::style::{Style, Tone};
use crate::timeline::{Bar, Scale, spread};

/// The width of the bars, and of the labels before them.
const COLUMNS: usize = 52;
const LABELS: usize = 8;
/// The width of the scenarios' names.
const TITLES: usize = 36;

/// Returns the explanation of the drawings.
pub(crate) fn legend() -> String {
    let mut legend = format!("{TITLE}. {INTRODUCTION}\n");
    // Writing to a string cannot fail.
    for (label, text) in BARS {
        let _ = writeln!(legend, "  {label:LABELS$} {text}");
    }
    legend.push_str("Letters on the bars:\n");
    for (letter, event, text) in MARKS {
        let _ = writeln!(legend, "  {letter:LABELS$} {}", meaning(event, text));
    }
    legend.push_str(
        "A bar runs from ├ to ┤; it is │ if shorter than one column. Letters that are too close are moved apart.\n",
    );
    legend
}

/// Draws the requests one below the other, on one scale.
pub(crate) fn draw(drawing: &Drawing, style: Style) -> String {
    let mut drawn = ruler(drawing.scale, style);
    for each in &drawing.requests {
        drawn.push_str(&request(each, drawing.scale, style));
        drawn.push('\n');
    }
    drawn
}

fn request(request: &Request, scale: Scale, style: Style) -> String {
    let title = style.paint(Tone::Heading, request.name);
    let gap = TITLES.saturating_sub(request.name.chars().count());
    let mut drawn = format!("{title}{:gap$}  {}\n", "", request.target);
    if request.bars.iter().all(|bar| bar.tone != Tone::Client) {
        drawn.push_str(&line("client", &style.paint(Tone::Bad, &request.seen), ""));
    }
    for each in &request.bars {
        drawn.push_str(&bar(each, scale, style));
    }
    let times = style.paint(Tone::Aside, &request.times().join(", "));
    drawn.push_str(&line("times", &times, ""));
    let outcome = style.paint(request.tone, &request.outcome);
    drawn.push_str(&line("outcome", &outcome, ""));
    drawn
}

/// Draws the ticks in milliseconds above the columns.
fn ruler(scale: Scale, style: Style) -> String {
    let mut numbers = String::new();
    for tick in scale.ticks() {
        let column = scale.column(tick, COLUMNS);
        let number = tick.as_millis().to_string();
        if column + number.len() <= COLUMNS {
            numbers = format!("{numbers:column$}{number}");
        }
    }
    line("ms", &style.paint(Tone::Aside, &numbers), "")
}

/// Draws a bar with its label before it and its note after it.
fn bar(bar: &Bar, scale: Scale, style: Style) -> String {
    let from = scale.column(bar.from, COLUMNS);
    let to = scale.column(bar.to, COLUMNS).max(from);
    let marks = bar.marks.iter();
    let marks: Vec<_> = marks.map(|mark| scale.column(mark.at, COLUMNS)).collect();
    let marks = spread(&marks, 1, from, to);
    // Short bars are as wide as their letters.
    let last = marks.last().map_or(to, |last| to.max(*last));
    let mut drawn: Vec<_> = iter::repeat_n('─', last + 1 - from).collect();
    drawn[last - from] = '┤';
    drawn[0] = if from == last { '│' } else { '├' };
    for (column, mark) in marks.iter().zip(&bar.marks) {
        drawn[column - from] = mark.letter;
    }
    let drawn: String = drawn.into_iter().collect();
    let after = " ".repeat((COLUMNS - 1).saturating_sub(last));
    let drawn = format!("{:from$}{}{after}", "", style.paint(bar.tone, &drawn));
    line(bar.label, &drawn, &bar.note)
}

fn line(label: &str, drawn: &str, note: &str) -> String {
    let line = format!("  {label:LABELS$} {drawn} {note}");
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::drawing::samples;

    fn two_ms_per_column() -> Scale {
        Scale::up_to(Duration::from_millis(2 * COLUMNS as u64))
    }

    fn drawn(from: u64, to: u64, marks: &[(char, u64)]) -> String {
        let bar = samples::bar("span", from, to, marks);
        let line = super::bar(&bar, two_ms_per_column(), Style::PLAIN);
        let drawn = line.strip_prefix("  span     ").expect("the label");
        let drawn = drawn.trim_end().strip_suffix("span's note");
        drawn.expect("the note").trim_end().to_owned()
    }

    #[test]
    fn bar_length_is_proportional_to_the_duration() {
        for (from, to, marks, expected) in [
            (0, 10, &[][..], "├────┤"),
            (4, 10, &[], "  ├──┤"),
            (0, 10, &[('F', 4), ('T', 6)], "├─FT─┤"),
            (0, 10, &[('A', 0), ('D', 10)], "A────D"),
            (0, 10, &[('A', 0), ('H', 0), ('F', 10), ('D', 10)], "AH──FD"),
            (6, 8, &[], "   ├┤"),
            (6, 7, &[], "   │"),
            (6, 7, &[('A', 6), ('X', 7)], "   AX"),
            (8, 6, &[], "    │"),
        ] {
            assert_eq!(drawn(from, to, marks), expected, "{from} {to} {marks:?}");
        }
    }

    #[test]
    fn bar_beyond_the_scale_ends_at_its_edge() {
        let expected = format!("├{}┤", "─".repeat(COLUMNS - 2));
        assert_eq!(drawn(0, 10_000, &[]), expected);
        let expected = format!("{}AX", " ".repeat(COLUMNS - 1));
        assert_eq!(
            drawn(9_000, 10_000, &[('A', 9_000), ('X', 9_000)]),
            expected
        );
    }

    #[test]
    fn notes_are_aligned_with_and_without_colour() {
        let noted = |to, style| {
            let bar = samples::bar("span", 0, to, &[]);
            super::bar(&bar, two_ms_per_column(), style)
        };
        let width = noted(0, Style::PLAIN).chars().count();
        assert_eq!(noted(90, Style::PLAIN).chars().count(), width);
        let coloured = noted(90, Style::COLOURED);
        assert_ne!(coloured, noted(90, Style::PLAIN));
        let bare = coloured.replace("\x1b[32m", "").replace("\x1b[0m", "");
        assert_eq!(bare, noted(90, Style::PLAIN));
    }

    #[test]
    fn ruler_has_round_numbers_at_their_columns() {
        let numbers = |longest| ruler(Scale::up_to(Duration::from_millis(longest)), Style::PLAIN);
        for (longest, expected) in [
            (
                26,
                "  ms       0         5         10        15        20        25\n",
            ),
            (
                520,
                "  ms       0         100       200       300       400\n",
            ),
        ] {
            assert_eq!(numbers(longest), expected);
        }
        assert_eq!(numbers(0), numbers(1));
    }

    #[test]
    fn client_that_failed_is_shown_with_its_error() {
        let mut request = samples::request();
        request.bars.remove(0);
        request.seen = "connection refused".to_owned();
        let drawing = Drawing::of_requests(vec![request]);
        let drawn = draw(&drawing, Style::PLAIN);
        assert!(drawn.contains("  client   connection refused\n"), "{drawn}");
    }
}
