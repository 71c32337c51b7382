//! Finds the trusted element of a comma-separated list, from the right.

use http::HeaderMap;
use memchr::{memrchr_iter, memrchr2};

/// The error that a quote closes a string that was never opened.
pub(super) struct UnopenedQuote;

/// Returns the trusted element, trimmed. It is the `trusted`-th element from the right of all lines or, if there are
/// fewer, the leftmost. Empty elements do not count (RFC 9110, section 5.6.1.2).
pub(super) fn trusted_element<'a>(
    headers: &'a HeaderMap,
    name: &str,
    trusted: usize,
    last_comma: impl Fn(&[u8]) -> Result<Option<usize>, UnopenedQuote>,
) -> Option<&'a [u8]> {
    let (mut leftmost, mut missing) = (None, trusted);
    for line in headers.get_all(name).iter().rev() {
        let mut rest = Some(line.as_bytes());
        while let Some(list) = rest {
            let Ok(comma) = last_comma(list) else {
                // The number of elements in this list is unknown. A wrong count could trust an element that the
                // client wrote. So the malformed list is returned as the element, and its report is empty.
                return Some(list);
            };
            let element = list[comma.map_or(0, |at| at + 1)..].trim_ascii();
            rest = comma.map(|at| &list[..at]);
            if element.is_empty() {
                continue;
            }
            leftmost = Some(element);
            missing -= 1;
            if missing == 0 {
                return leftmost;
            }
        }
    }
    leftmost
}

/// Finds the last comma outside quotes, scanning from the right.
///
/// A scan from the left would fail at a quote that the client never closed: the proxies' elements would be in its
/// string. The proxies' elements are at the right and well-formed, and the scan stops at the comma before them.
///
/// In these elements a quote outside a string closes one, whatever the number of backslashes before it. The next
/// quote to its left without a backslash before it opens the string: within a string each quote is escaped, and the
/// opening quote follows `=`.
pub(super) fn last_unquoted_comma(list: &[u8]) -> Result<Option<usize>, UnopenedQuote> {
    let mut end = list.len();
    while let Some(at) = memrchr2(b',', b'"', &list[..end]) {
        if list[at] == b',' {
            return Ok(Some(at));
        }
        end = memrchr_iter(b'"', &list[..at])
            .find(|quote| !list[..*quote].ends_with(b"\\"))
            .ok_or(UnopenedQuote)?;
    }
    Ok(None)
}
