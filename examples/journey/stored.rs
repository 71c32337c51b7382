//! Compares the picture in the README with what this code draws.

use std::time::Duration;

use crate::client::Protocol::Http1;
use crate::drawing::{Drawing, Request};
use crate::legend::{CLIENT, ENGINE, HEAD, SPAN, letter};
use crate::markup::assert_well_formed;
use crate::scenarios::all;
use crate::style::Tone;
use crate::svg::picture;
use crate::timeline::{Bar, Mark};

/// `docs/CONTRIBUTING.md` has the command that makes it anew.
const STORED: &str = include_str!("../../docs/pictures/journey.svg");
/// What that command selects.
const DRAWN: [&str; 4] = [
    "/success/streaming",
    "/cancelled/streaming",
    "/truncated/streaming",
    "/exception/streaming",
];

fn bar(label: &'static str, tone: Tone, note: &str, marks: &[(char, &str)]) -> Bar {
    let marks = marks.iter().map(|(letter, name)| Mark {
        letter: *letter,
        name: (*name).to_owned(),
        at: Duration::ZERO,
    });
    Bar {
        label,
        from: Duration::ZERO,
        to: Duration::ZERO,
        marks: marks.collect(),
        note: note.to_owned(),
        tone,
    }
}

/// Returns the request of a scenario with its expected results. All times are zero.
fn expected(selected: &str) -> Request {
    let scenarios = all();
    let mut found = scenarios.iter().filter(|each| each.matches(selected));
    let scenario = found.next().expect("a scenario");
    assert!(found.next().is_none(), "two scenarios match {selected}");
    let expected = &scenario.expected;
    let tone = match expected.status {
        "Unset" => Tone::Good,
        _ => Tone::Bad,
    };
    let seen = expected.seen.to_string();
    let end = format!("api.{}", expected.outcome);
    let [arrived, engine, first_data] = [
        "api.ARRIVED",
        "api.HANDOFF_TO_CORE",
        "api.FIRST_RESPONSE_FROM_CORE",
    ];
    let marks = [arrived, engine, first_data, &*end].map(|event| (letter(event), event));
    let note = "0.0 ms, first token after 0.0";
    let token = "first_token";
    Request {
        name: scenario.name,
        target: format!("{}, {}", scenario.target, Http1.name()),
        bars: vec![
            bar(CLIENT, Tone::Client, &seen, &[(HEAD, "response head")]),
            bar(SPAN, tone, note, &marks),
            bar(ENGINE, Tone::Child, "0.0 ms", &[(letter(token), token)]),
        ],
        seen,
        outcome: format!("{}, status {}", expected.outcome, expected.status),
        tone,
    }
}

/// Returns the elements, each with its class and text, as far as they do not depend on times.
fn elements(picture: &str) -> Vec<String> {
    let tags = picture.split('<').filter(|tag| !tag.starts_with('/'));
    let elements = tags.filter_map(|tag| {
        let (tag, text) = tag.split_once('>')?;
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let class = attributes
            .split_once("class=\"")
            .map_or("", |(_, class)| class);
        let class = class.split('"').next().unwrap_or_default();
        Some(format!("{name} {class}: {}", without_times(text)))
    });
    // The ruler has as many ticks as the longest request needs. The line of times is as long as they are. The
    // description has the moments in order.
    let depends_on_times = |element: &String| {
        ["path grid", "text aside number", "desc "]
            .iter()
            .any(|start| element.starts_with(start))
            || element.contains('\u{a0}')
    };
    elements.filter(|each| !depends_on_times(each)).collect()
}

/// Replaces numbers with a decimal point.
fn without_times(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let number = word.trim_end_matches(',');
        if number.contains('.') && number.parse::<f64>().is_ok() {
            word.replace(number, "#")
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn picture_of_the_readme_is_made_by_this_code() {
    let requests = DRAWN.map(expected);
    let descriptions = requests.each_ref().map(|request| {
        let Request {
            name,
            target,
            seen,
            outcome,
            ..
        } = request;
        format!("{name}: {target}. Client: {seen}. Span: {outcome}. Milliseconds: ")
    });
    for description in descriptions {
        assert!(STORED.contains(&description), "no {description}");
    }
    let drawn = elements(&picture(&Drawing::of_requests(requests.into())));
    let stored = elements(STORED);
    for (stored, drawn) in stored.iter().zip(&drawn) {
        assert_eq!(stored, drawn);
    }
    assert_eq!(stored.len(), drawn.len());
    assert!(STORED.len() < 40 * 1_024, "{} bytes", STORED.len());
    assert_well_formed(STORED);
}

#[test]
fn times_are_not_compared() {
    let text = "<desc id=\"d\">A at 0.5</desc>\n<text class=\"good\" x=\"12\">span</text>\
                <title>span: 25.5 ms, first token after 5.8</title>\
                <text class=\"aside number\" x=\"58\">5</text><text>A\u{a0}0.5\u{a0}ms</text>";
    assert_eq!(
        elements(text),
        ["text good: span", "title : span: # ms, first token after #"]
    );
}
