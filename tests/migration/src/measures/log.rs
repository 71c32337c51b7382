//! What is compared of the log.

use serde_json::Value;

use super::list;
use crate::recording::Recording;

impl Recording {
    /// Returns the lines that the layer has written.
    fn layer_lines(&self) -> impl Iterator<Item = &Value> {
        self.lines.iter().filter(|line| {
            let target = line["target"].as_str().unwrap_or_default();
            target.starts_with("tower_")
        })
    }

    fn line(&self, message: &str) -> &Value {
        let mut lines = self.lines.iter();
        let line = lines.find(|line| line["fields"]["message"] == message);
        line.unwrap_or_else(|| panic!("no line {message:?} in {:?}", self.lines))
    }
}

/// Levels and messages of the layer's lines, with status and reason.
pub fn log(recording: &Recording) -> String {
    let lines: Vec<_> = recording
        .layer_lines()
        .map(|line| {
            let level = line["level"].as_str().expect("a level");
            let fields = &line["fields"];
            let mut text = format!("{level} {}", fields["message"].as_str().expect("a message"));
            for name in ["status", "outcome", "reason"] {
                match &fields[name] {
                    Value::Null => {}
                    Value::String(value) => text.extend([" ", name, "=", value]),
                    value => text.extend([" ", name, "=", &value.to_string()]),
                }
            }
            text
        })
        .collect();
    list(lines.iter().map(String::as_str))
}

/// Fields of the layer's last line.
pub fn log_fields(recording: &Recording) -> String {
    let line = recording.layer_lines().last().expect("a line");
    let fields = line["fields"].as_object().expect("fields").keys();
    list(fields.map(String::as_str).filter(|name| *name != "message"))
}

fn span_fields(line: &Value) -> String {
    let Some(fields) = line["span"].as_object() else {
        return "none".to_owned();
    };
    list(
        fields
            .keys()
            .map(String::as_str)
            .filter(|name| *name != "name"),
    )
}

/// Fields of the span of a line that the handler logs.
pub fn line_in_handler(recording: &Recording) -> String {
    span_fields(recording.line("in the handler"))
}

/// The same for a line that the stream logs.
pub fn line_in_stream(recording: &Recording) -> String {
    span_fields(recording.line("in the stream"))
}
