//! The scale of a drawing, and its bars.

use std::time::Duration;

use crate::style::Tone;

/// The maximal number of ticks on the ruler after 0.
const TICKS: u128 = 6;

/// A bar from one moment to another. Moments are measured from when the client sent the request.
pub(crate) struct Bar {
    pub(crate) label: &'static str,
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// In order of time.
    pub(crate) marks: Vec<Mark>,
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

/// An event on a bar.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(crate) letter: char,
    pub(crate) name: String,
    pub(crate) at: Duration,
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

    /// Returns the column of a moment, from 0 to `columns - 1`.
    pub(crate) fn column(self, at: Duration, columns: usize) -> usize {
        let column = at.as_nanos() * columns as u128 / self.longest.as_nanos();
        usize::try_from(column).map_or(columns - 1, |column| column.min(columns - 1))
    }

    /// Returns the ticks: round numbers of milliseconds.
    pub(crate) fn ticks(self) -> impl Iterator<Item = Duration> {
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

/// Moves ascending columns apart, to at least this distance. They stay within `from..=to` if there is room.
pub(crate) fn spread(columns: &[usize], gap: usize, from: usize, to: usize) -> Vec<usize> {
    let mut least = from;
    let mut spread: Vec<_> = columns
        .iter()
        .map(|column| {
            let column = least.max(*column);
            least = column + gap;
            column
        })
        .collect();
    let needed = from + gap * columns.len().saturating_sub(1);
    let mut most = to.max(needed);
    for column in spread.iter_mut().rev() {
        *column = most.min(*column);
        most = most.saturating_sub(gap);
    }
    spread
}

/// Formats milliseconds with one decimal.
pub(crate) fn millis(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn column_is_proportional_to_the_moment() {
        let scale = Scale::up_to(ms(20));
        for (at, expected) in [(0, 0), (10, 50), (19, 95), (20, 99), (10_000, 99)] {
            assert_eq!(scale.column(ms(at), 100), expected, "{at}");
        }
    }

    #[test]
    fn ticks_are_round_numbers() {
        let ticks = |longest| -> Vec<_> {
            let ticks = Scale::up_to(ms(longest)).ticks();
            ticks.map(|tick| tick.as_millis()).collect()
        };
        assert_eq!(ticks(26), [0, 5, 10, 15, 20, 25]);
        assert_eq!(ticks(520), [0, 100, 200, 300, 400, 500]);
        assert_eq!(ticks(0), [0, 1]);
    }

    #[test]
    fn crowded_columns_are_spread_within_the_bar() {
        for (name, columns, gap, from, to, expected) in [
            ("room", &[0, 5, 9][..], 2, 0, 10, &[0, 5, 9][..]),
            ("the same column", &[3, 3], 2, 0, 10, &[3, 5]),
            ("at the end", &[10, 10, 10], 2, 0, 10, &[6, 8, 10]),
            ("before the start", &[0, 4], 2, 1, 10, &[1, 4]),
            ("no room", &[4, 4, 4], 2, 4, 5, &[4, 6, 8]),
            ("nothing", &[], 2, 4, 5, &[]),
        ] {
            assert_eq!(spread(columns, gap, from, to), expected, "{name}");
        }
    }
}
