//! Proxies that append well-formed elements to anything that the client sent.
//!
//! For every number of trusted proxies, the element of the outermost one decides.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use arbitrary::{Arbitrary, Result, Unstructured};
use http::{HeaderMap, HeaderName, HeaderValue};
use tower_api_span::ProxyHeaders;

use super::naive::{Client, Hop};
use super::{MAX_TRUSTED, Recorded, Settings};

/// What one proxy sends.
#[derive(Debug)]
struct Element {
    client: Client,
    proto: &'static str,
    host: String,
    /// A parameter that is not read.
    other: Option<String>,
    /// Bits that select which characters are escaped without need.
    escapes: u8,
    /// It sends the client only.
    is_terse: bool,
}

impl<'a> Arbitrary<'a> for Element {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let address = if bytes.arbitrary()? {
            IpAddr::V6(Ipv6Addr::from(bytes.arbitrary::<[u8; 16]>()?))
        } else {
            IpAddr::V4(Ipv4Addr::from(bytes.arbitrary::<[u8; 4]>()?))
        };
        Ok(Self {
            client: (address.to_canonical(), bytes.arbitrary()?),
            proto: bytes.choose(&["http", "https", "ws", "wss"])?,
            host: "h".to_owned() + &string(bytes)?,
            other: bytes
                .arbitrary::<bool>()?
                .then(|| string(bytes))
                .transpose()?,
            escapes: bytes.arbitrary()?,
            is_terse: bytes.arbitrary()?,
        })
    }
}

/// Returns up to seven visible characters, many of them special in the header.
fn string(bytes: &mut Unstructured<'_>) -> Result<String> {
    const SPECIAL: &[u8; 8] = b"\"\\,;= .1";
    (0..bytes.int_in_range(0..=7)?)
        .map(|_| {
            Ok(match bytes.arbitrary::<u8>()? {
                plain @ b' '..=b'~' => char::from(plain),
                special => SPECIAL[usize::from(special % 8)].into(),
            })
        })
        .collect()
}

/// Plays an input.
pub fn run(settings: Settings, input: &[u8]) {
    let mut bytes = Unstructured::new(input);
    let Ok(elements) = (1..=bytes.int_in_range(1..=MAX_TRUSTED).unwrap_or(1))
        .map(|_| bytes.arbitrary())
        .collect::<Result<Vec<Element>>>()
    else {
        return;
    };
    let is_own_line = bytes.arbitrary().unwrap_or(false);
    let left = bytes.take_rest();
    let mut headers = HeaderMap::new();
    let mut append = |name, list: Vec<String>| {
        let list = list.join(", ");
        let lines = if is_own_line {
            vec![left.to_vec(), list.into_bytes()]
        } else {
            vec![[left, b",", list.as_bytes()].concat()]
        };
        for line in lines {
            // An invalid header value cannot be sent.
            let Ok(line) = HeaderValue::from_bytes(&line) else {
                return false;
            };
            headers.append(HeaderName::from_static(name), line);
        }
        true
    };
    let is_x = settings.kind == ProxyHeaders::XForwarded;
    let is_sent = if is_x {
        append(
            "x-forwarded-for",
            elements.iter().map(|one| node(one.client)).collect(),
        ) && append(
            "x-forwarded-proto",
            elements.iter().map(|one| one.proto.to_owned()).collect(),
        )
    } else {
        append(
            "forwarded",
            elements.iter().map(Element::forwarded).collect(),
        )
    };
    if !is_sent {
        return;
    }
    for (trusted, element) in (1..).zip(elements.iter().rev()) {
        let settings = Settings {
            trusted,
            ..settings
        };
        let hop = Hop {
            client: Some(element.client),
            proto: (is_x || !element.is_terse).then_some(element.proto),
            host: (!is_x && !element.is_terse).then(|| element.host.clone()),
        };
        let recorded = Recorded::play(settings, &headers);
        assert_eq!(
            recorded,
            Recorded::from_hop(&hop, settings, &headers),
            "{settings:?} {headers:?}"
        );
    }
}

impl Element {
    fn forwarded(&self) -> String {
        let mut element = format!("by=_me;for={}", self.quoted(&node(self.client)));
        if let Some(other) = &self.other {
            let _ = write!(element, ";other={}", self.quoted(other));
        }
        if !self.is_terse {
            let _ = write!(
                element,
                ";proto={};Host={}",
                self.proto,
                self.quoted(&self.host)
            );
        }
        element
    }

    fn quoted(&self, text: &str) -> String {
        let mut out = String::from("\"");
        for (index, character) in text.chars().enumerate() {
            let is_escaped = self.escapes >> (index % 8) & 1 == 1;
            if is_escaped || matches!(character, '"' | '\\') {
                out.push('\\');
            }
            out.push(character);
        }
        out + "\""
    }
}

fn node((address, port): Client) -> String {
    let address = match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    match port {
        Some(port) => format!("{address}:{port}"),
        None => address,
    }
}
