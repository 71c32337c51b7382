//! Strategies for scripts: requests, responses, and the actions of server and handler.

use bytes::Bytes;
use http::{Method, Version};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::event_streams::event_streams;
use super::oracle::{ContextCall, HandlerCall, RequestFrame};
use super::request::ERRORS;
use super::script::{Act, Answer, Inner, Script, Thread};
use crate::support::body::{Says, Step};
use crate::support::conventions::BY_HANDLERS;

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

/// Keys of attributes of metrics: some are listed, and one is the layer's.
const METRIC_KEYS: [&str; 4] = ["test.plan", "test.tenant", "error.type", ""];

/// Names of the handler's events, some of which are refused.
const EVENTS: [&str; 6] = [
    BY_HANDLERS,
    BY_HANDLERS,
    "api.cache",
    "api.ARRIVED",
    "api.DEPARTED",
    "",
];

/// All codes, and an invalid one.
const GRPC_CODES: [&str; 20] = [
    "0", "0", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15",
    "16", "junk",
];

pub fn scripts() -> impl Strategy<Value = Script> {
    let request = (
        select(vec![
            Method::GET,
            Method::POST,
            Method::POST,
            Method::HEAD,
            Method::CONNECT,
        ]),
        select(vec![
            "application/json",
            "application/json",
            "application/grpc",
            "application/grpc-web+proto",
        ]),
        (
            option::weighted(0.3, select(vec!["0", "4", "8"])),
            option::weighted(0.3, select(vec!["1n", "99999999H"])),
        ),
        select(vec![Version::HTTP_11, Version::HTTP_2]),
    );
    let service = prop_oneof![
        1 => Just(Inner::PanicsInCall),
        1 => Just(Inner::PanicsInPoll),
        1 => Just(Inner::Errs),
        17 => answers().prop_map(Inner::Answers),
    ];
    (
        prop::bool::weighted(0.3),
        request,
        0..2_usize,
        service,
        vec(acts(), 0..12),
        option::weighted(0.2, calls()),
    )
        .prop_map(|(is_llm, request, pending, service, acts, destructor)| {
            let (method, protocol, (length, timeout), version) = request;
            Script {
                is_llm,
                method,
                version,
                protocol,
                length,
                timeout,
                pending,
                service,
                acts,
                destructor,
            }
        })
}

pub fn answers() -> impl Strategy<Value = Answer> {
    let status = select(vec![
        200, 200, 200, 200, 200, 204, 205, 304, 101, 103, 302, 400, 401, 404, 408, 413, 414, 415,
        422, 429, 431, 499, 500, 503, 999,
    ]);
    let grpc_status = option::weighted(0.2, select(GRPC_CODES.to_vec()));
    let size = prop_oneof![
        4 => Just(None),
        2 => Just(Some(Size::Right)),
        1 => (0..20_u64).prop_map(|size| Some(Size::Wrong(size))),
    ];
    let end_stream = prop_oneof![
        2 => Just(Says::Truth),
        3 => Just(Says::Always(false)),
        1 => Just(Says::Always(true)),
    ];
    let length = option::weighted(
        0.4,
        select(vec!["right", "short", "long", "0", "junk", "+5"]),
    );
    let content = prop_oneof![
        1 => vec(steps(), 0..6).prop_map(|steps| (None, None, (Bytes::new(), steps))),
        4 => vec(steps(), 0..6).prop_map(|steps| (Some("application/grpc+proto"), None, (Bytes::new(), steps))),
        3 => (event_stream_types(), encodings(), event_streams(), steps(), any::<usize>())
            .prop_map(|(content_type, encoding, (text, mut pieces), step, at)| {
                // Any other step, anywhere. It has no data: the oracle can read the known lines only.
                let step = if bytes(&step) > 0 { Step::Data(0) } else { step };
                pieces.insert(at % (pieces.len() + 1), step);
                (Some(content_type), encoding, (text, pieces))
            }),
    ];
    (
        status,
        length,
        prop::bool::weighted(0.05),
        grpc_status,
        content,
        end_stream,
        size,
    )
        .prop_map(
            |(status, length, transfer_encoding, grpc_status, content, end_stream, size)| {
                let (content_type, content_encoding, (text, steps)) = content;
                let bytes: usize = steps.iter().map(bytes).sum();
                Answer {
                    status,
                    content_length: length.map(|length| match length {
                        "right" => bytes.to_string(),
                        "short" => bytes.saturating_sub(1).to_string(),
                        "long" => (bytes + 1).to_string(),
                        other => other.to_owned(),
                    }),
                    transfer_encoding,
                    content_type,
                    content_encoding,
                    grpc_status,
                    steps,
                    text,
                    end_stream,
                    size: size.map(|size| match size {
                        Size::Right => bytes as u64,
                        Size::Wrong(size) => size,
                    }),
                }
            },
        )
}

/// Content types of event streams, and one that is similar.
fn event_stream_types() -> impl Strategy<Value = &'static str> {
    select(vec![
        "text/event-stream",
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "Text/Event-Stream;charset=utf-8",
        "text/event-streams",
    ])
}

fn encodings() -> impl Strategy<Value = Option<&'static str>> {
    option::weighted(0.1, select(vec!["identity", "gzip"]))
}

#[derive(Clone, Debug)]
enum Size {
    Right,
    Wrong(u64),
}

fn bytes(step: &Step) -> usize {
    match step {
        Step::Data(bytes) => *bytes,
        Step::Slice(from, to) => to - from,
        _ => 0,
    }
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Pending),
        6 => (0..5_usize).prop_map(Step::Data),
        1 => select(vec![
            Step::Trailers(&[("x", "y")]),
            Step::Trailers(&[("grpc-status", "0")]),
            Step::Trailers(&[("grpc-status", "0")]),
            Step::Trailers(&[("grpc-status", "1")]),
            Step::Trailers(&[("grpc-status", "4"), ("grpc-message", "late")]),
            Step::Trailers(&[("grpc-status", "9"), ("grpc-message", "not now")]),
            Step::Trailers(&[("grpc-status", "16")]),
            Step::Trailers(&[("grpc-status", "14"), ("grpc-message", "gone")]),
        ]),
        1 => Just(Step::Error),
        1 => Just(Step::Panic),
        1 => Just(Step::End),
    ]
}

pub fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => Just(Act::Poll),
        2 => calls().prop_map(Act::PollCalling),
        2 => Just(Act::Ask),
        3 => calls().prop_map(|call| Act::Call(call, Thread::This)),
        1 => calls().prop_map(|call| Act::Call(call, Thread::Another)),
        1 => Just(Act::Drop),
        1 => Just(Act::DropUnwinding),
    ]
}

fn calls() -> impl Strategy<Value = HandlerCall> {
    prop_oneof![
        select(&KEYS[..]).prop_map(|key| HandlerCall::SetAttribute(key, BY_HANDLERS)),
        (select(&METRIC_KEYS[..]), select(&["", "free", "paid"][..]))
            .prop_map(|(key, value)| HandlerCall::SetMetricAttribute(key, value)),
        Just(HandlerCall::DeclareStream),
        Just(HandlerCall::SetRoute("/late/{route}")),
        select(&EVENTS[..]).prop_map(HandlerCall::AddEvent),
        select(vec![
            HandlerCall::Abort("generation_error", "out of memory"),
            HandlerCall::Abort("validation_error", ""),
            HandlerCall::Abort("client_disconnect", "by the handler"),
            // With a message: a 5xx without one has its status as `error.type`, in every span.
            HandlerCall::Abort("", "for no reason"),
        ]),
        Just(HandlerCall::AllowDisconnect),
        Just(HandlerCall::Inject),
        request_calls(),
        context_calls().prop_map(HandlerCall::OnContext),
    ]
}

/// What a handler does with the body of its request.
pub fn request_calls() -> impl Strategy<Value = HandlerCall> {
    let frame = prop_oneof![
        6 => select(vec![
            RequestFrame::Data,
            RequestFrame::Data,
            RequestFrame::Pending,
            RequestFrame::Trailers,
            RequestFrame::End,
            RequestFrame::EndOfStream,
        ]),
        4 => (0..ERRORS.len()).prop_map(|which| RequestFrame::Error(which, ERRORS[which].1)),
    ];
    prop_oneof![
        12 => frame.prop_map(HandlerCall::ReadRequest),
        1 => Just(HandlerCall::DropRequest),
    ]
}

fn context_calls() -> impl Strategy<Value = ContextCall> {
    prop_oneof![
        select(&KEYS[..]).prop_map(|key| ContextCall::SetAttribute(key, BY_HANDLERS)),
        select(&EVENTS[..]).prop_map(ContextCall::AddEvent),
        Just(ContextCall::SetErrorStatus("by its context")),
        Just(ContextCall::SetOkStatus),
        Just(ContextCall::End),
    ]
}
