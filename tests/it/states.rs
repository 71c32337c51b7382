//! The state machine, one test a row: what happened to a response, and how its span ended.
//!
//! A name is `<phase>_<event>_<end>`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use http::{Method, Request, Response};
use tower::{Service, service_fn};
use tower_api_span::ResponseBody;
use tower_layer::Layer as _;

use crate::support::body::Step::{Data, End, Error, Panic, Pending, Trailers};
use crate::support::body::{Boom, Says, ScriptedBody, Step};
use crate::support::recorder::Recorder;
use crate::support::{answering, get, grpc, panic_of, poll, poll_frame, read, ready, response};

/// The body of a response that was asked for with `request`.
fn body_of(
    at: &Recorder,
    request: Request<()>,
    response: Response<ScriptedBody>,
) -> ResponseBody<ScriptedBody> {
    let mut response = Some(response);
    let mut service = answering(&at.layer(), move |_| response.take().expect("one request"));
    ready(service.call(request))
        .expect("a response")
        .into_body()
}

fn stream(steps: impl IntoIterator<Item = Step>) -> Response<ScriptedBody> {
    response(200, ScriptedBody::new(steps))
}

fn with_length(length: &'static str, body: ScriptedBody) -> Response<ScriptedBody> {
    let mut response = response(200, body);
    let length = http::HeaderValue::from_static(length);
    response.headers_mut().insert("content-length", length);
    response
}

fn next(body: &mut ResponseBody<ScriptedBody>) {
    match poll_frame(body) {
        Poll::Ready(Some(Ok(_))) => {}
        other => panic!("no frame: {other:?}"),
    }
}

/// The outcome, after checking that the span has ended by now.
#[track_caller]
fn assert_ended(at: &Recorder, outcome: &str) {
    assert_eq!(at.ends(), 1, "the span has ended");
    assert_eq!(at.only().outcome(), outcome);
}

#[track_caller]
fn assert_open(at: &Recorder) {
    assert_eq!((at.starts(), at.ends()), (1, 0), "the span is open");
}

// === Handling ===

#[test]
fn handling_inner_error_ends_as_service_error() {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(Boom)
    }));
    assert_eq!(ready(service.call(get())).expect_err("the error"), Boom);
    assert_ended(&at, "ABORTED(exception)");
    let span = at.only();
    assert_eq!(span.error().as_deref(), Some("boom"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("exception"));
    assert_eq!(span.attribute("http.response.status_code"), None);
}

#[test]
fn handling_dropped_before_its_first_poll_ends_as_dropped() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| stream([]));
    let future = service.call(get());
    assert_open(&at);
    drop(future);
    assert_ended(&at, "ABORTED(client_disconnect)");
}

#[test]
fn handling_dropped_while_pending_ends_as_dropped() {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<String>, Boom>>()
    }));
    let mut future = Box::pin(service.call(get()));
    assert!(poll(future.as_mut()).is_pending());
    assert_open(&at);
    drop(future);
    assert_ended(&at, "ABORTED(client_disconnect)");
    let span = at.only();
    assert!(span.is_error());
    assert_eq!(
        span.attribute("error.type").as_deref(),
        Some("client_disconnect")
    );
}

#[test]
fn handling_call_unwinds_ends_as_panicked() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| -> Response<String> { panic!("in call") });
    assert_eq!(panic_of(|| service.call(get())), "in call");
    assert_ended(&at, "ABORTED(panic)");
}

#[test]
fn handling_poll_unwinds_ends_as_panicked_at_once() {
    let at = Recorder::new();
    let mut service = at.layer().layer(service_fn(|_: Request<()>| {
        std::future::poll_fn(|_| -> Poll<Result<Response<String>, Boom>> { panic!("in poll") })
    }));
    let mut future = Box::pin(service.call(get()));
    assert_eq!(panic_of(|| poll(future.as_mut())), "in poll");
    // Caught, as by a catching middleware: the thread does not unwind any more.
    assert_ended(&at, "ABORTED(panic)");
    drop(future);
    assert_ended(&at, "ABORTED(panic)");
}

#[test]
fn handling_dropped_by_unwinding_ends_as_panicked() {
    let at = Recorder::new();
    let mut service = answering(&at.layer(), |_| stream([]));
    let future = service.call(get());
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _future = future;
        panic!("elsewhere in the task");
    }));
    assert!(caught.is_err());
    assert_ended(&at, "ABORTED(panic)");
}

#[test]
fn handling_head_of_a_message_without_body_ends_as_complete() {
    for (method, status) in [
        (Method::HEAD, 200),
        (Method::GET, 204),
        (Method::GET, 304),
        (Method::GET, 101),
        (Method::CONNECT, 200),
    ] {
        let at = Recorder::new();
        let target = match method {
            Method::CONNECT => "example.com:443",
            _ => "/",
        };
        let request = Request::builder().method(&method).uri(target);
        let request = request.body(()).expect("a request");
        let mut answer = with_length("99", ScriptedBody::new([Data(3), Error]));
        *answer.status_mut() = status.try_into().expect("a status");
        let mut body = body_of(&at, request, answer);
        assert_ended(&at, "DEPARTED");
        // HTTP/2 servers poll such a body all the same, to whatever end.
        next(&mut body);
        assert!(matches!(
            poll_frame(&mut body),
            Poll::Ready(Some(Err(Boom)))
        ));
        drop(body);
        assert_ended(&at, "DEPARTED");
    }
}

#[test]
fn handling_head_with_the_body_at_its_end_ends_as_complete() {
    let at = Recorder::new();
    let body = body_of(&at, get(), response(200, ScriptedBody::full(0)));
    assert_ended(&at, "DEPARTED");
    drop(body);
    assert_ended(&at, "DEPARTED");
}

#[test]
fn handling_head_with_the_body_at_its_end_and_a_length_ends_as_length_mismatch() {
    let at = Recorder::new();
    let _body = body_of(&at, get(), with_length("20", ScriptedBody::full(0)));
    assert_ended(&at, "ABORTED(length_mismatch)");
    assert_eq!(at.only().error().as_deref(), Some("0 of 20 declared bytes"));
}

#[test]
fn handling_head_goes_on_streaming() {
    let at = Recorder::new();
    let _body = body_of(&at, get(), stream([Data(3)]));
    assert_open(&at);
}

// === Streaming ===

#[test]
fn streaming_none_ends_as_complete() {
    let at = Recorder::new();
    let mut body = body_of(&at, get(), stream([Data(3), Pending, Data(0), Data(2)]));
    assert_eq!(read(&mut body), Ok(b"xxxxx".to_vec()));
    assert_ended(&at, "DEPARTED");
    let span = at.only();
    assert_eq!(span.events(), ["api.ARRIVED", "api.DEPARTED"]);
    assert_eq!(span.attribute("error.type"), None);
    drop(body);
    assert_ended(&at, "DEPARTED");
}

#[test]
fn streaming_none_with_fewer_or_more_bytes_ends_as_length_mismatch() {
    for (length, declared) in [("20", 20), ("4", 4), ("0", 0)] {
        let at = Recorder::new();
        let mut body = body_of(
            &at,
            get(),
            with_length(length, ScriptedBody::new([Data(5)])),
        );
        read(&mut body).expect("bytes");
        assert_ended(&at, "ABORTED(length_mismatch)");
        let span = at.only();
        assert_eq!(
            span.error(),
            Some(format!("5 of {declared} declared bytes"))
        );
        assert_eq!(
            span.attribute("error.type").as_deref(),
            Some("length_mismatch")
        );
    }
}

#[test]
fn streaming_none_with_fewer_bytes_than_the_exact_size_hint_ends_as_length_mismatch() {
    let at = Recorder::new();
    // A server makes a Content-Length of the hint, and the client sees the message break off.
    let mut body = body_of(
        &at,
        get(),
        response(200, ScriptedBody::new([Data(5)]).sized(9)),
    );
    read(&mut body).expect("bytes");
    assert_ended(&at, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_data_with_nothing_owed_but_a_body_that_goes_on_stays_open() {
    let at = Recorder::new();
    let answer = with_length("5", ScriptedBody::new([Data(3), Data(2), Pending]));
    let mut body = body_of(&at, get(), answer);
    next(&mut body);
    next(&mut body);
    assert_open(&at);
    assert!(poll_frame(&mut body).is_pending());
    assert_open(&at);
}

#[test]
fn streaming_data_with_nothing_owed_then_an_error_ends_as_body_error() {
    let at = Recorder::new();
    let mut body = body_of(
        &at,
        get(),
        with_length("5", ScriptedBody::new([Data(5), Error])),
    );
    next(&mut body);
    assert!(matches!(
        poll_frame(&mut body),
        Poll::Ready(Some(Err(Boom)))
    ));
    assert_ended(&at, "ABORTED(exception)");
}

#[test]
fn streaming_data_with_nothing_owed_then_more_data_ends_as_length_mismatch() {
    let at = Recorder::new();
    let answer = with_length("5", ScriptedBody::new([Data(5), Data(1), Data(1)]));
    let mut body = body_of(&at, get(), answer);
    next(&mut body);
    next(&mut body);
    assert_open(&at);
    drop(body);
    assert_ended(&at, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_trailers_end_as_complete_with_trailers() {
    let at = Recorder::new();
    let trailers = Trailers(&[("grpc-status", "5"), ("grpc-message", "no%20model")]);
    let mut answer = stream([Data(7), trailers]);
    let grpc_content = http::HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert("content-type", grpc_content);
    let mut body = body_of(&at, grpc(), answer);
    next(&mut body);
    assert_open(&at);
    next(&mut body);
    assert_ended(&at, "ABORTED(client_error)");
    let span = at.only();
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        Some("NOT_FOUND")
    );
    assert_eq!(span.error().as_deref(), Some("no model"));
    assert!(!span.is_error());
}

#[test]
fn streaming_trailers_end_as_length_mismatch_where_bytes_are_owed() {
    let at = Recorder::new();
    let answer = with_length("9", ScriptedBody::new([Data(7), Trailers(&[("a", "b")])]));
    let mut body = body_of(&at, get(), answer);
    read(&mut body).expect("bytes");
    assert_ended(&at, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_frame_after_which_the_body_is_at_its_end_ends_as_complete() {
    let at = Recorder::new();
    let script = ScriptedBody::new([Data(3), Data(2)]).saying(Says::Truth);
    let mut body = body_of(&at, get(), response(200, script));
    next(&mut body);
    assert_open(&at);
    next(&mut body);
    assert_ended(&at, "DEPARTED");
}

#[test]
fn streaming_frame_after_which_the_body_is_at_its_end_ends_as_length_mismatch() {
    let at = Recorder::new();
    let mut body = body_of(&at, get(), with_length("9", ScriptedBody::full(3)));
    next(&mut body);
    assert_ended(&at, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_error_ends_as_body_error() {
    let at = Recorder::new();
    let mut body = body_of(&at, get(), stream([Data(3), Error]));
    assert_eq!(read(&mut body), Err(Boom));
    assert_ended(&at, "ABORTED(exception)");
    let span = at.only();
    assert_eq!(span.error().as_deref(), Some("boom"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("exception"));
    assert_eq!(
        span.attribute("http.response.status_code").as_deref(),
        Some("200")
    );
}

#[test]
fn streaming_dropped_with_nothing_owed_ends_as_complete_when_the_last_frame_was() {
    let at = Recorder::new();
    let answer = with_length("5", ScriptedBody::new([Data(3), Data(2)]));
    let begun = std::time::Instant::now();
    let mut body = body_of(&at, get(), answer);
    next(&mut body);
    next(&mut body);
    let delivered = begun.elapsed();
    // Until the drop is later than that by more than the span began after `begun`.
    while begun.elapsed() <= 2 * delivered {}
    drop(body);
    assert_ended(&at, "DEPARTED");
    assert!(
        at.only().duration() <= delivered,
        "it ended with its last frame"
    );
}

#[test]
fn streaming_dropped_with_nothing_owed_from_the_start_ends_as_complete() {
    let at = Recorder::new();
    // What an HTTP/1 server does with `content-length: 0` and a body that has not ended.
    drop(body_of(
        &at,
        get(),
        with_length("0", ScriptedBody::new([Data(3)])),
    ));
    assert_ended(&at, "DEPARTED");
}

#[test]
fn streaming_dropped_with_the_exact_size_hint_delivered_ends_as_complete() {
    let at = Recorder::new();
    let script = ScriptedBody::new([Data(3), Data(2)]).sized(5);
    let mut body = body_of(&at, get(), response(200, script));
    next(&mut body);
    next(&mut body);
    drop(body);
    assert_ended(&at, "DEPARTED");
}

#[test]
fn streaming_dropped_after_a_poll_ends_as_dropped_midway() {
    for steps in [vec![Data(3), Data(2)], vec![Pending]] {
        let at = Recorder::new();
        let mut body = body_of(&at, get(), stream(steps));
        let _ = poll_frame(&mut body);
        assert_open(&at);
        drop(body);
        assert_ended(&at, "ABORTED(client_disconnect)");
        assert!(at.only().is_error());
    }
}

#[test]
fn streaming_dropped_without_a_poll_ends_as_dropped_unread() {
    let at = Recorder::new();
    drop(body_of(&at, get(), stream([Data(3)])));
    assert_ended(&at, "ABORTED(generator_exit)");
    assert_eq!(
        at.only().attribute("error.type").as_deref(),
        Some("generator_exit")
    );
}

#[test]
fn streaming_poll_unwinds_ends_as_panicked_at_once() {
    let at = Recorder::new();
    let mut body = body_of(&at, get(), stream([Data(3), Panic, Data(2)]));
    next(&mut body);
    assert_eq!(panic_of(|| poll_frame(&mut body)), "the body panics");
    assert_ended(&at, "ABORTED(panic)");
    // Who catches it may even go on reading.
    next(&mut body);
    drop(body);
    assert_ended(&at, "ABORTED(panic)");
}

#[test]
fn streaming_dropped_by_unwinding_ends_as_panicked() {
    let at = Recorder::new();
    let body = body_of(&at, get(), stream([Data(3)]));
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _body = body;
        panic!("elsewhere in the task");
    }));
    assert!(caught.is_err());
    assert_ended(&at, "ABORTED(panic)");
}

// === Ended ===

#[test]
fn ended_after_none_the_inner_body_is_not_polled_again() {
    for traced in [true, false] {
        let at = Recorder::new();
        let layer = at.layer().filter(move |_| traced);
        let mut service = answering(&layer, |_| stream([Data(1), End, Panic]));
        let mut body = ready(service.call(get())).expect("a response").into_body();
        next(&mut body);
        for _ in 0..3 {
            assert!(matches!(poll_frame(&mut body), Poll::Ready(None)));
        }
        assert_eq!(at.ends(), usize::from(traced));
    }
}

#[test]
fn ended_after_trailers_the_body_passes_on_what_comes() {
    let at = Recorder::new();
    let mut body = body_of(
        &at,
        get(),
        stream([Trailers(&[("a", "b")]), Data(2), Error]),
    );
    next(&mut body);
    assert_ended(&at, "DEPARTED");
    next(&mut body);
    assert!(matches!(
        poll_frame(&mut body),
        Poll::Ready(Some(Err(Boom)))
    ));
    drop(body);
    assert_ended(&at, "DEPARTED");
}
