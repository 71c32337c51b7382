//! Draws bars to scale.

use std::time::Duration;

use crate::style::{Style, Tone};

/// The width of the drawing, and of the labels before it.
const COLUMNS: usize = 52;
const LABELS: usize = 8;
/// The maximal number of ticks on the ruler after 0.
const TICKS: u128 = 6;

/// A bar from one moment to another, with marks.
pub(crate) struct Bar<'a> {
    pub(crate) label: &'a str,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) marks: Vec<Duration>,
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

/// The time per column, the same for all bars of a drawing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    longest: Duration,
}

impl Scale {
    /// Returns a scale that fits durations up to `longest`.
    pub(crate) fn up_to(longest: Duration) -> Self {
        // Avoids a division by zero in `column`.
        let longest = longest.max(Duration::from_millis(1));
        Self { longest }
    }

    fn column(self, at: Duration) -> usize {
        let column = at.as_nanos() * COLUMNS as u128 / self.longest.as_nanos();
        usize::try_from(column).map_or(COLUMNS - 1, |column| column.min(COLUMNS - 1))
    }

    /// Returns the ticks: round numbers of milliseconds.
    fn ticks(self) -> impl Iterator<Item = Duration> {
        let longest = self.longest.as_millis();
        let decades = std::iter::successors(Some(1), |step| Some(step * 10));
        let step = decades
            .flat_map(|decade| [decade, 2 * decade, 5 * decade])
            .find(|step| longest / u128::from(*step) <= TICKS)
            .unwrap_or(u64::MAX);
        let numbers = std::iter::successors(Some(0), move |tick: &u64| tick.checked_add(step));
        numbers
            .map(Duration::from_millis)
            .take_while(move |tick| *tick <= self.longest)
    }
}

/// Draws the ticks in milliseconds above the columns.
pub(crate) fn ruler(scale: Scale, style: Style) -> String {
    let mut numbers = String::new();
    for tick in scale.ticks() {
        let (column, number) = (scale.column(tick), tick.as_millis().to_string());
        if column + number.len() <= COLUMNS {
            numbers = format!("{numbers:column$}{number}");
        }
    }
    line("ms", &style.paint(Tone::Aside, &numbers), "")
}

/// Draws a bar with its label before it and its note after it.
pub(crate) fn bar(bar: &Bar<'_>, scale: Scale, style: Style) -> String {
    let (from, to) = (scale.column(bar.from), scale.column(bar.to));
    let marks: Vec<_> = bar.marks.iter().map(|mark| scale.column(*mark)).collect();
    let drawn: String = (from..=to.max(from))
        .map(|column| match column {
            _ if from >= to => '│',
            _ if column == from => '├',
            _ if column == to => '┤',
            _ if marks.contains(&column) => '●',
            _ => '─',
        })
        .collect();
    let after = " ".repeat(COLUMNS - 1 - to.max(from));
    let drawn = format!("{:from$}{}{after}", "", style.paint(bar.tone, &drawn));
    line(bar.label, &drawn, &bar.note)
}

/// Draws a text in place of a bar.
pub(crate) fn text(label: &str, text: &str, style: Style) -> String {
    line(label, &style.paint(Tone::Aside, text), "")
}

fn line(label: &str, drawn: &str, note: &str) -> String {
    let line = format!("  {label:LABELS$} {drawn} {note}");
    format!("{}\n", line.trim_end())
}

/// Formats milliseconds with one decimal.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_MS_PER_COLUMN: Scale = Scale {
        longest: Duration::from_millis(2 * COLUMNS as u64),
    };

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn drawn(from: u64, to: u64, marks: &[u64]) -> String {
        let bar = Bar {
            label: "span",
            from: ms(from),
            to: ms(to),
            marks: marks.iter().copied().map(ms).collect(),
            note: String::new(),
            tone: Tone::Good,
        };
        let line = super::bar(&bar, TWO_MS_PER_COLUMN, Style::PLAIN);
        let drawn = line.strip_prefix("  span     ").expect("the label");
        drawn.trim_end().to_owned()
    }

    #[test]
    fn bar_length_is_proportional_to_the_duration() {
        for (from, to, marks, expected) in [
            (0, 10, &[][..], "├────┤"),
            (4, 10, &[], "  ├──┤"),
            (0, 10, &[4, 6], "├─●●─┤"),
            // Marks at the ends of a bar are not drawn.
            (0, 10, &[0, 10], "├────┤"),
            (6, 8, &[], "   ├┤"),
            (6, 7, &[], "   │"),
            (8, 6, &[], "    │"),
        ] {
            assert_eq!(drawn(from, to, marks), expected, "{from} {to} {marks:?}");
        }
    }

    #[test]
    fn bar_beyond_the_scale_ends_at_its_edge() {
        let expected = format!("├{}┤", "─".repeat(COLUMNS - 2));
        assert_eq!(drawn(0, 10_000, &[]), expected);
    }

    #[test]
    fn notes_are_aligned_with_and_without_colour() {
        let noted = |to, style| {
            let bar = Bar {
                label: "span",
                from: ms(0),
                to: ms(to),
                marks: Vec::new(),
                note: "note".to_owned(),
                tone: Tone::Bad,
            };
            super::bar(&bar, TWO_MS_PER_COLUMN, style)
        };
        assert_eq!(noted(0, Style::PLAIN).chars().count(), 69);
        assert_eq!(noted(90, Style::PLAIN).chars().count(), 69);
        let coloured = noted(90, Style::COLOURED);
        assert_ne!(coloured, noted(90, Style::PLAIN));
        let bare = coloured.replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert_eq!(bare, noted(90, Style::PLAIN));
    }

    #[test]
    fn ruler_has_round_numbers_at_their_columns() {
        let numbers = |longest| ruler(Scale::up_to(ms(longest)), Style::PLAIN);
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
}
