//! Terminal colours.

use std::env;
use std::io::{self, IsTerminal};

/// The kind of a text, which selects its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Heading,
    Aside,
    Client,
    Child,
    Good,
    Doubtful,
    Bad,
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    is_coloured: bool,
}

impl Style {
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { is_coloured: false };
    #[cfg(test)]
    pub(crate) const COLOURED: Self = Self { is_coloured: true };

    /// Returns the style for stdout: coloured on a terminal, unless `NO_COLOR` is set and not empty
    /// (no-color.org).
    pub(crate) fn for_stdout() -> Self {
        let is_unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            is_coloured: io::stdout().is_terminal() && !is_unwanted,
        }
    }

    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.is_coloured || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Heading => "1",
            Tone::Aside => "2",
            Tone::Client => "34",
            Tone::Child => "36",
            Tone::Good => "32",
            Tone::Doubtful => "33",
            Tone::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
