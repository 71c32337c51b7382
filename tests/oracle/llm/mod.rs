//! What a response of an LLM API says, read from the whole of its bytes.
//!
//! Event streams are parsed by the crate `sse-stream`, JSON by `serde_json`. Everything is read again from the
//! first byte each time: nothing here is incremental.

mod events;
mod failure;
mod format;
mod json;
pub mod request;
mod settings;
mod summary;
mod tokens;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use events::{Event, Read, Shown};
pub use failure::Failure;
pub use format::Format;
use json::{Datum, Object};
pub use settings::{Framing, Settings};
pub use summary::{Summary, Usage};

/// The members of an event of which the last one counts. What other equal keys mean is open (RFC 8259, section 4).
const LAST_COUNTS: &[&str] = &["error", "id", "model", "object", "type"];

/// What was found in a body.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
#[derive(Clone, Debug, Default)]
pub struct Reading {
    pub format: Option<Format>,
    /// The framing of a stream: the declared one, or that of the body's beginning, if it has data.
    pub stream: Option<Framing>,
    /// The number of bytes up to the one that makes the end of the stream certain.
    pub end: Option<usize>,
    /// The first failure.
    pub failure: Option<Failure>,
    /// The number of bytes up to the end of the line with the first token, in a recognised format.
    pub first_token: Option<usize>,
    /// The same for the first event that has data, or the first line, in any format.
    pub first_event: Option<usize>,
    /// The body is over without what must end its format.
    pub is_truncated: bool,
    /// The end is a terminator of the settings.
    is_terminated: bool,
    /// The body has an event with data, or a line.
    has_event: bool,
    pub summary: Summary,
    /// Events show several formats: the rules leave open what is read of the others.
    pub is_mixed: bool,
    /// `serde_json` has a limit that the rules do not have, or an object has equal keys: nothing here is to be
    /// compared.
    pub is_unknown: bool,
    /// The choices that were seen, and the finish reasons of those that have one.
    choices: BTreeSet<u64>,
    finish_reasons: BTreeMap<u64, String>,
}

/// Reads a body. If it `is_over`, its end ends the last line and the last event.
pub fn read(body: &[u8], declared: Framing, is_over: bool, settings: &Settings) -> Reading {
    let shown = events::shown(body, declared);
    let mut reading = read_shown(body, shown, is_over, settings);
    reading.is_unknown |= json::has_unsigned_exponent(body);
    let is_stream = declared != Framing::Whole || reading.has_event;
    let stream = Some(shown.framing).filter(|framing| is_stream && *framing != Framing::Whole);
    Reading { stream, ..reading }
}

fn read_shown(body: &[u8], shown: Shown, is_over: bool, settings: &Settings) -> Reading {
    let mut reading = Reading::default();
    let framing = shown.framing;
    if framing == Framing::Whole {
        // Its elements are parsed one by one.
        let body = String::from_utf8_lossy(body);
        reading.is_unknown =
            json::elements(&body).is_some_and(|_| json::has_equal_keys(&body, &[]));
    }
    for event in events::events(body, shown, is_over) {
        let is_object = |state: &Event| matches!(state.datum(), Datum::Object(_));
        let first_object = event.iter().position(is_object);
        for (number, state) in event.iter().enumerate() {
            // Behind a line of data it is not read: servers send it alone.
            let has_data = event[..number].iter().any(|state| state.read == Read::Data);
            if let Read::ErrorField(value) = &state.read
                && settings.reads_errors
                && !has_data
                && (!shown.is_guessed || reading.has_event)
            {
                let found = failure::in_error_field(value);
                let is_object = matches!(json::parse(value), Datum::Object(_));
                reading.is_unknown |= is_object && json::has_equal_keys(value, &[]);
                reading.failure = reading.failure.or(found);
            }
            if let Read::Bare(text) = &state.read
                && let Datum::Object(object) = json::parse(text)
                && settings.reads_errors
            {
                let bare = Event {
                    name: String::new(),
                    ..state.clone()
                };
                let found = failure::in_event(&bare, Some(&object), reading.format, false);
                reading.failure = reading.failure.or(found);
            }
            let state = with_object(&event, state);
            if Some(number) == first_object {
                reading.note_failure(&state, framing, settings);
                reading.note_format(&state, framing, settings);
            }
            // A name behind the object counts at the end of the event, whatever data lines follow it.
            let counts = Some(number) == first_object || state.is_over;
            if reading.is_end(&state, counts, framing, settings) {
                reading.take(&event, &state, framing, settings);
                reading.is_terminated = settings.is_terminator(&state) || settings.is_named(&state);
                reading.note_first_event(&event, framing, settings);
                reading.end = Some(state.at);
                reading.summarize();
                return reading;
            }
        }
        if let Some(state) = last_known(&event) {
            reading.take(&event, &state, framing, settings);
        }
        reading.note_first_event(&event, framing, settings);
    }
    let lacks_end = is_over && framing != Framing::Whole && reading.lacks_end(settings);
    // A text that only begins like an event stream lacks nothing.
    let is_text = shown.is_guessed && !reading.has_event;
    reading.is_truncated = lacks_end && !(is_text && reading.format.is_none());
    reading.summarize();
    reading
}

/// Returns a state with the data of the first state that is a JSON object: later lines do not change it.
fn with_object(event: &[Event], state: &Event) -> Event {
    let mut states = event.iter().take_while(|earlier| earlier.at <= state.at);
    let first = states.find(|earlier| matches!(earlier.datum(), Datum::Object(_)));
    let data = first.map_or(&state.data, |first| &first.data);
    Event {
        data: data.clone(),
        ..state.clone()
    }
}

/// Returns the state in which an event counts: its last. An event that goes on counts as it was when it became a
/// JSON object.
fn last_known(event: &[Event]) -> Option<Event> {
    let last = event.last()?;
    if last.is_over {
        return Some(with_object(event, last));
    }
    let mut states = event.iter();
    let is_known = |state: &&Event| !matches!(state.datum(), Datum::Other);
    states.find(is_known).cloned()
}

impl Reading {
    /// Blank data are a keep-alive. A failure, a terminator and malformed JSON are no response.
    fn note_first_event(&mut self, event: &[Event], framing: Framing, settings: &Settings) {
        let has_data = |state: &&Event| {
            let data = state.data.as_deref().unwrap_or_default();
            state.read == Read::Data && !data.trim_ascii().is_empty()
        };
        let is_object = |state: &&Event| matches!(state.datum(), Datum::Object(_));
        if !event.iter().any(|state| has_data(&state)) {
            return;
        }
        self.has_event = true;
        if let Some(state) = event.iter().find(is_object) {
            self.note_first_state(event, state, framing, settings);
            return;
        }
        // Text counts at the end of the first line at which it is no failure: a name behind data can change that.
        // Nothing behind the end is read.
        for state in event.iter().filter(has_data) {
            if self.note_first_state(event, state, framing, settings) {
                return;
            }
        }
    }

    /// Returns whether the event is the end in this state.
    fn note_first_state(
        &mut self,
        event: &[Event],
        state: &Event,
        framing: Framing,
        settings: &Settings,
    ) -> bool {
        // A name behind the data is not known yet.
        let last = with_object(event, state);
        let datum = last.datum();
        let object = match &datum {
            Datum::Object(object) => Some(object),
            Datum::Other | Datum::Unknown => None,
        };
        let is_whole = framing == Framing::Whole;
        let failure = failure::in_event(&last, object, self.format, is_whole);
        let data = last.data.as_deref().unwrap_or_default();
        let is_malformed = object.is_none() && data.trim_ascii_start().starts_with('{');
        let is_failure = failure.is_some() && (settings.reads_errors || last.name == "error");
        let is_end = framing == Framing::Events
            && (settings.is_terminator(&last) || settings.is_named(&last));
        if !is_failure && !is_malformed && !is_end {
            self.first_event.get_or_insert(state.at);
        }
        is_end
    }

    /// Reads the failure of an event that is a JSON object, at the end of its line.
    fn note_failure(&mut self, state: &Event, framing: Framing, settings: &Settings) {
        let Datum::Object(object) = state.datum() else {
            return;
        };
        if settings.reads_errors && self.failure.is_none() {
            let format = self.format_with(state, Some(&object), framing, settings);
            let is_whole = framing == Framing::Whole;
            self.failure = failure::in_event(state, Some(&object), format, is_whole);
        }
    }

    /// Reads the format of an event that is a JSON object, at the end of its line. A name behind it does not change that.
    fn note_format(&mut self, state: &Event, framing: Framing, settings: &Settings) {
        if let Datum::Object(object) = state.datum() {
            self.format = self.format_with(state, Some(&object), framing, settings);
        }
    }

    /// Whether an event in this state makes the end of the stream certain.
    fn is_end(&self, state: &Event, counts: bool, framing: Framing, settings: &Settings) -> bool {
        if framing == Framing::Whole || state.is_cut {
            return false;
        }
        let is_data = state.read == Read::Data;
        if framing == Framing::Events && is_data && settings.is_terminator(state) {
            return true;
        }
        if !is_data && !state.is_over {
            return false;
        }
        if framing == Framing::Events && settings.is_named(state) {
            return true;
        }
        if !counts {
            return false;
        }
        let datum = state.datum();
        let object = match &datum {
            Datum::Object(object) => Some(object),
            // Only the name says something, and it does so at the event's end.
            Datum::Other | Datum::Unknown if state.is_over => None,
            Datum::Other | Datum::Unknown => return false,
        };
        let format = self.format_with(state, object, framing, settings);
        let kind = format::kind(&state.name, object);
        format.is_some_and(|format| format.is_end(kind, object))
    }

    /// Returns the format, which this event can show.
    fn format_with(
        &self,
        state: &Event,
        object: Option<&Object>,
        framing: Framing,
        settings: &Settings,
    ) -> Option<Format> {
        let is_whole = framing == Framing::Whole;
        let is_known = object.is_some() || state.is_over;
        let shown = || {
            Format::shown(&state.name, object, is_whole, state.may_be_record)
                .into_iter()
                .find(|_| is_known)
        };
        let shown = || shown().filter(|format| settings.formats.contains(format));
        self.format.or_else(shown)
    }

    /// Reads all that an event in this state says.
    fn take(&mut self, event: &[Event], state: &Event, framing: Framing, settings: &Settings) {
        let datum = state.datum();
        self.is_unknown |= datum == Datum::Unknown;
        if let (Datum::Object(_), Some(data)) = (&datum, &state.data) {
            self.is_unknown |= json::has_equal_keys(data, LAST_COUNTS);
        }
        let object = match &datum {
            Datum::Object(object) => Some(object),
            Datum::Other | Datum::Unknown => None,
        };
        self.format = self.format_with(state, object, framing, settings);
        let is_whole = framing == Framing::Whole;
        if settings.reads_errors && self.failure.is_none() {
            self.failure = failure::in_event(state, object, self.format, is_whole);
        }
        let (Some(format), Some(object)) = (self.format, object) else {
            return;
        };
        let shown = Format::shown(&state.name, Some(object), is_whole, state.may_be_record);
        self.is_mixed |= shown.into_iter().any(|other| !other.is_like(format));
        let kind = format::kind(&state.name, Some(object));
        if !is_whole && tokens::has_token(format, kind, object) {
            let mut states = event.iter();
            let complete = states.find(|state| matches!(state.datum(), Datum::Object(_)));
            let complete = complete.expect("the event is an object");
            // A name behind the data, which alone makes it a token, counts at the end of the event.
            let named = format::kind(&complete.name, Some(object));
            let is_token = tokens::has_token(format, named, object);
            let at = if is_token { complete.at } else { state.at };
            self.first_token.get_or_insert(at);
        }
        self.take_choices(format, object);
        self.summary.take(format, kind, object, is_whole);
        self.is_mixed |= self.summary.is_ambiguous;
        let reason = summary::finish_reason(format, kind, object, is_whole);
        if let Some(reason) = reason {
            self.finish_reasons.insert(0, reason);
        }
    }

    fn take_choices(&mut self, format: Format, object: &Object) {
        let (list, key) = match format {
            Format::ChatCompletions | Format::Completions => ("choices", "finish_reason"),
            Format::Gemini => ("candidates", "finishReason"),
            Format::Responses | Format::Messages | Format::Ollama => return,
        };
        for (position, choice) in (0..).zip(json::objects(object, list)) {
            let index = choice.get("index").and_then(json::count);
            let index = index.unwrap_or(position);
            self.choices.insert(index);
            if let Some(reason) = json::word(choice, key) {
                self.finish_reasons.insert(index, reason);
            }
        }
    }

    /// Whether a stream that is over lacks what must end it.
    fn lacks_end(&self, settings: &Settings) -> bool {
        match self.format {
            Some(Format::ChatCompletions | Format::Completions) => {
                let is_finished = |choice| self.finish_reasons.contains_key(choice);
                self.choices.is_empty() || !self.choices.iter().all(is_finished)
            }
            Some(Format::Responses | Format::Messages | Format::Ollama) => true,
            Some(Format::Gemini) => false,
            None => !settings.formats.is_empty() && !self.has_event,
        }
    }

    fn summarize(&mut self) {
        self.summary.provider = self.format.map(Format::provider);
        self.summary.operation = self
            .summary
            .operation
            .or(self.format.map(Format::operation));
        let cut = |reason: &String| super::truncate(reason.clone(), summary::MAX_WORD);
        self.summary.finish_reasons = self.finish_reasons.values().map(cut).collect();
    }
}
