//! The query without its secrets: what `url.query` may say.
//!
//! An input is a byte that chooses the list of secret names, and the query as it was sent. With the
//! highest bit set there are first a byte that chooses one of the names, one byte in whose bits it is
//! told which of the name's bytes are percent-encoded, and one that says where in the query the secret
//! stands.

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

/// The conventions' own, and lists that take their place.
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

/// What must not be told.
const SECRET: &str = "hunter2";

static LAYERS: LazyLock<[ApiSpanLayer; LISTS.len()]> = LazyLock::new(|| {
    let layer = || recorded(ApiSpanLayer::new());
    std::array::from_fn(|list| match list {
        0 => layer(),
        list => layer().sensitive_query_parameters(LISTS[list].iter().copied()),
    })
});

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let chosen = take_byte(&mut input);
    let list = usize::from(chosen) % LISTS.len();
    if chosen < 0x80 || LISTS[list].is_empty() {
        told(list, input);
        return;
    }
    let name = LISTS[list][usize::from(take_byte(&mut input)) % LISTS[list].len()];
    let spelled = spell(name, take_byte(&mut input));
    let at = usize::from(take_byte(&mut input)).min(input.len());
    let (left, right) = input.split_at(at);
    let secret = format!("&{spelled}={SECRET}&");
    let others = [left, b"&", right].concat();
    let is_told_anyway = String::from_utf8_lossy(&others).contains(SECRET);
    let told = told(list, &[left, secret.as_bytes(), right].concat());
    if let Some(told) = told.filter(|_| !is_told_anyway) {
        assert!(!told.contains(SECRET), "{told:?}");
    }
}

/// A name as a client may spell it: the bytes told by the bits of `escapes`, and those that mean
/// something, in percent.
fn spell(name: &str, escapes: u8) -> String {
    let mut spelled = String::new();
    for (index, byte) in name.bytes().enumerate() {
        let is_plain = byte.is_ascii_alphanumeric() || byte == b'-';
        if is_plain && escapes >> (index % 8) & 1 == 0 {
            spelled.push(byte.into());
        } else if byte == b' ' && escapes & 1 == 0 {
            spelled.push('+');
        } else if index % 2 == 0 {
            let _ = write!(spelled, "%{byte:02X}");
        } else {
            let _ = write!(spelled, "%{byte:02x}");
        }
    }
    spelled
}

/// What is told of a query, checked; `None` if no request can have it.
fn told(list: usize, query: &[u8]) -> Option<String> {
    let target = PathAndQuery::try_from([b"/?", query].concat()).ok()?;
    let expected = expected(LISTS[list], target.query()?);
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from(target);
    clear();
    drop(answer(&LAYERS[list], request, |_| {
        Response::new(Frames::none())
    }));
    let told = only().attribute("url.query");
    assert_eq!(told, Some(expected).filter(|told| !told.is_empty()));
    told
}

/// The same a second time, by another's decoder.
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
    // One that is written as it is listed is taken for it, also where it decodes to another.
    let is_listed = |name: &&str| decoded == name.as_bytes() || encoded == *name;
    names.iter().any(is_listed)
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(MAX_STRING)]
}
