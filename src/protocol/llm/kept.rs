//! Texts that are kept.

/// The limit, in bytes, on a model's name, an id, a finish reason or an error's code.
pub(super) const MAX_NAME: usize = 256;

/// The limit, in bytes, on an error's message.
pub(super) const MAX_MESSAGE: usize = 1_024;

/// Returns a text to be kept, truncated. `None` if it is empty.
pub(super) fn kept(text: &[u8], limit: usize) -> Option<Box<str>> {
    if text.is_empty() {
        return None;
    }
    let mut text = String::from_utf8_lossy(text).into_owned();
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    text.truncate(end.unwrap_or(0));
    Some(text.into_boxed_str())
}
