//! The redacted query: the value of `url.query`.
//!
//! An input is a byte that selects the list of sensitive names, and the query. With the highest bit of
//! that byte, three bytes precede the query: one selects a name, the bits of one select which bytes of
//! the name are percent-encoded, and one is the position of the secret in the query.

use std::fmt::Write as _;
use std::sync::LazyLock;

use http::uri::PathAndQuery;
use http::{Request, Response, Uri};
use percent_encoding::percent_decode_str;
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer};
use crate::input::take_byte;
use crate::oracle::MAX_STRING;
use crate::recorder::{clear, only, recorded};

/// The names of the conventions, and lists that replace them.
const LISTS: [&[&str]; 4] = [
    &[
        "AWSAccessKeyId",
        "Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Signature",
        "sig",
    ],
    &["token"],
    &["my key", "ключ", "a+b", "a=b", "a&b", "100%", "%41", ""],
    &[],
];

/// The value that must not be recorded.
const SECRET: &str = "hunter2";

static LAYERS: LazyLock<[ApiSpanLayer; LISTS.len()]> = LazyLock::new(|| {
    let layer = || recorded(ApiSpanLayer::new());
    std::array::from_fn(|list| match list {
        0 => layer(),
        list => layer().only_sensitive_query_parameters(LISTS[list].iter().copied()),
    })
});

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let selector = take_byte(&mut input);
    let list = usize::from(selector) % LISTS.len();
    if selector < 0x80 || LISTS[list].is_empty() {
        check(list, input);
        return;
    }
    let name = LISTS[list][usize::from(take_byte(&mut input)) % LISTS[list].len()];
    let encoded = encode(name, take_byte(&mut input));
    let at = usize::from(take_byte(&mut input)).min(input.len());
    let (left, right) = input.split_at(at);
    let secret = format!("&{encoded}={SECRET}&");
    let others = [left, b"&", right].concat();
    let is_elsewhere = String::from_utf8_lossy(&others).contains(SECRET);
    let recorded = check(list, &[left, secret.as_bytes(), right].concat());
    if let Some(recorded) = recorded.filter(|_| !is_elsewhere) {
        assert!(!recorded.contains(SECRET), "{recorded:?}");
    }
}

/// Encodes a name: the bytes that the bits of `escapes` select, and reserved ones, are percent-encoded.
fn encode(name: &str, escapes: u8) -> String {
    let mut encoded = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || byte == b'-';
        if is_plain && escapes >> (index % 8) & 1 == 0 {
            encoded.push(byte.into());
        } else if byte == b' ' && escapes & 1 == 0 {
            encoded.push('+');
        } else if index % 2 == 0 {
            let _ = write!(encoded, "%{byte:02X}");
        } else {
            let _ = write!(encoded, "%{byte:02x}");
        }
    }
    encoded
}

/// Checks and returns the recorded query; `None` if no request can have this query.
fn check(list: usize, query: &[u8]) -> Option<String> {
    let target = PathAndQuery::try_from([b"/?", query].concat()).ok()?;
    let expected = expected(LISTS[list], target.query()?);
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from(target);
    clear();
    drop(answer(&LAYERS[list], request, |_| {
        Response::new(Frames::none())
    }));
    let recorded = only().attribute("url.query");
    let expected = Some(expected).filter(|expected| !expected.is_empty());
    assert_eq!(recorded, expected);
    recorded
}

/// Redacts the query by the decoder of `percent-encoding`.
fn expected(names: &[&str], query: &str) -> String {
    let parameters: Vec<_> = cut(query)
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if is_secret(names, name) => format!("{name}=REDACTED"),
            _ => parameter.to_owned(),
        })
        .collect();
    cut(&parameters.join("&")).to_owned()
}

fn is_secret(names: &[&str], encoded: &str) -> bool {
    let spaced = encoded.replace('+', " ");
    let decoded: Vec<u8> = percent_decode_str(&spaced).collect();
    // A name is also compared undecoded.
    let is_listed = |name: &&str| decoded == name.as_bytes() || encoded == *name;
    names.iter().any(is_listed)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_STRING)]
}
