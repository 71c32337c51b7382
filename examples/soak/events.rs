//! Events that are longer than the 768 bytes that the layer keeps of one.

use bytes::Bytes;

use crate::paths::{DONE, EVENT};

/// Responses with such events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Oversized {
    /// Three server-sent events of a kilobyte, then `[DONE]`.
    Events,
    /// Three lines of a kilobyte, then a last one.
    Lines,
    /// A server-sent event of a megabyte, then `[DONE]`.
    MegabyteEvent,
    /// A line of a megabyte, then a last one.
    MegabyteLine,
    /// An event, then one that reports a failure behind a megabyte.
    MegabyteError,
    /// An event, then a megabyte of one that does not end.
    MegabyteCutOff,
}

/// The pieces of a response. `head`, the fillers and `foot` come `times` times.
#[derive(Clone, Copy)]
struct Parts {
    first: &'static str,
    head: &'static str,
    filler: &'static str,
    fillers: usize,
    foot: &'static str,
    times: usize,
    last: &'static str,
}

const fn filled<const BYTES: usize>(bytes: &'static [u8; BYTES]) -> &'static str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    }
}

/// A frame of an HTTP/2 connection's default size.
pub(crate) const CHUNK: &str = filled(&[b'x'; 16 * 1_024]);
/// Large, because HTTP/2 connections with floods of small frames are closed.
pub(crate) const KILOBYTE: &str = filled(&[b'x'; 1_000]);
const CHUNKS: usize = 64;

const EVENTS: Parts = Parts {
    first: "",
    head: "data: {\"choices\":[{\"delta\":{\"content\":\"",
    filler: KILOBYTE,
    fillers: 1,
    foot: "\"}}]}\n\n",
    times: 3,
    last: DONE,
};
const LINES: Parts = Parts {
    head: "{\"model\":\"soak\",\"response\":\"",
    foot: "\",\"done\":false}\n",
    last: "{\"model\":\"soak\",\"response\":\"\",\"done\":true}\n",
    ..EVENTS
};

const fn of_a_megabyte(parts: Parts) -> Parts {
    Parts {
        filler: CHUNK,
        fillers: CHUNKS,
        times: 1,
        ..parts
    }
}

impl Oversized {
    const fn parts(self) -> Parts {
        match self {
            Self::Events => EVENTS,
            Self::Lines => LINES,
            Self::MegabyteEvent => of_a_megabyte(EVENTS),
            Self::MegabyteLine => of_a_megabyte(LINES),
            Self::MegabyteError => Parts {
                first: EVENT,
                head: "data: {\"padding\":\"",
                foot: "\",\"error\":{\"message\":\"out of memory\"}}\n\n",
                last: "",
                ..of_a_megabyte(EVENTS)
            },
            Self::MegabyteCutOff => Parts {
                first: "data: {\"choices\":[{\"delta\":{\"content\":\"so\"}}]}\n\n",
                foot: "",
                last: "",
                ..of_a_megabyte(EVENTS)
            },
        }
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Lines | Self::MegabyteLine => "application/x-ndjson",
            Self::Events | Self::MegabyteEvent | Self::MegabyteError | Self::MegabyteCutOff => {
                "text/event-stream"
            }
        }
    }

    /// Returns the length of the body in bytes.
    pub(crate) const fn bytes(self) -> usize {
        let parts = self.parts();
        let each = parts.head.len() + parts.fillers * parts.filler.len() + parts.foot.len();
        parts.first.len() + parts.times * each + parts.last.len()
    }

    /// Returns the frames of the body.
    pub(crate) fn frames(self) -> impl Iterator<Item = Bytes> + Send {
        let Parts {
            first,
            head,
            filler,
            fillers,
            foot,
            times,
            last,
        } = self.parts();
        let each = move |_| {
            let fillers = std::iter::repeat_n(filler, fillers);
            [head].into_iter().chain(fillers).chain([foot])
        };
        let frames = [first].into_iter().chain((0..times).flat_map(each));
        let frames = frames.chain([last]).filter(|frame| !frame.is_empty());
        frames.map(|frame| Bytes::from_static(frame.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_that_of_the_frames() {
        for events in [
            Oversized::Events,
            Oversized::Lines,
            Oversized::MegabyteEvent,
            Oversized::MegabyteLine,
            Oversized::MegabyteError,
            Oversized::MegabyteCutOff,
        ] {
            let bytes: usize = events.frames().map(|frame| frame.len()).sum();
            assert_eq!(bytes, events.bytes(), "{events:?}");
        }
    }
}
