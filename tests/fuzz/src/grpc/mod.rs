//! gRPC: the status in head, trailers and gRPC-Web bodies, and the caller's deadline.
//!
//! An input is a byte of settings ([`Settings::take`]), cut lengths ([`crate::input::take_cuts`]), lines
//! of metadata up to an empty line, whose first byte selects place and name ([`Metadata::parse`]), and
//! the body. The body goes through the layer cut and whole. Both times the span must show the same,
//! which is what the oracle expects of the whole body.

mod deadline;

use std::sync::LazyLock;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer, read};
use crate::input::{piece_at, split, take_byte, take_cuts};
use crate::oracle::grpc::{NAMES, Status, web};
use crate::oracle::{self, Oracle, Polled};
use crate::recorder::{clear, only, recorded};
use deadline::Deadline;

static LAYER: LazyLock<ApiSpanLayer> = LazyLock::new(|| recorded(ApiSpanLayer::new()));

/// The protocol of request and response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Protocol {
    Grpc,
    Web,
    WebText,
    /// The request is gRPC and the response is not.
    Plain,
}

impl Protocol {
    fn request_type(self) -> &'static str {
        match self {
            Self::Grpc | Self::Plain => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }

    fn response_type(self) -> &'static str {
        match self {
            Self::Grpc => "application/grpc+proto",
            Self::Web => "application/grpc-web+proto",
            Self::WebText => "application/grpc-web-text; charset=utf-8",
            Self::Plain => "text/plain",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    protocol: Protocol,
    has_trailers: bool,
    /// The reader stops after so many polls.
    polls: Option<usize>,
}

impl Settings {
    /// Bits 0 and 1 select the protocol. With bit 2 there are trailers. With bit 3 the next byte is the
    /// number of polls after which the reader stops.
    fn take(input: &mut &[u8]) -> Self {
        let bits = take_byte(input);
        let all = [
            Protocol::Grpc,
            Protocol::Web,
            Protocol::WebText,
            Protocol::Plain,
        ];
        Self {
            protocol: all[usize::from(bits & 3)],
            has_trailers: bits & 4 != 0,
            polls: (bits & 8 != 0).then(|| usize::from(take_byte(input))),
        }
    }
}

/// Headers and trailers.
#[derive(Debug, Default)]
struct Metadata {
    request: HeaderMap,
    head: HeaderMap,
    trailers: HeaderMap,
}

impl Metadata {
    fn parse(lines: &[u8]) -> Self {
        let mut metadata = Self::default();
        for line in lines.split(|byte| *byte == b'\n').take(16) {
            let Some((place, value)) = line.split_first() else {
                continue;
            };
            let (place, name) = match place % 5 {
                0 => (&mut metadata.request, "grpc-timeout"),
                1 => (&mut metadata.head, "grpc-status"),
                2 => (&mut metadata.head, "grpc-message"),
                3 => (&mut metadata.trailers, "grpc-status"),
                _ => (&mut metadata.trailers, "grpc-message"),
            };
            if let Ok(value) = HeaderValue::from_bytes(value) {
                place.append(HeaderName::from_static(name), value);
            }
        }
        metadata
    }
}

/// What the span of a call shows.
#[derive(Clone, Debug, PartialEq)]
struct Recorded {
    outcome: String,
    error_type: Option<String>,
    code: Option<String>,
    message: Option<String>,
    /// The poll during which the span ended, if it was one.
    poll: Option<usize>,
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::take(&mut input);
    let lengths = take_cuts(&mut input);
    let end = input.windows(2).position(|two| two == b"\n\n");
    let (lines, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (&[][..], input),
    };
    let metadata = Metadata::parse(lines);
    let [in_pieces, whole] = [split(body, lengths), vec![body]].map(|pieces| {
        let recorded = play(&pieces, &metadata, settings);
        let expected = expected(&pieces, &metadata, settings);
        let is_expected = expected.contains(&recorded);
        assert!(
            is_expected,
            "{recorded:?}, not {expected:?}: {settings:?} {metadata:?} {pieces:?}"
        );
        Recorded {
            poll: None,
            ..recorded
        }
    });
    // A reader that stops early may have seen less of the body when it was cut.
    if settings.polls.is_none() {
        assert_eq!(in_pieces, whole);
    }
}

fn request(metadata: &Metadata, settings: Settings) -> Request<()> {
    let request = Request::post("/package.Service/Method");
    let request = request.header("content-type", settings.protocol.request_type());
    let mut request = request.body(()).expect("a request");
    request.headers_mut().extend(metadata.request.clone());
    request
}

fn response_headers(metadata: &Metadata, settings: Settings) -> HeaderMap {
    let mut headers = metadata.head.clone();
    let content_type = HeaderValue::from_static(settings.protocol.response_type());
    headers.insert("content-type", content_type);
    headers
}

fn play(pieces: &[&[u8]], metadata: &Metadata, settings: Settings) -> Recorded {
    clear();
    let response = answer(&LAYER, request(metadata, settings), |_| {
        let mut body = Frames::data(pieces.iter().copied());
        if settings.has_trailers {
            body = body.then(Frame::trailers(metadata.trailers.clone()));
        }
        let mut response = Response::new(body);
        *response.headers_mut() = response_headers(metadata, settings);
        response
    });
    let poll = read(response.into_body(), settings.polls.unwrap_or(usize::MAX));
    let span = only();
    let code = span.attribute("rpc.status_code");
    assert!(
        code.as_ref()
            .is_none_or(|code| NAMES.contains(&code.as_str()))
    );
    Recorded {
        outcome: span.outcome(),
        error_type: span.attribute("error.type"),
        message: span.error(),
        code,
        poll,
    }
}

/// Returns what the span may show: two things if it depends on the time.
fn expected(pieces: &[&[u8]], metadata: &Metadata, settings: Settings) -> Vec<Recorded> {
    let polls = settings.polls.unwrap_or(usize::MAX);
    let delivered = &pieces[..polls.min(pieces.len())];
    let bytes = delivered.concat();
    let body_status = match settings.protocol {
        _ if Status::from_headers(&metadata.head).is_some() => None,
        Protocol::Grpc | Protocol::Plain => None,
        Protocol::Web => web::read(&bytes),
        Protocol::WebText => web::read_text(&bytes),
    };
    let is_read_to_end = polls > pieces.len();
    let poll = match body_status {
        Some((_, end)) => Some(piece_at(delivered, end)),
        None => is_read_to_end.then_some(pieces.len()),
    };
    let expect = |is_late| {
        let request = request(metadata, settings);
        let mut oracle = Oracle::new(oracle::Settings::default(), &request, is_late);
        let headers = response_headers(metadata, settings);
        oracle.polled(&Polled::Head(200, headers), None);
        if !delivered.is_empty() {
            let data = Bytes::copy_from_slice(&bytes);
            oracle.polled(&Polled::Data(data, true), None);
        }
        if is_read_to_end && settings.has_trailers {
            oracle.polled(&Polled::Trailers(metadata.trailers.clone()), None);
        } else if is_read_to_end {
            oracle.polled(&Polled::EndOfBody, None);
        }
        oracle.dropped(false);
        let ended = oracle.ended().expect("the body was dropped");
        Recorded {
            outcome: ended.reason.unwrap_or("DEPARTED").to_owned(),
            error_type: ended.error_type.clone(),
            code: ended.grpc_code.map(str::to_owned),
            message: ended.error.clone(),
            poll,
        }
    };
    match Deadline::from_headers(&metadata.request) {
        Deadline::Never => vec![expect(false)],
        Deadline::Passed => vec![expect(true)],
        Deadline::Soon => vec![expect(false), expect(true)],
    }
}
