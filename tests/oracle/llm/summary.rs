//! What a response says of itself: id, model, finish reasons, usage.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::truncate;
use super::format::Format;
use super::json::{self, Object};

/// The longest id, model, finish reason or code, in bytes.
pub(super) const MAX_WORD: usize = 256;

/// What is recorded of a response.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    pub id: Option<String>,
    pub model: Option<String>,
    /// By the index of the choice.
    pub finish_reasons: Vec<String>,
    pub operation: Option<&'static str>,
    pub provider: Option<&'static str>,
    /// The last value of each member that counts tokens, for Messages the largest.
    counts: BTreeMap<&'static str, u64>,
    /// The rules leave open which members of an object count: a number has several names, or a status or a reason is
    /// where none belongs.
    pub(super) is_ambiguous: bool,
}

/// The numbers of tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub cache_read: Option<u64>,
    pub cache_creation: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Summary {
    /// Reads an object of a response in this format.
    pub(super) fn take(&mut self, format: Format, kind: &str, object: &Object, is_whole: bool) {
        if format == Format::Ollama && json::object(object, "message").is_some() {
            self.operation = Some("chat");
        }
        let message = match format {
            Format::Responses if !is_whole => json::object(object, "response"),
            Format::Messages if !is_whole && kind == "message_start" => {
                json::object(object, "message")
            }
            Format::Messages if !is_whole => None,
            _ => Some(object),
        };
        if let Some(message) = message {
            self.take_id_and_model(format, message);
        }
        self.take_usage(format, kind, object, is_whole);
    }

    fn take_id_and_model(&mut self, format: Format, message: &Object) {
        let (id, model) = match format {
            Format::Gemini => ("responseId", "modelVersion"),
            _ => ("id", "model"),
        };
        let word = |key| json::word(message, key).map(|word| truncate(word, MAX_WORD));
        self.id = self.id.take().or_else(|| word(id));
        self.model = self.model.take().or_else(|| word(model));
    }

    fn take_usage(&mut self, format: Format, kind: &str, object: &Object, is_whole: bool) {
        let usage = match format {
            Format::ChatCompletions | Format::Completions => {
                let choices = json::objects(object, "choices");
                let mut in_choices = choices
                    .iter()
                    .filter_map(|choice| json::object(choice, "usage"));
                json::object(object, "usage").or(in_choices.next_back())
            }
            Format::Responses | Format::Messages if is_whole => json::object(object, "usage"),
            Format::Responses => {
                let response = json::object(object, "response");
                response.and_then(|response| json::object(response, "usage"))
            }
            Format::Messages => match kind {
                "message_start" => {
                    let message = json::object(object, "message");
                    message.and_then(|message| json::object(message, "usage"))
                }
                "message_delta" => json::object(object, "usage"),
                _ => None,
            },
            Format::Gemini => json::object(object, "usageMetadata"),
            Format::Ollama => Some(object),
        };
        self.is_ambiguous |= count_usages(object) > 1;
        // In a stream, `response` has these: the rules do not say what those of an event mean.
        let is_event = format == Format::Responses && !is_whole;
        let has = |key| object.contains_key(key);
        self.is_ambiguous |= is_event && (has("status") || has("incomplete_details"));
        self.is_ambiguous |= has_misplaced_reason(format, object, is_whole);
        let Some(usage) = usage else { return };
        for (key, names) in keys(format) {
            let values = names.iter().filter_map(|path| member(usage, path));
            let numbers: Vec<_> = values.filter(|value| value.is_number()).collect();
            self.is_ambiguous |= numbers.len() > 1;
            // The output of a message has not begun at its start.
            if kind == "message_start" && *key == "output" {
                continue;
            }
            if let Some(count) = numbers.first().and_then(|number| json::count(number)) {
                let kept = self.counts.entry(key).or_insert(count);
                // Anthropic's are totals, which some servers set to 0 in the last event.
                *kept = match format {
                    Format::Messages => count.max(*kept),
                    _ => count,
                };
            }
        }
    }

    /// Returns the numbers of tokens. Cached tokens alone are no input; thoughts alone are output.
    pub fn usage(&self) -> Usage {
        let get = |key: &str| self.counts.get(key).copied();
        let sum = |keys: &[&str]| {
            let parts: Vec<_> = keys.iter().filter_map(|key| get(key)).collect();
            (!parts.is_empty()).then(|| parts.iter().sum())
        };
        Usage {
            input: get("input")
                .and_then(|_| sum(&["input", "input beside", "read beside", "creation beside"])),
            output: sum(&["output", "output beside"])
                .map(|output| output + self.reasoning_beside()),
            cache_read: get("read").or(get("cached")).or(get("read beside")),
            cache_creation: get("creation").or(get("creation beside")),
            reasoning: get("reasoning")
                .or(get("reasoning inside"))
                .or(get("output beside")),
        }
    }

    /// Returns the tokens of reasoning that a format of `OpenAI` counts beside the output: by the total, or without one
    /// because they are more than the output.
    fn reasoning_beside(&self) -> u64 {
        let get = |key: &str| self.counts.get(key).copied();
        let (Some(output), Some(reasoning)) = (get("output"), get("reasoning")) else {
            return 0;
        };
        let is_beside = match (get("input"), get("total")) {
            (Some(input), Some(total)) => input + output + reasoning == total,
            _ => reasoning > output,
        };
        if is_beside { reasoning } else { 0 }
    }
}

/// Returns how many objects of an event could have its usage.
fn count_usages(object: &Object) -> usize {
    let usage = |parent: &str| json::nested(object, parent, "usage").is_some_and(Value::is_object);
    let own = |key: &str| json::object(object, key).is_some();
    let is_number = |key: &&str| object.get(*key).is_some_and(Value::is_number);
    let has_counts = ["prompt_eval_count", "eval_count"].iter().any(is_number);
    let choices = json::objects(object, "choices");
    let in_choices = choices
        .iter()
        .any(|choice| json::object(choice, "usage").is_some());
    let all = [
        own("usage") || in_choices,
        own("usageMetadata"),
        usage("message"),
        usage("response"),
        has_counts,
    ];
    all.into_iter().filter(|has_usage| *has_usage).count()
}

/// The names of a number: each a member, or a member of a member.
type Names = &'static [&'static [&'static str]];

const INPUT: Names = &[&["prompt_tokens"], &["input_tokens"]];
const OUTPUT: Names = &[&["completion_tokens"], &["output_tokens"]];
const CACHE_READ: Names = &[
    &["cache_read_input_tokens"],
    &["prompt_tokens_details", "cached_tokens"],
    &["input_tokens_details", "cached_tokens"],
];
const CACHE_CREATION: Names = &[
    &["cache_creation_input_tokens"],
    &["prompt_tokens_details", "cache_write_tokens"],
    &["input_tokens_details", "cache_write_tokens"],
];
const REASONING: Names = &[
    &["completion_tokens_details", "reasoning_tokens"],
    &["completion_tokens_details", "thinking_tokens"],
    &["output_tokens_details", "reasoning_tokens"],
    &["output_tokens_details", "thinking_tokens"],
];

const TOTAL: Names = &[&["total_tokens"]];

/// Returns the names of counts, and their members in the usage. Those named "beside" are not part of another. Gateways
/// send one API's usage in the format of another, so a member counts under any of its names.
fn keys(format: Format) -> &'static [(&'static str, Names)] {
    match format {
        Format::ChatCompletions | Format::Completions => &[
            ("input", INPUT),
            ("output", OUTPUT),
            ("read", CACHE_READ),
            (
                "cached",
                &[&["cached_tokens"], &["prompt_cache_hit_tokens"]],
            ),
            ("creation", CACHE_CREATION),
            ("total", TOTAL),
            ("reasoning", REASONING),
        ],
        Format::Responses => &[
            ("input", INPUT),
            ("output", OUTPUT),
            ("read", CACHE_READ),
            ("creation", CACHE_CREATION),
            ("total", TOTAL),
            ("reasoning", REASONING),
        ],
        Format::Messages => &[
            ("input", INPUT),
            ("output", OUTPUT),
            ("read beside", CACHE_READ),
            ("creation beside", CACHE_CREATION),
            ("reasoning inside", REASONING),
        ],
        Format::Gemini => &[
            ("input", &[&["promptTokenCount"]]),
            ("input beside", &[&["toolUsePromptTokenCount"]]),
            ("output", &[&["candidatesTokenCount"]]),
            ("output beside", &[&["thoughtsTokenCount"]]),
            ("read", &[&["cachedContentTokenCount"]]),
        ],
        Format::Ollama => &[
            ("input", &[&["prompt_eval_count"]]),
            ("output", &[&["eval_count"]]),
        ],
    }
}

fn member<'a>(usage: &'a Object, path: &[&str]) -> Option<&'a Value> {
    match path {
        [key] => usage.get(*key),
        [key, nested] => json::nested(usage, key, nested),
        _ => unreachable!("one or two keys"),
    }
}

/// Whether an object has a reason where another format has it, or another event: the rules do not say what that means.
fn has_misplaced_reason(format: Format, object: &Object, is_whole: bool) -> bool {
    let delta = json::object(object, "delta");
    let reasons = [
        object.contains_key("stop_reason"),
        object.contains_key("done_reason"),
        delta.is_some_and(|delta| delta.contains_key("stop_reason")),
    ];
    let own = match format {
        Format::Messages if is_whole => 0,
        Format::Ollama => 1,
        Format::Messages => 2,
        _ => return false,
    };
    (0..)
        .zip(reasons)
        .any(|(place, is_there)| is_there && place != own)
}

/// Returns the finish reason in an object of a format without choices.
pub(super) fn finish_reason(
    format: Format,
    kind: &str,
    object: &Object,
    is_whole: bool,
) -> Option<String> {
    match format {
        Format::Responses => {
            let response = if is_whole {
                Some(object)
            } else {
                json::object(object, "response").filter(|_| format.is_end(kind, Some(object)))
            };
            response.and_then(|response| {
                let details = json::object(response, "incomplete_details");
                let reason = details.and_then(|details| json::word(details, "reason"));
                let is_over = |status: &String| !["queued", "in_progress"].contains(&&**status);
                reason.or_else(|| json::word(response, "status").filter(is_over))
            })
        }
        Format::Messages if is_whole => json::word(object, "stop_reason"),
        Format::Messages if kind == "message_delta" => {
            let delta = json::object(object, "delta");
            delta.and_then(|delta| json::word(delta, "stop_reason"))
        }
        Format::Ollama => json::word(object, "done_reason"),
        _ => None,
    }
}
