//! A script: what the client, the service, the body, the handler and the reader do in one exchange.

use arbitrary::Arbitrary;
use http::{Request, Response};

use super::parts::ScriptedBody;
use crate::oracle::{ContextCall, HandlerCall, Oracle, RequestFrame, Settings, llm};

/// One exchange.
#[derive(Arbitrary, Clone, Debug)]
pub struct Script {
    pub preset: Preset,
    method: u8,
    protocol: u8,
    /// `grpc-timeout`: it passes at once, or never.
    is_late: Option<bool>,
    /// The response future is pending once before it does what `service` defines.
    pub is_pending: bool,
    pub service: Inner,
    /// The call that the body's destructor makes.
    pub destructor: Option<Call>,
    pub acts: Vec<Act>,
}

/// The settings of the layer.
#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
pub enum Preset {
    Http,
    Llm,
    /// `stream_terminator`, without the rest of `llm`.
    Terminated,
    /// `disconnect_is_error(false)`.
    Tolerant,
}

/// What the inner service does.
#[derive(Arbitrary, Clone, Debug)]
pub enum Inner {
    PanicsInCall,
    PanicsInPoll,
    Errs,
    // Three variants, so that responses are frequent.
    Answers(Answer),
    Responds(Answer),
    Replies(Answer),
}

/// A response.
#[derive(Arbitrary, Clone, Debug)]
pub struct Answer {
    status: u8,
    content_type: ContentType,
    is_encoded: bool,
    length: Option<Length>,
    transfer_encoding: bool,
    grpc_status: Option<u8>,
    pub end_hint: EndHint,
    size: Option<Size>,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Clone, Copy, Debug, PartialEq)]
enum ContentType {
    None,
    Plain,
    Events,
    Grpc,
    GrpcWeb,
    GrpcWebText,
}

/// The Content-Length, relative to the length of the body.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Length {
    Right,
    Short,
    Long,
    Zero,
    RightTwice,
    TwoValues,
    Signed,
    Junk,
}

/// An exact size hint.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Size {
    Right,
    Wrong(u8),
}

/// What `is_end_stream` returns.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum EndHint {
    /// Whether the script is at its end.
    Correct,
    Always(bool),
    Panics,
}

/// What one poll of the body returns.
#[derive(Arbitrary, Clone, Debug)]
pub enum Step {
    Pending,
    /// Data, and where it is cut into two chunks, if it is.
    Data(Data, Option<u8>),
    Trailers(u8),
    Error,
    Panic,
    /// `None`. The next steps are those of polls after the end.
    End,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Data {
    /// So many zeros.
    Zeros(u8),
    /// A piece of an event stream or of a gRPC-Web body.
    Piece(u8),
}

/// The next action of reader or handler.
#[derive(Arbitrary, Clone, Debug)]
pub enum Act {
    /// The reader polls the future, and once it has the response, the body.
    Poll,
    /// The reader polls until the end.
    PollToEnd,
    /// The reader polls, and the handler makes a call during the poll.
    PollCalling(Call),
    /// The reader asks for `is_end_stream` and `size_hint`.
    Ask,
    /// The handler makes a call.
    Call(Call),
    Drop,
    /// The reader drops what it holds while its thread unwinds.
    DropUnwinding,
}

/// A call of the handler on its handle, or on the span in its context.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Call {
    SetAttribute(u8),
    SetContextAttribute(u8),
    SetEmptyAttribute(u8),
    SetRoute(bool),
    AddEvents(u8),
    AddContextEvent,
    Abort(u8),
    AllowDisconnect,
    HandOff,
    EndContextSpan,
    /// Error, or Ok.
    SetContextStatus(bool),
    /// Polls the body of the request.
    ReadRequest(u8),
}

/// The value of attributes and the name of events that handlers set.
const BY_HANDLER: &str = "handler's";
const METHODS: [&str; 5] = ["GET", "POST", "POST", "HEAD", "CONNECT"];
const PROTOCOLS: [&str; 4] = [
    "application/json",
    "application/grpc",
    "application/grpc-web+proto",
    "application/json",
];
const STATUSES: [u16; 16] = [
    200, 200, 200, 201, 204, 205, 304, 101, 302, 400, 404, 422, 431, 500, 503, 999,
];
const GRPC_STATUSES: [&str; 6] = ["0", "1", "3", "5", "13", "junk"];
pub const TRAILERS: [&[(&str, &str)]; 5] = [
    &[],
    &[("x", "y")],
    &[("grpc-status", "0")],
    &[("grpc-status", "14"), ("grpc-message", "gone")],
    &[("grpc-status", "junk"), ("x", "y")],
];
/// Reasons and messages. An empty reason has a message: without one, a 5xx has its status as
/// `error.type` in every span.
const ABORTS: [(&str, &str); 4] = [
    ("generation_error", "out of memory"),
    ("validation_error", ""),
    ("client_disconnect", "by the handler"),
    ("", "for no reason"),
];
/// Keys of the layer and others.
const KEYS: [&str; 9] = [
    "test.mine",
    "test.mine.too",
    "url.path",
    "http.route",
    "error.type",
    "api.outcome",
    "http.response.status_code",
    "api.version",
    "",
];
const REQUEST_FRAMES: [RequestFrame; 4] = [
    RequestFrame::Data,
    RequestFrame::Disconnected,
    RequestFrame::OtherError,
    RequestFrame::End,
];
const PIECES: [&[u8]; 24] = [
    b"data: [DONE]\n\n",
    b"data: [DO",
    b"NE]",
    b"\n",
    b"\r",
    b"\n\n",
    b"data: one\n\n",
    b"data: ",
    b"event: error\n",
    b"data: {\"error\":{\"message\":\"no memory\"}}\n\n",
    b"data: {\"error\":",
    b"\"m\"}",
    b": comment\r\n\r\n",
    b"data: [DONE]",
    // Frames of gRPC-Web.
    b"\0\0\0\0\x03abc",
    b"\0\0\0\0\x05",
    b"\x80\0\0\0\x10grpc-status: 0\r\n",
    b"\x80\0\0\0\x2cgrpc-status: 13\r\ngrpc-message: no%20memory\r\n",
    b"\x80\0\0\0\x0f",
    b"grpc-status: 5\n",
    b"\x80\0\0\0\x03a:b",
    // The same in base64.
    b"gAAAABBncnBjLXN0YXR1czogMA0K",
    b"AAAAAANhYmM=",
    b"AAAA",
];

/// Returns the element of a table that a byte selects.
fn one_of<T: Copy>(all: &[T], index: u8) -> T {
    all[usize::from(index) % all.len()]
}

impl Call {
    /// Returns the calls that it stands for.
    pub fn decode(self) -> Vec<HandlerCall> {
        let key = |index: u8| one_of(&KEYS, index);
        vec![match self {
            Self::SetAttribute(index) => HandlerCall::SetAttribute(key(index), BY_HANDLER),
            Self::SetContextAttribute(index) => {
                HandlerCall::OnContext(ContextCall::SetAttribute(key(index), BY_HANDLER))
            }
            Self::SetEmptyAttribute(index) => HandlerCall::SetAttribute(key(index), ""),
            Self::SetRoute(true) => HandlerCall::SetRoute("/late/{route}"),
            Self::SetRoute(false) => HandlerCall::SetRoute(""),
            Self::AddEvents(count) => {
                let mut calls = vec![HandlerCall::AddEvent(BY_HANDLER); count.into()];
                calls.extend(["", "api.ABORTED", "api.cache"].map(HandlerCall::AddEvent));
                return calls;
            }
            Self::AddContextEvent => HandlerCall::OnContext(ContextCall::AddEvent(BY_HANDLER)),
            Self::Abort(index) => {
                let (reason, message) = one_of(&ABORTS, index);
                HandlerCall::Abort(reason, message)
            }
            Self::AllowDisconnect => HandlerCall::AllowDisconnect,
            Self::HandOff => HandlerCall::HandOff,
            Self::EndContextSpan => HandlerCall::OnContext(ContextCall::End),
            Self::SetContextStatus(true) => {
                HandlerCall::OnContext(ContextCall::SetErrorStatus("by its context"))
            }
            Self::SetContextStatus(false) => HandlerCall::OnContext(ContextCall::SetOkStatus),
            Self::ReadRequest(index) => HandlerCall::ReadRequest(one_of(&REQUEST_FRAMES, index)),
        }]
    }

    pub fn report_to(self, oracle: &mut Oracle) {
        for call in self.decode() {
            oracle.call(call);
        }
    }
}

impl Script {
    fn method(&self) -> &'static str {
        one_of(&METHODS, self.method)
    }

    fn protocol(&self) -> &'static str {
        one_of(&PROTOCOLS, self.protocol)
    }

    /// Starts the oracle of this exchange.
    pub fn oracle(&self) -> Oracle {
        let settings = match self.preset {
            Preset::Http => Settings::default(),
            Preset::Llm => Settings::llm(),
            Preset::Terminated => Settings {
                llm: llm::Settings {
                    terminator: Some("[DONE]"),
                    ..llm::Settings::default()
                },
                ..Settings::default()
            },
            Preset::Tolerant => Settings {
                allows_disconnect: true,
                ..Settings::default()
            },
        };
        Oracle::new(settings, &self.request(), self.is_late == Some(true))
    }

    pub fn answer(&self) -> Option<&Answer> {
        match &self.service {
            Inner::Answers(answer) | Inner::Responds(answer) | Inner::Replies(answer) => {
                Some(answer)
            }
            Inner::PanicsInCall | Inner::PanicsInPoll | Inner::Errs => None,
        }
    }

    pub fn request(&self) -> Request<()> {
        let mut request = Request::builder()
            .method(self.method())
            .uri("http://example.com/pkg.Service/Method?q=1")
            .header("content-type", self.protocol());
        if let Some(is_late) = self.is_late {
            request = request.header("grpc-timeout", if is_late { "0n" } else { "99999999H" });
        }
        request.body(()).expect("a request")
    }
}

impl Answer {
    fn status(&self) -> u16 {
        one_of(&STATUSES, self.status)
    }

    fn grpc_status(&self) -> Option<&'static str> {
        self.grpc_status.map(|index| one_of(&GRPC_STATUSES, index))
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().take(32)
    }

    fn bytes(&self) -> u64 {
        let bytes = self.steps().map(|step| match step {
            Step::Data(data, _) => data.bytes().len(),
            Step::Pending | Step::Trailers(_) | Step::Error | Step::Panic | Step::End => 0,
        });
        bytes.sum::<usize>() as u64
    }

    pub fn size(&self) -> Option<u64> {
        self.size.map(|size| match size {
            Size::Right => self.bytes(),
            Size::Wrong(size) => size.into(),
        })
    }

    /// Returns the values of Content-Length.
    fn lengths(&self) -> Vec<String> {
        let bytes = self.bytes();
        match self.length {
            None => Vec::new(),
            Some(Length::Right) => vec![bytes.to_string()],
            Some(Length::Short) => vec![bytes.saturating_sub(1).to_string()],
            Some(Length::Long) => vec![(bytes + 1).to_string()],
            Some(Length::Zero) => vec!["0".to_owned()],
            Some(Length::RightTwice) => vec![bytes.to_string(); 2],
            Some(Length::TwoValues) => vec![bytes.to_string(), (bytes + 1).to_string()],
            Some(Length::Signed) => vec![format!("+{bytes}")],
            Some(Length::Junk) => vec!["junk".to_owned()],
        }
    }

    pub fn response(&self, body: ScriptedBody) -> Response<ScriptedBody> {
        let mut response = Response::builder().status(self.status());
        for length in self.lengths() {
            response = response.header("content-length", length);
        }
        let content_type = match self.content_type {
            ContentType::None => None,
            ContentType::Plain => Some("text/plain"),
            ContentType::Events => Some("text/event-stream"),
            ContentType::Grpc => Some("application/grpc+proto"),
            ContentType::GrpcWeb => Some("application/grpc-web"),
            ContentType::GrpcWebText => Some("application/grpc-web-text"),
        };
        for (name, value) in [
            ("content-type", content_type),
            ("content-encoding", self.is_encoded.then_some("gzip")),
            (
                "transfer-encoding",
                self.transfer_encoding.then_some("chunked"),
            ),
            ("grpc-status", self.grpc_status()),
        ] {
            if let Some(value) = value {
                response = response.header(name, value);
            }
        }
        response.body(body).expect("a response")
    }
}

impl Data {
    pub fn bytes(self) -> &'static [u8] {
        match self {
            Self::Zeros(bytes) => &[0; 6][..usize::from(bytes) % 6],
            Self::Piece(index) => one_of(&PIECES, index),
        }
    }
}
