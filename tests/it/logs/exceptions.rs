//! Exception events: which ends emit one, with which severity, type and message.

use http::{Request, Response};
use opentelemetry::logs::Severity;
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use super::{Logs, format_trace, open_body, server_span};
use crate::support::body::Step::{Data, Error, Panic, Trailers};
use crate::support::body::{Boom, ScriptedBody, Step};
use crate::support::recorder::Recorder;
use crate::support::{
    answering, called, get, grpc, handle_of, panic_of, poll, poll_frame, read, ready, response,
};

const HTTP: &str = "http.server.request.exception";
const RPC: &str = "rpc.server.call.exception";
const ERROR: (Severity, &str) = (Severity::Error, "ERROR");
const DEBUG: (Severity, &str) = (Severity::Debug, "DEBUG");
const BOOM: &str = "it::support::body::Boom";
const GRPC_OK: Step = Trailers(&[("grpc-status", "0")]);

/// Name, severity, type and message of the event.
type Expected = (
    &'static str,
    (Severity, &'static str),
    &'static str,
    Option<&'static str>,
);

struct Case {
    rule: &'static str,
    run: fn(ApiSpanLayer),
    expected: Option<Expected>,
}

/// Reads a response until it ends or fails.
fn read_response(layer: &ApiSpanLayer, request: Request<()>, status: u16, steps: &[Step]) {
    let body = ScriptedBody::new(steps.to_vec());
    let _ = read(&mut open_body(layer, request, status, body));
}

/// Drops the body after this many frames.
fn drop_body(layer: &ApiSpanLayer, request: Request<()>, polls: usize) {
    let mut body = open_body(layer, request, 200, ScriptedBody::new([Data(1), Data(1)]));
    for _ in 0..polls {
        assert!(poll_frame(&mut body).is_ready());
    }
}

/// Drops the response future.
fn drop_future(layer: &ApiSpanLayer, request: Request<()>) {
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<String>, Boom>>()
    }));
    let mut future = Box::pin(service.call(request));
    assert!(poll(future.as_mut()).is_pending());
}

/// Serves a request whose service fails.
fn fail(layer: &ApiSpanLayer, request: Request<()>) {
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(Boom)
    }));
    assert_eq!(ready(service.call(request)).expect_err("the error"), Boom);
}

/// Serves a request whose handler calls `abort` and responds with these body steps.
fn abort(layer: &ApiSpanLayer, reason: &'static str, message: &str, steps: &[Step]) {
    let mut service = answering(layer, |request| {
        handle_of(&request).mark_aborted(reason, message);
        response(200, ScriptedBody::new(steps.to_vec()))
    });
    let response = ready(service.call(get())).expect("a response");
    let _ = read(&mut response.into_body());
}

/// Returns a gRPC request whose deadline has passed.
fn expired_grpc() -> Request<()> {
    let mut request = grpc();
    let timeout = http::HeaderValue::from_static("0n");
    request.headers_mut().insert("grpc-timeout", timeout);
    request
}

/// Reads a gRPC response until it ends or fails.
fn read_grpc(layer: &ApiSpanLayer, request: Request<()>, steps: &[Step]) {
    let steps = steps.to_vec();
    let mut service = answering(layer, move |_| {
        let mut response = response(200, ScriptedBody::new(steps.clone()));
        let grpc = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        response
    });
    let response = ready(service.call(request)).expect("a response");
    let _ = read(&mut response.into_body());
}

/// Drops a gRPC response after one frame.
fn drop_grpc(layer: &ApiSpanLayer, request: Request<()>) {
    let mut service = answering(layer, |_| {
        let mut response = response(200, ScriptedBody::new([Data(1), GRPC_OK]));
        let grpc = http::HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", grpc);
        response
    });
    let response = ready(service.call(request)).expect("a response");
    assert!(poll_frame(&mut response.into_body()).is_ready());
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let case = |rule, run, expected| Case {
        rule,
        run,
        expected,
    };
    vec![
        case(
            "success",
            |layer| read_response(&layer, get(), 200, &[Data(3)]),
            None,
        ),
        case(
            "a 404, whose status is enough",
            |layer| read_response(&layer, get(), 404, &[]),
            None,
        ),
        case(
            "a 500, whose status is enough",
            |layer| read_response(&layer, get(), 500, &[]),
            None,
        ),
        case(
            "a service error",
            |layer| fail(&layer, get()),
            Some((HTTP, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "a body error",
            |layer| read_response(&layer, get(), 200, &[Data(3), Error]),
            Some((HTTP, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "a body error after a 500",
            |layer| read_response(&layer, get(), 500, &[Data(3), Error]),
            Some((HTTP, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "a panic in the call",
            |layer| {
                let mut service =
                    answering(&layer, |_| -> Response<String> { panic!("in the call") });
                assert_eq!(panic_of(|| service.call(get())), "in the call");
            },
            Some((HTTP, ERROR, "panic", None)),
        ),
        case(
            "a panic in the body",
            |layer| {
                let mut body = open_body(&layer, get(), 200, ScriptedBody::new([Panic]));
                assert_eq!(panic_of(|| drop(poll_frame(&mut body))), "the body panics");
            },
            Some((HTTP, ERROR, "panic", None)),
        ),
        case(
            "a body shorter than declared",
            |layer| {
                let body = ScriptedBody::new([Data(3)]).sized(5);
                let _ = read(&mut open_body(&layer, get(), 200, body));
            },
            Some((
                HTTP,
                ERROR,
                "length_mismatch",
                Some("3 of 5 declared bytes"),
            )),
        ),
        case(
            "a verdict",
            |layer| abort(&layer, "generation_error", "out of memory", &[Data(3)]),
            Some((HTTP, ERROR, "generation_error", Some("out of memory"))),
        ),
        case(
            "a verdict without a message",
            |layer| abort(&layer, "generation_error", "", &[Data(3)]),
            Some((HTTP, ERROR, "generation_error", None)),
        ),
        case(
            "a verdict, which overrides the body error",
            |layer| abort(&layer, "generation_error", "out of memory", &[Error]),
            Some((HTTP, ERROR, "generation_error", Some("out of memory"))),
        ),
        case(
            "a validation_error verdict",
            |layer| abort(&layer, "validation_error", "no such model", &[Data(3)]),
            None,
        ),
        case(
            "an error in an event stream",
            |layer| {
                let mut service = answering(&layer.stream_errors(true), |_| {
                    let event = Step::Bytes(b"data: {\"error\": {\"message\": \"no memory\"}}\n\n");
                    let mut response = response(200, ScriptedBody::new([event]));
                    let events = http::HeaderValue::from_static("text/event-stream");
                    response.headers_mut().insert("content-type", events);
                    response
                });
                let response = ready(service.call(get())).expect("a response");
                read(&mut response.into_body()).expect("bytes");
            },
            Some((HTTP, ERROR, "generation_error", Some("no memory"))),
        ),
        case(
            "the client left before the head",
            |layer| drop_future(&layer, get()),
            Some((HTTP, DEBUG, "client_disconnect", None)),
        ),
        case(
            "the client left before the body",
            |layer| drop_body(&layer, get(), 0),
            Some((HTTP, DEBUG, "generator_exit", None)),
        ),
        case(
            "the client left midway",
            |layer| drop_body(&layer, get(), 1),
            Some((HTTP, DEBUG, "client_disconnect", None)),
        ),
        case(
            "the client left, with disconnect_is_error off",
            |layer| drop_body(&layer.disconnect_is_error(false), get(), 1),
            Some((HTTP, DEBUG, "client_disconnect", None)),
        ),
        case(
            "a classification without errors",
            |layer| {
                let layer = layer.classify(|_| tower_api_span::Outcome::Departed);
                read_response(&layer, get(), 200, &[Error]);
            },
            None,
        ),
        case(
            "a gRPC call",
            |layer| read_grpc(&layer, grpc(), &[GRPC_OK]),
            None,
        ),
        case(
            "a gRPC INTERNAL, whose status is enough",
            |layer| read_grpc(&layer, grpc(), &[Trailers(&[("grpc-status", "13")])]),
            None,
        ),
        case(
            "a service error in a gRPC call",
            |layer| fail(&layer, grpc()),
            Some((RPC, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "a body error in a gRPC call",
            |layer| read_grpc(&layer, grpc(), &[Data(3), Error]),
            Some((RPC, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "a gRPC call cancelled before the head",
            |layer| drop_future(&layer, grpc()),
            Some((RPC, DEBUG, "client_disconnect", None)),
        ),
        case(
            "a gRPC call cancelled midway",
            |layer| drop_grpc(&layer, grpc()),
            Some((RPC, DEBUG, "client_disconnect", None)),
        ),
        case(
            "a gRPC call cancelled after its deadline",
            |layer| drop_grpc(&layer, expired_grpc()),
            Some((RPC, ERROR, "deadline_exceeded", None)),
        ),
    ]
}

#[test]
fn an_error_end_emits_an_exception_event_unless_its_status_is_enough() {
    for case in cases() {
        let (recorder, logs) = (Recorder::new(), Logs::new());
        (case.run)(logs.layer(&recorder));
        let all = logs.all();
        let got: Vec<_> = all
            .iter()
            .map(|log| {
                let kind = log.text("exception.type").expect("a type");
                let message = log.text("exception.message");
                let expected = 1 + usize::from(message.is_some());
                assert_eq!(log.attributes.len(), expected, "{}: {log:?}", case.rule);
                (log.name, log.severity, kind, message)
            })
            .collect();
        assert_eq!(got, Vec::from_iter(case.expected), "{}", case.rule);
        let span = server_span(&recorder);
        for log in all {
            assert_eq!(log.time, span.end_time, "{}", case.rule);
            assert_eq!(
                log.trace,
                Some(format_trace(&span.span_context)),
                "{}",
                case.rule
            );
        }
    }
}

#[test]
fn a_grpc_request_answered_in_http_emits_the_http_event() {
    // The span's name and the metrics follow HTTP too.
    let (recorder, logs) = (Recorder::new(), Logs::new());
    let layer = logs.layer(&recorder);
    read_response(&layer, grpc(), 502, &[Data(3), Error]);
    assert_eq!(logs.names(), [HTTP]);
    assert_eq!(server_span(&recorder).name, "POST");
}

#[test]
fn the_exception_event_is_in_the_callers_trace() {
    let (recorder, logs) = (Recorder::new(), Logs::new());
    fail(&logs.layer(&recorder), called("01"));
    let trace = logs.all()[0].trace.clone().expect("a trace");
    assert!(trace.starts_with(crate::support::TRACE), "{trace}");
    assert!(trace.ends_with("-01"), "{trace}");
    assert!(!trace.contains(crate::support::CALLER), "{trace}");
}
