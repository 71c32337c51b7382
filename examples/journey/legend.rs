//! The letters and the words of the drawings, and what they mean.

/// The headline of every drawing.
pub(crate) const TITLE: &str = "How requests end";
/// What applies to all bars and times.
pub(crate) const INTRODUCTION: &str =
    "Bars are drawn to scale. All times are milliseconds since the client sent the request.";

pub(crate) const CLIENT: &str = "client";
pub(crate) const SPAN: &str = "span";
pub(crate) const ENGINE: &str = "engine";

/// The bars, from the top.
pub(crate) const BARS: [(&str, &str); 3] = [
    (CLIENT, "what the client saw"),
    (SPAN, "the layer's span, in the server"),
    (ENGINE, "the span of the handler's engine, llm_core"),
];

/// The letter of the head's arrival on the client's bar.
pub(crate) const HEAD: char = 'R';
/// The letter of an event that has none of its own.
const OTHER: char = '●';

/// The letters on the bars, with the name of the event. The first is no event of a span.
pub(crate) const MARKS: [(char, &str, &str); 7] = [
    (HEAD, "", "the response's head reaches the client"),
    ('A', "api.ARRIVED", "the request reaches the layer"),
    ('H', "api.HANDOFF_TO_CORE", "the engine starts"),
    ('T', "first_token", "the engine has its first token"),
    ('F', "api.FIRST_RESPONSE_FROM_CORE", "the first data"),
    ('D', "api.DEPARTED", "complete and successful"),
    ('X', "api.ABORTED", "any other end, also a 404"),
];

/// Returns the letter of a span's event. Its name may be followed by a reason in parentheses.
pub(crate) fn letter(event: &str) -> char {
    let name = event.split('(').next().unwrap_or(event);
    let mut marks = MARKS.iter().skip(1);
    let found = marks.find(|(_, event, _)| *event == name);
    found.map_or(OTHER, |(letter, ..)| *letter)
}

/// Returns what a letter means, with the event's name.
pub(crate) fn meaning(event: &str, meaning: &str) -> String {
    if event.is_empty() {
        meaning.to_owned()
    } else {
        format!("{event}: {meaning}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_has_its_letter() {
        for (event, expected) in [
            ("api.ARRIVED", 'A'),
            ("api.ABORTED(client_disconnect)", 'X'),
            ("first_token", 'T'),
            ("custom", OTHER),
            ("", OTHER),
        ] {
            assert_eq!(letter(event), expected, "{event}");
        }
    }
}
