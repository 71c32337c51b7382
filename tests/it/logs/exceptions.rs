//! Which ends are exceptions, and what is said of them.

use http::{Request, Response};
use opentelemetry::logs::Severity;
use tower::{Service, service_fn};
use tower_api_span::ApiSpanLayer;
use tower_layer::Layer as _;

use super::{Logs, body_of, server, trace_of};
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

/// Reads an answer to its end, whatever that is.
fn reads(layer: &ApiSpanLayer, request: Request<()>, status: u16, steps: &[Step]) {
    let body = ScriptedBody::new(steps.to_vec());
    let _ = read(&mut body_of(layer, request, status, body));
}

/// Leaves after this many frames.
fn leaves(layer: &ApiSpanLayer, request: Request<()>, polls: usize) {
    let mut body = body_of(layer, request, 200, ScriptedBody::new([Data(1), Data(1)]));
    for _ in 0..polls {
        assert!(poll_frame(&mut body).is_ready());
    }
}

/// Leaves before there is a head.
fn leaves_early(layer: &ApiSpanLayer, request: Request<()>) {
    let mut service = layer.layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<String>, Boom>>()
    }));
    let mut future = Box::pin(service.call(request));
    assert!(poll(future.as_mut()).is_pending());
}

fn fails(layer: &ApiSpanLayer, request: Request<()>) {
    let mut service = layer.layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(Boom)
    }));
    assert_eq!(ready(service.call(request)).expect_err("the error"), Boom);
}

/// A handler that gives this verdict, and then what is in `steps`.
fn says(layer: &ApiSpanLayer, reason: &'static str, message: &str, steps: &[Step]) {
    let mut service = answering(layer, |request| {
        handle_of(&request).abort(reason, message);
        response(200, ScriptedBody::new(steps.to_vec()))
    });
    let response = ready(service.call(get())).expect("a response");
    let _ = read(&mut response.into_body());
}

/// A gRPC request whose caller waits no longer.
fn too_late() -> Request<()> {
    let mut request = grpc();
    let timeout = http::HeaderValue::from_static("0n");
    request.headers_mut().insert("grpc-timeout", timeout);
    request
}

/// An answer that is gRPC, to a call.
fn answers_call(layer: &ApiSpanLayer, request: Request<()>, steps: &[Step]) {
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

fn leaves_call(layer: &ApiSpanLayer, request: Request<()>) {
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
            |layer| reads(&layer, get(), 200, &[Data(3)]),
            None,
        ),
        case(
            "404 tells itself",
            |layer| reads(&layer, get(), 404, &[]),
            None,
        ),
        case(
            "500 tells itself",
            |layer| reads(&layer, get(), 500, &[]),
            None,
        ),
        case(
            "an error of the service",
            |layer| fails(&layer, get()),
            Some((HTTP, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "an error of the body",
            |layer| reads(&layer, get(), 200, &[Data(3), Error]),
            Some((HTTP, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "an error of the body after a status that is one",
            |layer| reads(&layer, get(), 500, &[Data(3), Error]),
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
                let mut body = body_of(&layer, get(), 200, ScriptedBody::new([Panic]));
                assert_eq!(panic_of(|| drop(poll_frame(&mut body))), "the body panics");
            },
            Some((HTTP, ERROR, "panic", None)),
        ),
        case(
            "a body that is shorter than declared",
            |layer| {
                let body = ScriptedBody::new([Data(3)]).sized(5);
                let _ = read(&mut body_of(&layer, get(), 200, body));
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
            |layer| says(&layer, "generation_error", "out of memory", &[Data(3)]),
            Some((HTTP, ERROR, "generation_error", Some("out of memory"))),
        ),
        case(
            "a verdict without a message",
            |layer| says(&layer, "generation_error", "", &[Data(3)]),
            Some((HTTP, ERROR, "generation_error", None)),
        ),
        case(
            "a verdict counts more than the error of the body",
            |layer| says(&layer, "generation_error", "out of memory", &[Error]),
            Some((HTTP, ERROR, "generation_error", Some("out of memory"))),
        ),
        case(
            "a verdict that blames the caller",
            |layer| says(&layer, "validation_error", "no such model", &[Data(3)]),
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
            |layer| leaves_early(&layer, get()),
            Some((HTTP, DEBUG, "client_disconnect", None)),
        ),
        case(
            "the client left before the body",
            |layer| leaves(&layer, get(), 0),
            Some((HTTP, DEBUG, "generator_exit", None)),
        ),
        case(
            "the client left midway",
            |layer| leaves(&layer, get(), 1),
            Some((HTTP, DEBUG, "client_disconnect", None)),
        ),
        case(
            "the client left, which is no error",
            |layer| leaves(&layer.disconnect_is_error(false), get(), 1),
            Some((HTTP, DEBUG, "client_disconnect", None)),
        ),
        case(
            "a classification that knows no errors",
            |layer| {
                let layer = layer.classify(|_, _, _| tower_api_span::Outcome::Departed);
                reads(&layer, get(), 200, &[Error]);
            },
            None,
        ),
        case(
            "a call",
            |layer| answers_call(&layer, grpc(), &[GRPC_OK]),
            None,
        ),
        case(
            "a call whose status tells itself",
            |layer| answers_call(&layer, grpc(), &[Trailers(&[("grpc-status", "13")])]),
            None,
        ),
        case(
            "an error of a call's service",
            |layer| fails(&layer, grpc()),
            Some((RPC, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "an error of a call's body",
            |layer| answers_call(&layer, grpc(), &[Data(3), Error]),
            Some((RPC, ERROR, BOOM, Some("boom"))),
        ),
        case(
            "a call that was cancelled before the head",
            |layer| leaves_early(&layer, grpc()),
            Some((RPC, DEBUG, "client_disconnect", None)),
        ),
        case(
            "a call that was cancelled midway",
            |layer| leaves_call(&layer, grpc()),
            Some((RPC, DEBUG, "client_disconnect", None)),
        ),
        case(
            "a call whose deadline has passed",
            |layer| leaves_call(&layer, too_late()),
            Some((RPC, ERROR, "deadline_exceeded", None)),
        ),
    ]
}

#[test]
fn an_end_that_is_more_than_a_status_is_an_exception() {
    for case in cases() {
        let (at, logs) = (Recorder::new(), Logs::new());
        (case.run)(logs.layer(&at));
        let all = logs.all();
        let got: Vec<_> = all
            .iter()
            .map(|log| {
                let kind = log.text("exception.type").expect("a type");
                let message = log.text("exception.message");
                let named = 1 + usize::from(message.is_some());
                assert_eq!(log.attributes.len(), named, "{}: {log:?}", case.rule);
                (log.name, log.severity, kind, message)
            })
            .collect();
        assert_eq!(got, Vec::from_iter(case.expected), "{}", case.rule);
        let span = server(&at);
        for log in all {
            assert_eq!(log.at, span.end_time, "{}", case.rule);
            assert_eq!(
                log.trace,
                Some(trace_of(&span.span_context)),
                "{}",
                case.rule
            );
        }
    }
}

#[test]
fn a_call_that_is_answered_in_http_is_no_call() {
    // The span's name and the metrics say the same.
    let (at, logs) = (Recorder::new(), Logs::new());
    let layer = logs.layer(&at);
    reads(&layer, grpc(), 502, &[Data(3), Error]);
    assert_eq!(logs.names(), [HTTP]);
    assert_eq!(server(&at).name, "POST");
}

#[test]
fn the_trace_is_the_callers() {
    let (at, logs) = (Recorder::new(), Logs::new());
    fails(&logs.layer(&at), called("01"));
    let trace = logs.all()[0].trace.clone().expect("a trace");
    assert!(trace.starts_with(crate::support::TRACE), "{trace}");
    assert!(trace.ends_with("-01"), "{trace}");
    assert!(!trace.contains(crate::support::CALLER), "{trace}");
}
