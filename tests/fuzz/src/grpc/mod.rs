//! gRPC: the status in head, trailers and bodies of gRPC-Web, and the caller's deadline.
//!
//! An input is a byte of settings ([`Settings::of`]), how to cut ([`crate::input::cuts`]), lines of
//! metadata up to an empty one, the first byte of which chooses place and name ([`Metadata::of`]), and
//! the body. It goes through the layer with its body cut and whole, and both times the same must come
//! of it: what a reader says that has the whole body before it.

pub mod status;
pub mod web;

use std::sync::LazyLock;

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use tower_api_span::ApiSpanLayer;

use crate::exchange::{Frames, answer, read};
use crate::input::{byte, cut, cuts, piece_of};
use crate::recorder::{forget, only, recorded};
use status::{Deadline, Status};

static LAYER: LazyLock<ApiSpanLayer> = LazyLock::new(|| recorded(ApiSpanLayer::new()));

/// What the request speaks, and what the answer is written in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spoken {
    Grpc,
    Web,
    WebText,
    /// gRPC was spoken, and the answer is not in its language.
    Plain,
}

impl Spoken {
    fn of_request(self) -> &'static str {
        match self {
            Self::Grpc | Self::Plain => "application/grpc",
            Self::Web => "application/grpc-web",
            Self::WebText => "application/grpc-web-text",
        }
    }

    fn of_answer(self) -> &'static str {
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
    spoken: Spoken,
    has_trailers: bool,
    /// The reader stops after so many polls.
    polls: Option<usize>,
}

impl Settings {
    /// Bits 0 and 1 choose what is spoken, with 2 there are trailers, with 3 a byte says after how many
    /// polls the reader stops.
    fn of(input: &mut &[u8]) -> Self {
        let chosen = byte(input);
        let all = [Spoken::Grpc, Spoken::Web, Spoken::WebText, Spoken::Plain];
        Self {
            spoken: all[usize::from(chosen & 3)],
            has_trailers: chosen & 4 != 0,
            polls: (chosen & 8 != 0).then(|| usize::from(byte(input))),
        }
    }
}

/// What is said beside the body.
#[derive(Debug, Default)]
struct Metadata {
    request: HeaderMap,
    head: HeaderMap,
    trailers: HeaderMap,
}

impl Metadata {
    fn of(lines: &[u8]) -> Self {
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

/// What has come of a call.
#[derive(Clone, Debug, PartialEq)]
struct Came {
    outcome: String,
    error_type: Option<String>,
    code: Option<String>,
    message: Option<String>,
    /// In which poll the span ended, if it was in one.
    poll: Option<usize>,
}

/// Plays an input.
pub fn run(mut input: &[u8]) {
    let settings = Settings::of(&mut input);
    let lengths = cuts(&mut input);
    let end = input.windows(2).position(|two| two == b"\n\n");
    let (lines, body) = match end {
        Some(end) => (&input[..end], &input[end + 2..]),
        None => (&[][..], input),
    };
    let metadata = Metadata::of(lines);
    let [in_pieces, whole] = [cut(body, lengths), vec![body]].map(|pieces| {
        let came = play(&pieces, &metadata, settings);
        let expected = expected(&pieces, &metadata, settings);
        let is_expected = expected.contains(&came);
        assert!(
            is_expected,
            "{came:?}, not {expected:?}: {settings:?} {metadata:?} {pieces:?}"
        );
        Came { poll: None, ..came }
    });
    // Of one that does not read on to the end, the whole body may have more to say.
    if settings.polls.is_none() {
        assert_eq!(in_pieces, whole);
    }
}

fn play(pieces: &[&[u8]], metadata: &Metadata, settings: Settings) -> Came {
    let request = Request::post("/package.Service/Method");
    let request = request.header("content-type", settings.spoken.of_request());
    let mut request = request.body(()).expect("a request");
    request.headers_mut().extend(metadata.request.clone());
    forget();
    let response = answer(&LAYER, request, |_| {
        let mut body = Frames::data(pieces.iter().copied());
        if settings.has_trailers {
            body = body.then(Frame::trailers(metadata.trailers.clone()));
        }
        let response = Response::builder().header("content-type", settings.spoken.of_answer());
        let mut response = response.body(body).expect("a response");
        response.headers_mut().extend(metadata.head.clone());
        response
    });
    let poll = read(response.into_body(), settings.polls.unwrap_or(usize::MAX));
    let span = only();
    let code = span.attribute("rpc.status_code");
    assert!(
        code.as_ref()
            .is_none_or(|code| status::NAMES.contains(&code.as_str()))
    );
    Came {
        outcome: span.outcome(),
        error_type: span.attribute("error.type"),
        message: span.error(),
        code,
        poll,
    }
}

/// What must come of it. More than one thing may, where it is a matter of time.
fn expected(pieces: &[&[u8]], metadata: &Metadata, settings: Settings) -> Vec<Came> {
    let Settings {
        spoken,
        has_trailers,
        polls,
    } = settings;
    let polls = polls.unwrap_or(usize::MAX);
    let of_head = Status::of(&metadata.head);
    let is_call = spoken != Spoken::Plain || of_head.is_some();
    let handed_on = &pieces[..polls.min(pieces.len())];
    let bytes = handed_on.concat();
    let of_body = match spoken {
        _ if of_head.is_some() => None,
        Spoken::Grpc | Spoken::Plain => None,
        Spoken::Web => web::read(&bytes),
        Spoken::WebText => web::read_text(&bytes),
    };
    let complete = |status: Option<Status>, poll| {
        let is_web = matches!(spoken, Spoken::Web | Spoken::WebText);
        let (outcome, error_type) = match &status {
            _ if !is_call => ("DEPARTED", None),
            None if is_web => ("DEPARTED", None),
            None => ("exception", Some("missing_grpc_status")),
            Some(status) => status.outcome(),
        };
        let status = status.filter(|_| is_call);
        Came {
            outcome: outcome.to_owned(),
            error_type: error_type.map(str::to_owned),
            code: status.as_ref().map(|status| status.name.to_owned()),
            message: status
                .filter(|status| status.name != "OK")
                .and_then(|status| status.message),
            poll: Some(poll),
        }
    };
    if let Some((status, end)) = of_body {
        return vec![complete(Some(status), piece_of(handed_on, end))];
    }
    if polls > pieces.len() {
        let of_trailers = has_trailers
            .then(|| Status::of(&metadata.trailers))
            .flatten();
        return vec![complete(of_trailers.or(of_head), pieces.len())];
    }
    let dropped = |outcome: &str, error_type: Option<&str>, code: Option<&str>| Came {
        outcome: outcome.to_owned(),
        error_type: error_type.map(str::to_owned),
        code: code.map(str::to_owned),
        message: None,
        poll: None,
    };
    if !is_call {
        let reason = if polls == 0 {
            "generator_exit"
        } else {
            "client_disconnect"
        };
        return vec![dropped(reason, Some(reason), None)];
    }
    let left = dropped("client_disconnect", None, Some("CANCELLED"));
    let code = Some("DEADLINE_EXCEEDED");
    let late = dropped("deadline_exceeded", code, code);
    match Deadline::of(&metadata.request) {
        Deadline::Never => vec![left],
        Deadline::Passed => vec![late],
        Deadline::Soon => vec![left, late],
    }
}
