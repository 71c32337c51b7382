//! Recognises events of plain text.

use memchr::memchr2;

/// Returns the length of the event that a text begins with, if it is one line of data that is neither JSON nor the
/// terminator, and has lines with LF.
pub(super) fn text_event(text: &[u8], terminator: Option<&str>) -> Option<usize> {
    const FIELD: &[u8] = b"data: ";
    let value = text.strip_prefix(FIELD)?;
    let first = *value.first()?;
    let can_be_terminator = |data: &str| data.as_bytes().first() == Some(&first);
    if !first.is_ascii_graphic()
        || matches!(first, b'{' | b'[')
        || terminator.is_some_and(can_be_terminator)
    {
        return None;
    }
    let length = memchr2(b'\n', b'\r', value)?;
    value[length..]
        .starts_with(b"\n\n")
        .then_some(FIELD.len() + length + 2)
}
