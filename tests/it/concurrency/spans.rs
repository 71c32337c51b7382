//! The calls on a request compared with its span.

use std::time::SystemTime;

use opentelemetry::trace::Status;
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::SpanData;

use super::TASKS;
use super::calls::{FRAME, REASONS, long, verdict};
use super::paths::{PATHS, Path};
use super::request::{Count, Method, Request, Verdicts};
use crate::support::recorder::Seen;

/// Checks that the span has what it must have and nothing else.
pub fn check(request: &Request, mut span: SpanData) -> Seen {
    let path = &PATHS[request.path];
    take_context_events(request, &mut span);
    let seen = Seen(span);
    seen.look_over();
    check_events(request, &seen);
    check_links(request, &seen);
    check_attributes(request, &seen, path);
    check_verdicts(request, &seen, path);
    seen
}

/// Checks a value that any task can overwrite, by the number of its call. It must be present if a call
/// was in time, and no call of that number can have begun after the end.
fn check_last_call<'a>(counts: impl Iterator<Item = &'a Count>, number: Option<i64>) {
    let (mut in_time, mut begun) = (0, 0);
    for count in counts {
        in_time = in_time.max(count.in_time());
        begun = begun.max(count.begun());
    }
    match number {
        None => assert_eq!(in_time, 0, "the value of a call in time is missing"),
        Some(number) => assert!((1..=begun).contains(&number), "{number} of {begun}"),
    }
}

/// Checks a value that one task sets: it must be that of the last call in time, or a later one.
fn check_own_call(count: &Count, number: Option<i64>) {
    check_last_call(std::iter::once(count), number);
    let number = number.unwrap_or(0);
    assert!(number >= count.in_time(), "{number}, {count:?}");
}

/// Checks values of which all are kept, in order. Some can be missing if the limit `is_reached`.
fn check_all_calls(count: &Count, numbers: &[i64], is_reached: bool) {
    let expected: Vec<_> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    let last = numbers.last().copied().unwrap_or(0);
    assert!(last <= count.begun(), "{last}, {count:?}");
    assert!(last >= count.in_time() || is_reached, "{last}, {count:?}");
}

/// Returns the numbers of a task's calls in the attributes of events or links.
fn numbers<'a>(all: impl Iterator<Item = &'a Vec<KeyValue>>, task: usize) -> Vec<i64> {
    let number = |attributes: &Vec<KeyValue>, key: &str| {
        let mut all = attributes.iter();
        let found = all.find(|attribute| attribute.key.as_str() == key);
        found.map(|attribute| int(&attribute.value))
    };
    let task = i64::try_from(task).ok();
    let by_task = all.filter(|attributes| number(attributes, "task") == task);
    by_task
        .filter_map(|attributes| number(attributes, "number"))
        .collect()
}

fn int(value: &Value) -> i64 {
    match value {
        Value::I64(int) => *int,
        other => panic!("{other:?} is not a number"),
    }
}

/// Checks the events of context calls and removes them. Their time is that of the call, which can precede
/// that of earlier events: it only has to be within the span.
fn take_context_events(request: &Request, span: &mut SpanData) {
    let lasted = span.start_time..=span.end_time;
    let is_reached = dropped(span) > 0;
    let (by_context, others) = span
        .events
        .iter()
        .cloned()
        .partition::<Vec<_>, _>(|event| event.name == "by context");
    for event in &by_context {
        assert!(lasted.contains(&event.timestamp), "{event:?}, {lasted:?}");
    }
    for task in 0..TASKS {
        let numbers = numbers(by_context.iter().map(|event| &event.attributes), task);
        let count = request.count(task, Method::ContextEvent);
        check_all_calls(count, &numbers, is_reached);
    }
    span.events.events = others;
}

/// Returns how many events exceeded the limit.
fn dropped(span: &SpanData) -> i64 {
    let mut all = span.attributes.iter();
    let found = all.find(|attribute| attribute.key.as_str() == "api.dropped_events");
    found.map_or(0, |attribute| int(&attribute.value))
}

fn check_events(request: &Request, seen: &Seen) {
    let by_handle = || {
        seen.0
            .events
            .iter()
            .filter(|event| event.name == "by handle")
    };
    for task in 0..TASKS {
        let numbers = numbers(by_handle().map(|event| &event.attributes), task);
        let count = request.count(task, Method::Event);
        check_all_calls(count, &numbers, dropped(&seen.0) > 0);
    }
    let names = seen.events();
    let handoffs = names.iter().filter(|name| *name == "api.HANDOFF_TO_CORE");
    let is_handed_off = match handoffs.count() {
        0 => None,
        once => Some(i64::try_from(once).expect("a few")),
    };
    assert!(is_handed_off.is_none_or(|count| count == 1));
    check_last_call(request.counts(Method::HandOff), is_handed_off);
    let times = |end: SystemTime| seen.0.events.iter().all(|event| event.timestamp <= end);
    assert!(times(seen.0.end_time));
}

fn check_links(request: &Request, seen: &Seen) {
    let links = &seen.0.links;
    for task in 0..TASKS {
        let numbers = numbers(links.iter().map(|link| &link.attributes), task);
        let count = request.count(task, Method::Link);
        check_all_calls(count, &numbers, links.len() >= 128);
    }
}

fn check_attributes(request: &Request, seen: &Seen, path: &Path) {
    let number = |key: &str| seen.value(key).as_ref().map(int);
    for task in 0..TASKS {
        let one = number(&format!("test.one_{task}"));
        assert_eq!(one, number(&format!("test.other_{task}")));
        check_own_call(request.count(task, Method::Pair), one);
        let text = seen.attribute(&format!("test.text_{task}"));
        let number = text.as_ref().map(|text| {
            let (number, _) = text.split_once(' ').expect("numbers");
            number.parse().expect("a number")
        });
        assert_eq!(text, number.map(long));
        check_own_call(request.count(task, Method::Text), number);
    }
    assert_eq!(seen.value("test.half"), None);
    check_last_call(
        request.counts(Method::Tokens),
        number("gen_ai.usage.output_tokens"),
    );
    if !path.is_grpc {
        let route = seen.attribute("http.route");
        let numbers = route.as_ref().map(|route| {
            let mut numbers = route.split('/').skip(2).map(str::parse);
            let mut next = || numbers.next().and_then(Result::ok).expect("a number");
            (next(), next())
        });
        check_last_call(
            request.counts(Method::Route),
            numbers.map(|(_, number)| number),
        );
        if let Some((task, number)) = numbers {
            let task = usize::try_from(task).expect("a few");
            check_own_call(request.count(task, Method::Route), Some(number));
        }
        let frames = i64::try_from(FRAME).expect("a few");
        let bytes = |count: fn(&Count) -> i64| -> i64 {
            frames * request.counts(Method::Read).map(count).sum::<i64>()
        };
        let read = number("http.request.body.size").expect("a size");
        let expected = bytes(Count::in_time)..=bytes(Count::begun);
        assert!(expected.contains(&read), "{read}, {expected:?}");
    }
    let is_renamed = seen.0.name == "its";
    assert_ne!(seen.0.name, "nosy");
    check_last_call(request.counts(Method::Name), is_renamed.then_some(1));
}

/// Checks that the outcome is that of the first verdict before the end, or else that of the path.
fn check_verdicts(request: &Request, seen: &Seen, path: &Path) {
    let (outcome, error) = (seen.outcome(), seen.error());
    if let Status::Error { description } = seen.status() {
        assert_eq!(description, error.as_deref().unwrap_or_default());
    }
    // The task whose first verdict it is, if it is a task's.
    let is_by = |task: &usize| error == Some(verdict(*task, 1));
    let task = (0..TASKS).find(is_by);
    let is_in_time = |method| request.counts(method).any(|count| count.in_time() > 0);
    let is_begun = |task, method| request.count(task, method).begun() > 0;
    if path.overrides_verdicts {
        assert_eq!(outcome, path.outcome);
    } else if request.verdicts == Verdicts::Before {
        assert_eq!(outcome, "ABORTED(before)");
        assert_eq!(error.as_deref(), Some("by the handler"));
    } else if let Some(task) = task {
        assert_eq!(request.verdicts, Verdicts::Racing);
        let reason = REASONS[task];
        if outcome == format!("ABORTED({reason})") {
            assert!(is_begun(task, Method::Verdict));
            assert_eq!(seen.attribute("error.type").as_deref(), Some(reason));
        } else {
            assert_eq!(outcome, "ABORTED(exception)");
            assert!(is_begun(task, Method::Status) && !is_in_time(Method::Verdict));
        }
    } else {
        assert_eq!(outcome, path.outcome, "{}", path.name);
        assert!(!is_in_time(Method::Verdict) && !is_in_time(Method::Status));
        let is_disconnect = ["client_disconnect", "generator_exit"]
            .iter()
            .any(|reason| outcome == format!("ABORTED({reason})"));
        if is_disconnect && !path.is_grpc {
            // The span is no error only if a call allowed the disconnect.
            check_last_call(
                request.counts(Method::AllowDisconnect),
                (!seen.is_error()).then_some(1),
            );
        }
    }
}
