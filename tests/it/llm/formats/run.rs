//! Serves the rows whole, cut, in other dialects, to clients that leave, and behind handlers that linger.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use super::answer::{Answer, Run, TIME_TO_FIRST_CHUNK};
use super::framing::{Dialect, Framing};
use super::row::Row;
use crate::support::body::Step;
use crate::support::recorder::Recorder;

impl Row {
    /// Returns the bytes, and the frames in them.
    fn write(&self, dialect: Dialect) -> (Bytes, Vec<Range<usize>>) {
        let mut text = String::new();
        if dialect == Dialect::Comments {
            text.push('\u{feff}');
        }
        let mut frames = Vec::new();
        let mut start = 0;
        for piece in self.pieces {
            text += &self.framing.frame(piece, dialect);
            frames.push(start..text.len());
            start = text.len();
        }
        if self.unfinished {
            text.truncate(text.trim_end_matches(['\r', '\n']).len());
            frames.last_mut().expect("a frame").end = text.len();
        }
        (Bytes::from(text), frames)
    }

    fn expected(&self) -> BTreeMap<String, String> {
        let pairs = self.attributes.iter().copied().flatten();
        pairs
            .map(|&(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    /// Asserts all that does not depend on where the frames are cut.
    fn check(&self, run: &Run, case: &str) {
        let case = format!("{}, {case}", self.name);
        let span = &run.span;
        assert_eq!(span.outcome(), self.outcome, "{case}");
        assert_eq!(span.error().as_deref(), self.error, "{case}: message");
        for code in run.code() {
            assert_eq!(code.as_deref(), self.code, "{case}: code");
        }
        assert_eq!(run.attributes(), self.expected(), "{case}");
        assert_eq!(span.is_error(), self.outcome != "DEPARTED", "{case}");
        assert_eq!(
            run.first().is_some(),
            self.first.is_some(),
            "{case}: a token"
        );
        let is_timed = self.first.is_some() && self.framing != Framing::Whole;
        let time = span.value(TIME_TO_FIRST_CHUNK);
        // The time in a stream of lines without a format is left open.
        if self.framing != Framing::Lines || !self.attributes[0].is_empty() {
            assert_eq!(time.is_some(), is_timed, "{case}: time to the first chunk");
        }
    }
}

/// Calls `check` with each row. Panics with the names of all rows for which it has panicked.
fn each(rows: &[Row], check: impl Fn(&Row)) {
    let fails = |row: &&Row| catch_unwind(AssertUnwindSafe(|| check(row))).is_err();
    let failed: Vec<_> = rows.iter().filter(fails).map(|row| row.name).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Serves the rows in their own frames, in all dialects, alone and behind a comment.
pub(super) fn in_frames(rows: &[Row]) {
    each(rows, |row| {
        let recorder = &Recorder::new();
        for &dialect in Dialect::of(row.framing) {
            // Behind its data, the name of the event is the line without an end.
            if row.unfinished && dialect == Dialect::NameBehind {
                continue;
            }
            let (text, frames) = row.write(dialect);
            let answer = Answer {
                recorder,
                text,
                content_type: row.framing.content_type(),
            };
            let run = answer.serve(&frames, &[], frames.len() + 1);
            let case = format!("{dialect:?}");
            row.check(&run, &case);
            let case = format!("{}, {case}", row.name);
            assert_eq!(run.first(), row.first, "{case}: first token");
            let ended = row.ended.unwrap_or(frames.len());
            assert_eq!(run.ended, ended, "{case}: the span's end");
        }
    });
}

/// Serves the rows with bytes before them that say nothing.
pub(super) fn behind_keep_alives(rows: &[Row]) {
    each(rows, |row| {
        let prefix = match row.framing {
            Framing::Data | Framing::Named => ": keep-alive\n\n",
            Framing::Lines | Framing::Whole => "\n",
        };
        let (text, frames) = row.write(Dialect::Usual);
        let moved = |range: &Range<usize>| range.start + prefix.len()..range.end + prefix.len();
        let first = std::iter::once(0..prefix.len());
        let all: Vec<_> = first.chain(frames.iter().map(moved)).collect();
        let recorder = &Recorder::new();
        let answer = Answer {
            recorder,
            text: Bytes::from([prefix.as_bytes(), &text].concat()),
            content_type: row.framing.content_type(),
        };
        let run = answer.serve(&all, &[], all.len() + 1);
        row.check(&run, "behind a keep-alive");
        let ended = row.ended.unwrap_or(frames.len()) + 1;
        assert_eq!(run.ended, ended, "{}: the span's end", row.name);
        // Without a format, the first frame with data counts, in a stream of lines and in a whole answer.
        let is_any = row.framing == Framing::Whole
            || row.framing == Framing::Lines && row.attributes[0].is_empty();
        let first = row.first.map(|frame| if is_any { 0 } else { frame + 1 });
        assert_eq!(run.first(), first, "{}: first token", row.name);
    });
}

/// Serves the rows cut in two anywhere, and in frames of one byte.
pub(super) fn cut(rows: &[Row]) {
    each(rows, |row| {
        let recorder = &Recorder::new();
        for &dialect in Dialect::of(row.framing) {
            let (text, _) = row.write(dialect);
            let length = text.len();
            let answer = Answer {
                recorder,
                text,
                content_type: row.framing.content_type(),
            };
            if length < 10_000 {
                let bytes: Vec<_> = (0..length).map(|at| at..at + 1).collect();
                row.check(&answer.serve(&bytes, &[], length + 1), "in bytes");
            }
            let step = match (dialect, length) {
                (Dialect::Usual, 0..200) => 1,
                (Dialect::Usual, 200..3_000) => 17,
                (_, 0..3_000) => 97,
                _ => length / 50,
            };
            let last = length.saturating_sub(12)..length;
            for at in (0..length).step_by(step).chain(last) {
                let run = answer.serve(&[0..at, at..length], &[], 3);
                row.check(&run, &format!("{dialect:?}, cut at {at}"));
            }
        }
    });
}

/// Serves the rows with each frame three times, in frames of their own and in one frame.
pub(super) fn repeated(rows: &[Row]) {
    let of_events = rows.iter().filter(|row| row.framing != Framing::Whole);
    let of_events: Vec<_> = of_events.filter(|row| !row.unfinished).copied().collect();
    each(&of_events, |row| {
        let recorder = &Recorder::new();
        for &dialect in Dialect::of(row.framing) {
            let (text, frames) = row.write(dialect);
            let thrice = frames.iter().map(|frame| text[frame.clone()].repeat(3));
            let text = Bytes::from(thrice.collect::<Vec<_>>().concat());
            let answer = Answer {
                recorder,
                text,
                content_type: row.framing.content_type(),
            };
            let thirds = frames.iter().flat_map(|frame| {
                let (start, length) = (3 * frame.start, frame.len());
                (0..3).map(move |third| start + third * length..start + (third + 1) * length)
            });
            let thirds: Vec<_> = thirds.collect();
            let run = answer.serve(&thirds, &[], thirds.len() + 1);
            row.check(&run, &format!("{dialect:?}, each frame three times"));
            let all = 0..answer.text.len();
            let run = answer.serve(std::slice::from_ref(&all), &[], 2);
            row.check(
                &run,
                &format!("{dialect:?}, each frame three times, in one"),
            );
        }
    });
}

/// Serves the rows to clients that leave, and with bodies that fail, after each frame.
pub(super) fn left(rows: &[Row]) {
    each(rows, |row| {
        let recorder = &Recorder::new();
        let (text, frames) = row.write(Dialect::Usual);
        let answer = Answer {
            recorder,
            text,
            content_type: row.framing.content_type(),
        };
        for seen in 1..=frames.len() {
            let is_over = row.ended.is_some_and(|frame| frame < seen);
            let has_failed = row.failed.is_some_and(|frame| frame < seen);
            let is_last = seen == frames.len() && row.ended.is_none();
            // The last line may count at the end of the body alone, which these clients do not wait for.
            if is_last && row.failed == Some(seen - 1) && is_read_at_the_end(row) {
                continue;
            }
            for (after, otherwise) in [
                (&[Step::Pending][..], "ABORTED(client_disconnect)"),
                (&[Step::Error], "ABORTED(exception)"),
            ] {
                let run = answer.serve(&frames[..seen], after, seen + 1);
                let expected = match (is_over, has_failed) {
                    (true, _) => row.outcome,
                    (false, true) => "ABORTED(generation_error)",
                    (false, false) => otherwise,
                };
                let case = format!("{}, {seen} frames and {after:?}", row.name);
                assert_eq!(run.span.outcome(), expected, "{case}");
            }
        }
    });
}

/// Whether a failure in the last piece is known at the end of the body alone.
fn is_read_at_the_end(row: &Row) -> bool {
    row.unfinished || row.framing == Framing::Whole
}

/// Serves the rows that have an end, and then more.
pub(super) fn lingering(rows: &[Row]) {
    const LATE: [&[u8]; 4] = [
        b"data: {\"error\":{\"message\":\"late\"},\"usage\":{\"prompt_tokens\":7}}\n\n",
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"late\"}}\n\n",
        b"{\"error\":\"late\",\"model\":\"late\",\"eval_count\":7}\n",
        b"data: [DONE]\n\n",
    ];
    each(rows, |row| {
        let Some(ended) = row.ended else { return };
        let recorder = &Recorder::new();
        let (text, frames) = row.write(Dialect::Usual);
        let answer = Answer {
            recorder,
            text,
            content_type: row.framing.content_type(),
        };
        for late in LATE {
            let after = [Step::Pending, Step::Bytes(late), Step::Pending];
            let run = answer.serve(&frames[..=ended], &after, ended + 4);
            row.check(&run, "lingering");
            assert_eq!(run.ended, ended, "{}: the span's end", row.name);
        }
    });
}
