//! What an answer says, from all its events.

use super::choices::{Choices, MAX_CHOICES, bit};
use super::datum::Datum;
use super::findings::Failure;
use super::format::{Formats, LlmFormat};
use super::kind::{EventType, ObjectKind};
use super::member::{Content, UsageOf};
use super::usage::Usage;

/// What an answer has said so far.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a finding of its own"
)]
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// `None` until an event shows it.
    pub(crate) format: Option<LlmFormat>,
    pub(crate) id: Option<Box<str>>,
    pub(crate) model: Option<Box<str>>,
    /// Why each choice stopped, with its index, in the order of the indices.
    pub(crate) finish_reasons: Vec<(u64, Box<str>)>,
    pub(crate) usage: Usage,
    /// Whether Ollama's answer is a message, and not a generated text.
    pub(crate) has_message: bool,
    /// Whether a token was read.
    pub(crate) has_token: bool,
    /// Whether a failure was read. Later ones are ignored.
    has_failed: bool,
    /// Whether it is in lines whose content type is that of one object. They may be records of an application.
    pub(super) is_in_undeclared_lines: bool,
    /// Whether the end of a stream was read.
    pub(crate) is_over: bool,
    /// A bit for each choice that was seen, and for each that has a finish reason.
    seen: u64,
    finished: u64,
}

/// The settings of a reader.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reads {
    pub(crate) formats: Formats,
    /// Whether failures are read.
    pub(crate) failures: bool,
    /// Whether the id, the model, the finish reasons and the usage are read.
    pub(crate) facts: bool,
}

impl Answer {
    /// Adds what an object says. `event_type` is the type of its event. Returns whether it is a failure, and the
    /// failure if it is the first. Adding an object twice changes nothing.
    #[must_use]
    pub(super) fn add(
        &mut self,
        datum: &mut Datum,
        event_type: EventType,
        is_stream: bool,
        reads: Reads,
    ) -> (bool, Option<Failure>) {
        if self.format.is_none() {
            let may_be_record = !is_stream || self.is_in_undeclared_lines;
            let format = format_of(datum, event_type, is_stream, may_be_record);
            self.format = format.filter(|format| reads.formats.contain(*format));
        }
        let is_failure = reads.failures && self.is_failure(datum, event_type, is_stream);
        let is_first = is_failure && self.fail();
        if let Some(format) = self.format {
            self.has_token |= is_stream && has_token(datum, event_type, format);
            self.is_over |= is_stream && is_end(datum, event_type, format);
            let is_gemini = format == LlmFormat::Gemini;
            if datum.choices.of_gemini != is_gemini {
                datum.choices = Choices::of(is_gemini);
            }
            self.add_choices(&datum.choices);
            if reads.facts {
                self.add_facts(datum, event_type, format, is_stream);
            }
        }
        (is_failure, is_first.then(|| datum.failure()))
    }

    /// Records the format that an event shows by its name.
    pub(super) fn show_format(&mut self, named: EventType, reads: Reads) {
        if self.format.is_none() {
            let format = format_of(&Datum::default(), named, true, false);
            self.format = format.filter(|format| reads.formats.contain(*format));
        }
    }

    /// Records a failure. Returns whether it is the first.
    pub(super) fn fail(&mut self) -> bool {
        !std::mem::replace(&mut self.has_failed, true)
    }

    fn add_choices(&mut self, choices: &Choices) {
        self.seen |= choices.seen;
        for (index, _) in &choices.reasons {
            self.finished |= bit(*index);
        }
    }

    fn add_facts(
        &mut self,
        datum: &mut Datum,
        event_type: EventType,
        format: LlmFormat,
        is_stream: bool,
    ) {
        self.has_message |= datum.signs.has_message;
        if let Some(names) = datum.names_of(format, event_type, is_stream) {
            keep_first(&mut self.id, &mut names.id);
            keep_first(&mut self.model, &mut names.model);
        }
        self.add_usage(datum, event_type, format, is_stream);
        match format {
            LlmFormat::ChatCompletions | LlmFormat::Completions | LlmFormat::Gemini => {
                for (index, reason) in datum.choices.reasons.drain(..) {
                    self.set_reason(index, reason);
                }
            }
            LlmFormat::Responses => {
                if (event_type.is_end_of_responses() || !is_stream)
                    && let Some(reason) = datum.take_response_reason()
                {
                    self.set_reason(0, reason);
                }
            }
            LlmFormat::Messages | LlmFormat::Ollama => {
                let has_reason = !is_stream
                    || format == LlmFormat::Ollama
                    || event_type == EventType::MessageDelta;
                if has_reason && let Some(reason) = datum.stop_reason.take() {
                    self.set_reason(0, reason);
                }
            }
        }
    }

    fn add_usage(
        &mut self,
        datum: &Datum,
        event_type: EventType,
        format: LlmFormat,
        is_stream: bool,
    ) {
        let has_usage = |of| has_usage(format, of, event_type, is_stream);
        if !datum.usage_of.is_some_and(has_usage) {
            return;
        }
        match (format, event_type) {
            // The first event of messages counts only the output tokens that it has.
            (LlmFormat::Messages, EventType::MessageStart) => {
                self.usage.raise(&datum.usage.without_output());
            }
            // Totals, of which some servers repeat only the last and have 0 for the others.
            (LlmFormat::Messages, _) => self.usage.raise(&datum.usage),
            _ => self.usage.update(&datum.usage),
        }
    }

    fn set_reason(&mut self, index: u64, reason: Box<str>) {
        match self
            .finish_reasons
            .binary_search_by_key(&index, |(index, _)| *index)
        {
            Ok(at) => self.finish_reasons[at].1 = reason,
            Err(at) if self.finish_reasons.len() < MAX_CHOICES => {
                self.finish_reasons.insert(at, (index, reason));
            }
            Err(_) => {}
        }
    }

    /// Whether the `error` of an object is a failure of the answer. A whole body of no known format may be the record of
    /// a job, whose error is data.
    fn can_be_failure(&self, datum: &Datum, is_stream: bool) -> bool {
        let is_bare = !datum.signs.has_unread && !datum.signs.is_list;
        let is_declared = is_stream && !self.is_in_undeclared_lines;
        datum.object != ObjectKind::Other && (is_declared || self.format.is_some() || is_bare)
    }

    /// Whether an object is a failure of the answer.
    pub(super) fn is_failure(&self, datum: &Datum, event_type: EventType, is_stream: bool) -> bool {
        // Records of an application can hold errors.
        if datum.signs.is_list && self.format.is_none() {
            return false;
        }
        let is_of = |format| self.format == Some(format);
        let has_failed = event_type == EventType::ResponseFailed
            || (event_type == EventType::ResponseDone && datum.has_failed_response());
        if datum.is_named_error || (has_failed && is_of(LlmFormat::Responses)) {
            return true;
        }
        let is_typed = event_type.is_of_responses() || event_type.is_of_messages();
        if is_typed && event_type != EventType::ResponseFailed {
            return false;
        }
        let has_choices = is_of(LlmFormat::ChatCompletions) || is_of(LlmFormat::Completions);
        event_type == EventType::Error
            || datum.object == ObjectKind::Error
            || (datum.has_base_code() && datum.object != ObjectKind::Other)
            || (datum.has_error() && self.can_be_failure(datum, is_stream))
            || (is_of(LlmFormat::Responses) && datum.has_failed_status())
            || (has_choices && datum.choices.have_failed())
    }

    /// Whether a stream of a format that has an end lacks it.
    pub(super) fn is_cut(&self) -> bool {
        match self.format {
            None | Some(LlmFormat::Gemini) => false,
            Some(LlmFormat::ChatCompletions | LlmFormat::Completions) => {
                let has_all_reasons = self.finished != 0 && self.seen & !self.finished == 0;
                !self.is_over && !has_all_reasons
            }
            Some(LlmFormat::Responses | LlmFormat::Messages | LlmFormat::Ollama) => !self.is_over,
        }
    }
}

/// Whether numbers of tokens are a format's, in this event.
fn has_usage(format: LlmFormat, of: UsageOf, event_type: EventType, is_stream: bool) -> bool {
    match format {
        LlmFormat::Responses if is_stream => of == UsageOf::Response,
        LlmFormat::ChatCompletions | LlmFormat::Completions => {
            matches!(of, UsageOf::Root | UsageOf::Choice)
        }
        LlmFormat::Responses => of == UsageOf::Root,
        LlmFormat::Messages => match of {
            UsageOf::Root => !is_stream || event_type == EventType::MessageDelta,
            UsageOf::Message => event_type == EventType::MessageStart,
            UsageOf::Choice | UsageOf::Response | UsageOf::Metadata | UsageOf::Ollama => false,
        },
        LlmFormat::Gemini => of == UsageOf::Metadata,
        LlmFormat::Ollama => of == UsageOf::Ollama,
    }
}

fn keep_first(first: &mut Option<Box<str>>, next: &mut Option<Box<str>>) {
    if first.is_none() {
        *first = next.take();
    }
}

/// Returns the format that an object shows.
fn format_of(
    datum: &Datum,
    event_type: EventType,
    is_stream: bool,
    may_be_record: bool,
) -> Option<LlmFormat> {
    let signs = datum.signs;
    if event_type.is_of_responses() {
        return Some(LlmFormat::Responses);
    }
    if event_type.is_of_messages() || (event_type == EventType::Message && !is_stream) {
        return Some(LlmFormat::Messages);
    }
    match datum.object {
        ObjectKind::Chat => return Some(LlmFormat::ChatCompletions),
        ObjectKind::Completion => return Some(LlmFormat::Completions),
        ObjectKind::Response => return Some(LlmFormat::Responses),
        ObjectKind::None | ObjectKind::Error | ObjectKind::Other => {}
    }
    if signs.has_choices {
        return Some(if signs.has_choice_text {
            LlmFormat::Completions
        } else {
            LlmFormat::ChatCompletions
        });
    }
    if signs.is_gemini {
        return Some(LlmFormat::Gemini);
    }
    // The record of a job can have `done`, too.
    let is_ollama =
        signs.done.is_some() && (!may_be_record || signs.has_message || signs.has_model);
    is_ollama.then_some(LlmFormat::Ollama)
}

fn has_token(datum: &Datum, event_type: EventType, format: LlmFormat) -> bool {
    let of = |content: Content| datum.content & content as u8 != 0;
    match format {
        LlmFormat::ChatCompletions | LlmFormat::Completions => of(Content::Choice),
        LlmFormat::Responses => {
            (event_type == EventType::ResponseDelta && of(Content::DeltaText))
                || (event_type == EventType::ItemAdded && of(Content::Block))
        }
        LlmFormat::Messages => {
            (event_type == EventType::BlockStart && of(Content::Block))
                || (event_type == EventType::BlockDelta && of(Content::Delta))
        }
        LlmFormat::Gemini => of(Content::Candidate),
        LlmFormat::Ollama => of(Content::Message) || of(Content::Generated),
    }
}

fn is_end(datum: &Datum, event_type: EventType, format: LlmFormat) -> bool {
    match format {
        LlmFormat::ChatCompletions | LlmFormat::Completions | LlmFormat::Gemini => false,
        LlmFormat::Responses => event_type.is_end_of_responses(),
        LlmFormat::Messages => event_type == EventType::MessageStop,
        LlmFormat::Ollama => datum.signs.done == Some(true),
    }
}
