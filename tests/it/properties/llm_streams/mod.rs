//! Answers of LLM APIs: each ends as the oracle expects and shows what the oracle reads, wherever it is cut.

mod formats;
mod others;
mod parts;
mod settings;
mod whole;
mod written;

use bytes::Bytes;
use http::{Method, Version};
use opentelemetry::Value;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::config;
use super::event_streams::{Cuts, cuts};
use super::oracle::{HandlerCall, Oracle};
use super::script::Thread;
use super::script::{Act, Answer, Inner, Script};
use super::single_request::{check as check_span, play_through};
use crate::support::body::{Says, Step};
use crate::support::conventions::BY_HANDLERS;
use crate::support::recorder::{Recorder, Seen};
use formats::streams;
use settings::{Settings, settings};
use whole::answers;
use written::{Style, event_stream, json_lines, styles, whole as written_whole};

const EVENT_STREAM: &str = "text/event-stream";

/// A body and its content type.
#[derive(Clone)]
struct Sent {
    content_type: &'static str,
    text: Bytes,
}

impl std::fmt::Debug for Sent {
    /// Prints the text as it would be written in a test.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} b{:?}", self.content_type, self.text)
    }
}

/// How the server reads.
#[derive(Clone, Copy, Debug)]
struct Reader {
    status: u16,
    has_length: bool,
    /// The body says that it is at its end.
    end_stream: Says,
    polls: usize,
}

proptest! {
    #![proptest_config(config(1_000))]

    #[test]
    fn stream_is_read_as_the_oracle_reads_it(
        sent in sent_streams(),
        cuts in cuts(),
        reader in readers(),
        settings in settings(),
    ) {
        check(&sent, &cuts, reader, &settings);
    }

    #[test]
    fn changed_stream_is_read_as_the_oracle_reads_it(
        sent in changed(prop_oneof![4 => sent_streams(), 1 => sent_answers()]),
        cuts in cuts(),
        reader in readers(),
        settings in settings(),
    ) {
        check(&sent, &cuts, reader, &settings);
    }

    #[test]
    fn whole_answer_is_read_as_the_oracle_reads_it(
        sent in sent_answers(),
        cuts in cuts(),
        reader in readers(),
        settings in settings(),
    ) {
        check(&sent, &cuts, reader, &settings);
    }
}

/// Plays a body to its end, cut and whole, and up to any poll. The oracle checks each span.
fn check(sent: &Sent, cuts: &Cuts, reader: Reader, settings: &Settings) {
    let pieces = cuts.pieces(&sent.text);
    let all = pieces.len() + 2;
    let whole = vec![Step::Slice(0, sent.text.len())];
    let play = |steps, polls| play(script(sent, steps, reader, polls), settings);
    let in_pieces = play(pieces.clone(), all);
    let at_once = play(whole, 3);
    assert_eq!(shown(&in_pieces), shown(&at_once), "cut and whole");
    play(pieces, reader.polls);
}

/// Plays a script, and checks its span.
fn play(script: Script, settings: &Settings) -> Seen {
    let at = Recorder::new();
    let oracle = Oracle::new(settings.oracle(), &script.request(), false);
    let (span, oracle) = play_through(&settings.layer(&at), &at, oracle, script);
    let ended = oracle.ended().expect("the exchange has ended");
    if !ended.is_unknown {
        check_span(&span, &oracle);
        check_first_chunk(&span);
    }
    span
}

/// Checks that the time of the first chunk is that of its event.
fn check_first_chunk(span: &Seen) {
    const TIME: &str = "gen_ai.response.time_to_first_chunk";
    let Some(Value::F64(seconds)) = span.value(TIME) else {
        return;
    };
    let mut events = span.0.events.iter();
    let event = events.find(|event| event.name == "api.FIRST_RESPONSE_FROM_CORE");
    let at = event.expect("the event").timestamp;
    let since = at.duration_since(span.0.start_time).expect("a later time");
    let difference = (since.as_secs_f64() - seconds).abs();
    assert!(difference < 0.000_001, "{difference} s");
}

/// Returns what a span shows, without times.
fn shown(span: &Seen) -> (String, Option<String>, Vec<(String, String)>, Vec<String>) {
    let attributes = span.0.attributes.iter();
    let attributes = attributes.map(|one| (one.key.to_string(), one.value.to_string()));
    // The handler adds an event for each frame.
    let mut attributes: Vec<_> = attributes
        .filter(|(key, _)| key != "api.dropped_events")
        .map(|(key, value)| {
            let is_time = key.contains("time_to");
            (key, if is_time { String::new() } else { value })
        })
        .collect();
    attributes.sort();
    let mut events = span.events();
    events.retain(|event| event != BY_HANDLERS);
    (span.outcome(), span.error(), attributes, events)
}

fn script(sent: &Sent, steps: Vec<Step>, reader: Reader, polls: usize) -> Script {
    Script {
        is_llm: true,
        method: Method::GET,
        version: Version::HTTP_11,
        protocol: "application/json",
        length: None,
        timeout: None,
        pending: 0,
        service: Inner::Answers(Answer {
            status: reader.status,
            content_length: reader.has_length.then(|| sent.text.len().to_string()),
            transfer_encoding: false,
            content_type: Some(sent.content_type),
            content_encoding: None,
            grpc_status: None,
            steps,
            text: sent.text.clone(),
            end_stream: reader.end_stream,
            size: None,
        }),
        // The place of the handler's events among the others shows when these were added.
        acts: [
            Act::Poll,
            Act::Call(HandlerCall::AddEvent(BY_HANDLERS), Thread::This),
        ]
        .repeat(polls),
        destructor: None,
    }
}

fn readers() -> impl Strategy<Value = Reader> {
    (
        select(vec![200, 200, 200, 200, 200, 201, 302, 400, 500]),
        any::<bool>(),
        select(vec![Says::Always(false), Says::Truth]),
        0..8_usize,
    )
        .prop_map(|(status, has_length, end_stream, polls)| Reader {
            status,
            has_length,
            end_stream,
            polls,
        })
}

/// Streams of events or of lines.
fn sent_streams() -> impl Strategy<Value = Sent> {
    let content_type = select(vec![
        EVENT_STREAM,
        EVENT_STREAM,
        EVENT_STREAM,
        "text/event-stream; charset=utf-8",
        "application/x-ndjson",
        "application/jsonl; charset=utf-8",
        "application/stream+json",
    ]);
    let line_break = select(vec!["\n", "\n", "\r\n", "\r"]);
    (
        content_type,
        streams(),
        vec(styles(), 16),
        line_break,
        prop::bool::weighted(0.9),
        prop::bool::weighted(0.05),
    )
        .prop_map(
            |(content_type, events, styles, line_break, is_whole, has_mark)| {
                let events: Vec<(_, Style)> = events.into_iter().zip(styles).collect();
                let is_events = content_type.starts_with(EVENT_STREAM);
                let mut text = if is_events {
                    event_stream(&events, is_whole)
                } else {
                    json_lines(&events)
                };
                if !is_whole {
                    text.truncate(text.trim_end().len());
                }
                if is_events {
                    text = text.replace('\n', line_break);
                } else {
                    // CR is white space, and no line break.
                    text = text.replace('\n', if line_break == "\n" { "\n" } else { "\r\n" });
                }
                if has_mark && is_events {
                    text.insert(0, '\u{feff}');
                }
                Sent {
                    content_type,
                    text: text.into(),
                }
            },
        )
}

fn sent_answers() -> impl Strategy<Value = Sent> {
    let content_type = select(vec!["application/json", "application/json; charset=utf-8"]);
    let white = select(vec!["", "", "\n", " \r\n\t"]);
    (content_type, answers(), styles(), white).prop_map(|(content_type, answer, style, white)| {
        let text = format!("{white}{}{white}", written_whole(&(answer, style)));
        Sent {
            content_type,
            text: text.into(),
        }
    })
}

/// Changes a few bytes.
fn changed(sent: impl Strategy<Value = Sent>) -> impl Strategy<Value = Sent> {
    (sent, vec(changes(), 1..4)).prop_map(|(sent, changes)| {
        let mut text = sent.text.to_vec();
        for change in changes {
            change.apply(&mut text);
        }
        Sent {
            text: text.into(),
            ..sent
        }
    })
}

/// A change of a text.
#[derive(Clone, Debug)]
enum Change {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Truncate(prop::sample::Index),
    /// Appends the text from here on once more.
    Repeat(prop::sample::Index),
}

fn changes() -> impl Strategy<Value = Change> {
    let bytes = b"\"\\{}[],:\n\r 0-.eEtn\x00\x80\xc3\xed\xff/u";
    let place = any::<prop::sample::Index>;
    prop_oneof![
        4 => (place(), select(&bytes[..])).prop_map(|(at, byte)| Change::Replace(at, byte)),
        4 => (place(), select(&bytes[..])).prop_map(|(at, byte)| Change::Insert(at, byte)),
        2 => place().prop_map(Change::Remove),
        2 => place().prop_map(Change::Truncate),
        1 => place().prop_map(Change::Repeat),
    ]
}

impl Change {
    fn apply(&self, text: &mut Vec<u8>) {
        if text.is_empty() {
            return;
        }
        let length = text.len();
        match self {
            Self::Replace(at, byte) => text[at.index(length)] = *byte,
            Self::Insert(at, byte) => text.insert(at.index(length), *byte),
            Self::Remove(at) => {
                text.remove(at.index(length));
            }
            Self::Truncate(at) => text.truncate(at.index(length)),
            Self::Repeat(at) => text.extend_from_within(at.index(length)..),
        }
    }
}
