//! How the pieces of an answer become bytes.

use std::fmt::Write as _;

/// What surrounds the pieces of an answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    /// Each piece that begins with a brace or a bracket is the data of an event. Other pieces are lines of an
    /// event stream.
    Data,
    /// The same, and the event has the name that its data have as `type`.
    Named,
    /// Each piece is a line.
    Lines,
    /// The pieces are parts of one JSON value.
    Whole,
}

/// A legal way to write an event stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Dialect {
    Usual,
    /// CR and LF.
    CrLf,
    /// CR alone.
    Cr,
    /// No space after the colon.
    NoSpace,
    /// A byte order mark, and a comment before every event.
    Comments,
    /// Data in two lines.
    TwoLines,
    /// Data in two lines that end with CR and LF.
    TwoLinesCrLf,
    /// The name of the event behind its data.
    NameBehind,
    /// No name of the event.
    Unnamed,
}

impl Dialect {
    pub(super) const ALL: [Self; 9] = [
        Self::Usual,
        Self::CrLf,
        Self::Cr,
        Self::NoSpace,
        Self::Comments,
        Self::TwoLines,
        Self::TwoLinesCrLf,
        Self::NameBehind,
        Self::Unnamed,
    ];

    /// Returns the dialects in which a framing can be written.
    pub(super) const fn of(framing: Framing) -> &'static [Self] {
        match framing {
            Framing::Named => &Self::ALL,
            Framing::Data => Self::ALL.split_at(7).0,
            Framing::Lines => Self::ALL.split_at(2).0,
            Framing::Whole => Self::ALL.split_at(1).0,
        }
    }

    const fn line_end(self) -> &'static str {
        match self {
            Self::CrLf | Self::TwoLinesCrLf => "\r\n",
            Self::Cr => "\r",
            _ => "\n",
        }
    }
}

impl Framing {
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Data | Self::Named => "text/event-stream; charset=utf-8",
            Self::Lines => "application/x-ndjson",
            Self::Whole => "application/json",
        }
    }

    /// Returns a piece as the bytes of a frame.
    pub(super) fn frame(self, piece: &str, dialect: Dialect) -> String {
        let lines = match self {
            Self::Whole => return piece.to_owned(),
            Self::Lines => vec![piece.to_owned()],
            Self::Data | Self::Named => self.event(piece, dialect),
        };
        let mut text = String::new();
        for line in lines {
            let line = match dialect {
                Dialect::NoSpace => line.replacen(": ", ":", usize::from(is_field(&line))),
                _ => line,
            };
            let _ = write!(text, "{line}{}", dialect.line_end());
        }
        text
    }

    fn event(self, piece: &str, dialect: Dialect) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        if dialect == Dialect::Comments {
            lines.push(": PROCESSING {\"error\":\"none\"}".to_owned());
        }
        if !piece.starts_with(['{', '[']) {
            lines.extend(piece.split('\n').map(str::to_owned));
            lines.push(String::new());
            return lines;
        }
        let is_split = matches!(dialect, Dialect::TwoLines | Dialect::TwoLinesCrLf);
        match piece.strip_prefix('{').filter(|_| is_split) {
            // A line end between two tokens is white space.
            Some(rest) => lines.extend(["data: {".to_owned(), format!("data: {rest}")]),
            None => lines.push(format!("data: {piece}")),
        }
        if let Some(name) = type_of(piece).filter(|_| self == Self::Named) {
            match dialect {
                Dialect::Unnamed => {}
                Dialect::NameBehind => lines.push(format!("event: {name}")),
                _ => lines.insert(
                    lines.len() - 1 - usize::from(is_split),
                    format!("event: {name}"),
                ),
            }
        }
        lines.push(String::new());
        lines
    }
}

fn is_field(line: &str) -> bool {
    line.starts_with("data: ") || line.starts_with("event: ") || line.starts_with("error: ")
}

/// Returns the `type` that a piece begins with.
fn type_of(piece: &str) -> Option<&str> {
    let rest = piece.strip_prefix(r#"{"type":""#)?;
    rest.split('"').next()
}
