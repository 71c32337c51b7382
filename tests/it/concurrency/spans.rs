//! What was said to a request, held against its span.

use std::time::SystemTime;

use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::SPEAKERS;
use super::paths::{PATHS, Path};
use super::said::{Count, Request, Thing, Verdicts};
use super::speakers::{FRAME, REASONS, long, verdict};
use crate::support::recorder::Seen;

/// Panics unless the span has what it must have, and nothing else.
pub fn look_at(request: &Request, mut span: SpanData) -> Seen {
    let path = &PATHS[request.path];
    events_by_context(request, &mut span);
    let seen = Seen(span);
    seen.look_over();
    events(request, &seen);
    links(request, &seen);
    attributes(request, &seen, path);
    verdicts(request, &seen, path);
    seen
}

/// A thing that was said by several in turn is there with a number of one of them. It must be there
/// if somebody has said it in time, and nobody has said it with a number that is not yet begun with,
/// or when the end was known.
fn last_word<'a>(counts: impl Iterator<Item = &'a Count>, number: Option<i64>) {
    let (mut in_time, mut begun) = (0, 0);
    for count in counts {
        in_time = in_time.max(count.in_time());
        begun = begun.max(count.begun());
    }
    match number {
        None => assert_eq!(in_time, 0, "it was said in time and is not there"),
        Some(number) => assert!((1..=begun).contains(&number), "{number} of {begun}"),
    }
}

/// The same of a thing that only one says: no later one is missing.
fn own_word(count: &Count, number: Option<i64>) {
    last_word(std::iter::once(count), number);
    let number = number.unwrap_or(0);
    assert!(number >= count.in_time(), "{number}, {count:?}");
}

/// Things of which all are kept: from the first to the last, in order. What did not fit any more is
/// no fault.
fn all_words(count: &Count, numbers: &[i64], are_full: bool) {
    let expected: Vec<_> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    let last = numbers.last().copied().unwrap_or(0);
    assert!(last <= count.begun(), "{last}, {count:?}");
    assert!(last >= count.in_time() || are_full, "{last}, {count:?}");
}

/// The numbers that a speaker has said, of attributes of events or links.
fn numbers<'a>(all: impl Iterator<Item = &'a Vec<KeyValue>>, speaker: usize) -> Vec<i64> {
    let number = |attributes: &Vec<KeyValue>, key: &str| {
        let mut all = attributes.iter();
        let found = all.find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| int(&attribute.value))
    };
    let speaker = i64::try_from(speaker).ok();
    let by_speaker = all.filter(|attributes| number(attributes, "speaker") == speaker);
    by_speaker
        .filter_map(|attributes| number(attributes, "number"))
        .collect()
}

fn int(value: &Value) -> i64 {
    match value {
        Value::I64(int) => *int,
        other => panic!("{other:?} is no number"),
    }
}

/// Those have the time at which the API was called, which may have been some time ago when their turn
/// came: it is not before the start and not after the end.
fn events_by_context(request: &Request, span: &mut SpanData) {
    let lasted = span.start_time..=span.end_time;
    let are_full = dropped(span) > 0;
    let (theirs, others) = span
        .events
        .iter()
        .cloned()
        .partition::<Vec<_>, _>(|event| event.name == "by context");
    for event in &theirs {
        assert!(lasted.contains(&event.timestamp), "{event:?}, {lasted:?}");
    }
    for speaker in 0..SPEAKERS {
        let numbers = numbers(theirs.iter().map(|event| &event.attributes), speaker);
        let count = request.count(speaker, Thing::EventByContext);
        all_words(count, &numbers, are_full);
    }
    span.events.events = others;
}

/// How many events did not fit.
fn dropped(span: &SpanData) -> i64 {
    let mut all = span.attributes.iter();
    let found = all.find(|attribute| attribute.key.as_str() == "api.dropped_events");
    found.map_or(0, |attribute| int(&attribute.value))
}

fn events(request: &Request, seen: &Seen) {
    let said = || seen.0.events.iter().filter(|event| event.name == "said");
    for speaker in 0..SPEAKERS {
        let numbers = numbers(said().map(|event| &event.attributes), speaker);
        let count = request.count(speaker, Thing::Event);
        all_words(count, &numbers, dropped(&seen.0) > 0);
    }
    let names = seen.events();
    let handoffs = names.iter().filter(|name| *name == "api.HANDOFF_TO_CORE");
    let is_handed_off = match handoffs.count() {
        0 => None,
        once => Some(i64::try_from(once).expect("a few")),
    };
    assert!(is_handed_off.is_none_or(|count| count == 1));
    last_word(request.counts(Thing::Handoff), is_handed_off);
    let times = |end: SystemTime| seen.0.events.iter().all(|event| event.timestamp <= end);
    assert!(times(seen.0.end_time));
}

fn links(request: &Request, seen: &Seen) {
    let links = &seen.0.links;
    for speaker in 0..SPEAKERS {
        let numbers = numbers(links.iter().map(|link| &link.attributes), speaker);
        let count = request.count(speaker, Thing::Link);
        all_words(count, &numbers, links.len() >= 128);
    }
}

fn attributes(request: &Request, seen: &Seen, path: &Path) {
    let number = |key: &str| seen.value(key).as_ref().map(int);
    for speaker in 0..SPEAKERS {
        let one = number(&format!("test.one_{speaker}"));
        assert_eq!(one, number(&format!("test.other_{speaker}")));
        own_word(request.count(speaker, Thing::Pair), one);
        let text = seen.attribute(&format!("test.text_{speaker}"));
        let number = text.as_ref().map(|text| {
            let (number, _) = text.split_once(' ').expect("numbers");
            number.parse().expect("a number")
        });
        assert_eq!(text, number.map(long));
        own_word(request.count(speaker, Thing::Text), number);
    }
    assert_eq!(seen.value("test.half"), None);
    last_word(
        request.counts(Thing::Tokens),
        number("gen_ai.usage.output_tokens"),
    );
    if !path.is_call {
        let route = seen.attribute("http.route");
        let numbers = route.as_ref().map(|route| {
            let mut numbers = route.split('/').skip(2).map(str::parse);
            let mut next = || numbers.next().and_then(Result::ok).expect("a number");
            (next(), next())
        });
        last_word(
            request.counts(Thing::Route),
            numbers.map(|(_, number)| number),
        );
        if let Some((speaker, number)) = numbers {
            let speaker = usize::try_from(speaker).expect("a few");
            own_word(request.count(speaker, Thing::Route), Some(number));
        }
        let frames = i64::try_from(FRAME).expect("a few");
        let bytes = |count: fn(&Count) -> i64| -> i64 {
            frames * request.counts(Thing::Read).map(count).sum::<i64>()
        };
        let read = number("http.request.body.size").expect("a size");
        let expected = bytes(Count::in_time)..=bytes(Count::begun);
        assert!(expected.contains(&read), "{read}, {expected:?}");
    }
    let is_renamed = seen.0.name == "its";
    assert_ne!(seen.0.name, "nosy");
    last_word(request.counts(Thing::Name), is_renamed.then_some(1));
}

/// The outcome is the first verdict's that was given before the end, and otherwise the path's.
fn verdicts(request: &Request, seen: &Seen, path: &Path) {
    let (outcome, error) = (seen.outcome(), seen.error());
    if let Status::Error { description } = seen.status() {
        assert_eq!(description, error.as_deref().unwrap_or_default());
    }
    // The first that a speaker has given, if it is one's.
    let is_by = |speaker: &usize| error == Some(verdict(*speaker, 1));
    let speaker = (0..SPEAKERS).find(is_by);
    let is_in_time = |thing| request.counts(thing).any(|count| count.in_time() > 0);
    let is_begun = |speaker, thing| request.count(speaker, thing).begun() > 0;
    if path.overrules {
        assert_eq!(outcome, path.outcome);
    } else if request.verdicts == Verdicts::Before {
        assert_eq!(outcome, "ABORTED(before)");
        assert_eq!(error.as_deref(), Some("said at once"));
    } else if let Some(speaker) = speaker {
        assert_eq!(request.verdicts, Verdicts::Racing);
        let reason = REASONS[speaker];
        if outcome == format!("ABORTED({reason})") {
            assert!(is_begun(speaker, Thing::Verdict));
            assert_eq!(seen.attribute("error.type").as_deref(), Some(reason));
        } else {
            assert_eq!(outcome, "ABORTED(exception)");
            assert!(is_begun(speaker, Thing::Status) && !is_in_time(Thing::Verdict));
        }
    } else {
        assert_eq!(outcome, path.outcome, "{}", path.name);
        assert!(!is_in_time(Thing::Verdict) && !is_in_time(Thing::Status));
        let is_leaving = ["client_disconnect", "generator_exit"]
            .iter()
            .any(|reason| outcome == format!("ABORTED({reason})"));
        if is_leaving && !path.is_call {
            // That the client may leave was said in time, or not, or who knows.
            last_word(
                request.counts(Thing::Leave),
                (!seen.is_error()).then_some(1),
            );
        }
    }
}
