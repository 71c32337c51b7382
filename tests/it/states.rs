//! The state machine of a response: one test per transition, named `<state>_<event>_<result>`.
//! Further cases of the transitions follow.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, Response};
use tower::{Service, service_fn};
use tower_api_span::ResponseBody;
use tower_layer::Layer as _;

use crate::support::body::Step::{Data, End, Error, Panic, Pending, Trailers};
use crate::support::body::{Boom, Says, ScriptedBody, Step};
use crate::support::recorder::Recorder;
use crate::support::{answering, get, grpc, panic_of, poll, poll_frame, read, ready, response};

/// Sends `request` through the layer to a handler that returns `response`, and returns its body.
fn open(
    recorder: &Recorder,
    request: Request<()>,
    response: Response<ScriptedBody>,
) -> ResponseBody<ScriptedBody> {
    let mut response = Some(response);
    let mut service = answering(&recorder.layer(), move |_| {
        response.take().expect("one request")
    });
    ready(service.call(request))
        .expect("a response")
        .into_body()
}

fn stream(steps: impl IntoIterator<Item = Step>) -> Response<ScriptedBody> {
    response(200, ScriptedBody::new(steps))
}

fn with_length(length: &'static str, body: ScriptedBody) -> Response<ScriptedBody> {
    let mut response = response(200, body);
    let length = HeaderValue::from_static(length);
    response.headers_mut().insert("content-length", length);
    response
}

/// Reads one frame.
fn next(body: &mut ResponseBody<ScriptedBody>) {
    match poll_frame(body) {
        Poll::Ready(Some(Ok(_))) => {}
        other => panic!("no frame: {other:?}"),
    }
}

/// Waits until a span that ends now is longer than `delivered`, if it started after `begun`.
fn outlast(begun: Instant, delivered: Duration) {
    while begun.elapsed() <= 2 * delivered {}
}

/// Asserts that the span has ended with this outcome.
#[track_caller]
fn assert_ended(recorder: &Recorder, outcome: &str) {
    assert_eq!(recorder.ends(), 1, "the span has ended");
    assert_eq!(recorder.only().outcome(), outcome);
}

#[track_caller]
fn assert_open(recorder: &Recorder) {
    assert_eq!(
        (recorder.starts(), recorder.ends()),
        (1, 0),
        "the span is open"
    );
}

// === Handling ===

#[test]
fn awaiting_head_inner_future_err_ends_as_service_error() {
    let recorder = Recorder::new();
    let mut service = recorder.layer().layer(service_fn(async |_: Request<()>| {
        Err::<Response<String>, _>(Boom)
    }));
    assert_eq!(ready(service.call(get())).expect_err("the error"), Boom);
    assert_ended(&recorder, "ABORTED(exception)");
    let span = recorder.only();
    assert_eq!(span.error().as_deref(), Some("boom"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("exception"));
    assert_eq!(span.attribute("http.response.status_code"), None);
}

#[test]
fn awaiting_head_future_dropped_ends_as_dropped_before_a_head() {
    let recorder = Recorder::new();
    let mut service = recorder.layer().layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<String>, Boom>>()
    }));
    let mut future = Box::pin(service.call(get()));
    assert!(poll(future.as_mut()).is_pending());
    assert_open(&recorder);
    drop(future);
    assert_ended(&recorder, "ABORTED(client_disconnect)");
    let span = recorder.only();
    assert!(span.is_error());
    assert_eq!(
        span.attribute("error.type").as_deref(),
        Some("client_disconnect")
    );
}

#[test]
fn awaiting_head_call_or_poll_unwinds_ends_as_panicked() {
    // `call` unwinds.
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |_| -> Response<String> {
        panic!("in call")
    });
    assert_eq!(panic_of(|| service.call(get())), "in call");
    assert_ended(&recorder, "ABORTED(panic)");

    // `poll` unwinds.
    let recorder = Recorder::new();
    let mut service = recorder.layer().layer(service_fn(|_: Request<()>| {
        std::future::poll_fn(|_| -> Poll<Result<Response<String>, Boom>> { panic!("in poll") })
    }));
    let mut future = Box::pin(service.call(get()));
    assert_eq!(panic_of(|| poll(future.as_mut())), "in poll");
    // The span has ended already when a middleware catches the panic.
    assert_ended(&recorder, "ABORTED(panic)");
    drop(future);
    assert_ended(&recorder, "ABORTED(panic)");
}

#[test]
fn awaiting_head_head_with_no_body_or_an_ended_body_ends_as_complete_or_length_mismatch() {
    // The message can have no body.
    for (method, status, outcome) in [
        (Method::HEAD, 200, "DEPARTED"),
        (Method::GET, 204, "DEPARTED"),
        (Method::GET, 304, "DEPARTED"),
        (Method::GET, 101, "DEPARTED"),
        (Method::GET, 103, "ABORTED(exception)"),
        (Method::CONNECT, 200, "DEPARTED"),
    ] {
        let recorder = Recorder::new();
        let target = match method {
            Method::CONNECT => "example.com:443",
            _ => "/",
        };
        let request = Request::builder().method(&method).uri(target);
        let request = request.body(()).expect("a request");
        let mut response = with_length("99", ScriptedBody::new([Data(3), Error]));
        *response.status_mut() = status.try_into().expect("a status");
        let mut body = open(&recorder, request, response);
        assert_ended(&recorder, outcome);
        // hyper polls such a body over HTTP/2; its frames and errors do not change the span.
        next(&mut body);
        assert!(matches!(
            poll_frame(&mut body),
            Poll::Ready(Some(Err(Boom)))
        ));
        drop(body);
        assert_ended(&recorder, outcome);
    }

    // The body is at its end.
    let recorder = Recorder::new();
    let body = open(&recorder, get(), response(200, ScriptedBody::full(0)));
    assert_ended(&recorder, "DEPARTED");
    drop(body);
    assert_ended(&recorder, "DEPARTED");

    // The body is at its end, and the declared length is larger.
    let recorder = Recorder::new();
    let _body = open(&recorder, get(), with_length("20", ScriptedBody::full(0)));
    assert_ended(&recorder, "ABORTED(length_mismatch)");
    assert_eq!(
        recorder.only().error().as_deref(),
        Some("0 of 20 declared bytes")
    );
}

#[test]
fn awaiting_head_head_goes_on_as_streaming() {
    let recorder = Recorder::new();
    let _body = open(&recorder, get(), stream([Data(3)]));
    assert_open(&recorder);
}

// === Streaming ===

#[test]
fn streaming_data_with_all_bytes_returned_goes_on_as_streaming_and_notes_the_time() {
    let recorder = Recorder::new();
    let response = with_length("5", ScriptedBody::new([Data(3), Data(2), Pending]));
    let begun = Instant::now();
    let mut body = open(&recorder, get(), response);
    next(&mut body);
    next(&mut body);
    let delivered = begun.elapsed();
    assert_open(&recorder);
    outlast(begun, delivered);
    assert!(poll_frame(&mut body).is_pending());
    assert_open(&recorder);
    drop(body);
    assert_ended(&recorder, "DEPARTED");
    assert!(
        recorder.only().duration() <= delivered,
        "the end is later than the last frame"
    );
}

#[test]
fn streaming_data_that_completes_the_terminator_ends_as_complete() {
    let recorder = Recorder::new();
    let layer = recorder.layer().stream_terminator("[DONE]");
    let mut service = answering(&layer, |_| {
        let mut response = stream([
            Step::Bytes(b"data: 1\n\n"),
            Step::Bytes(b"data: [DO"),
            Step::Bytes(b"NE]\n\n"),
            Pending,
        ]);
        let event_stream = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", event_stream);
        response
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    next(&mut body);
    next(&mut body);
    assert_open(&recorder);
    next(&mut body);
    assert_ended(&recorder, "DEPARTED");
    drop(body);
    assert_ended(&recorder, "DEPARTED");
}

#[test]
fn streaming_trailers_end_as_complete_with_trailers() {
    let recorder = Recorder::new();
    let trailers = Trailers(&[("grpc-status", "5"), ("grpc-message", "no%20model")]);
    let mut response = stream([Data(7), trailers]);
    let grpc_content = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc_content);
    let mut body = open(&recorder, grpc(), response);
    next(&mut body);
    assert_open(&recorder);
    next(&mut body);
    assert_ended(&recorder, "ABORTED(client_error)");
    let span = recorder.only();
    assert_eq!(
        span.attribute("rpc.status_code").as_deref(),
        Some("NOT_FOUND")
    );
    assert_eq!(span.error().as_deref(), Some("no model"));
    assert!(!span.is_error());
}

#[test]
fn streaming_frame_after_which_is_end_stream_ends_as_complete_or_length_mismatch() {
    // All declared bytes were sent.
    let recorder = Recorder::new();
    let script = ScriptedBody::new([Data(3), Data(2)]).saying(Says::Truth);
    let mut body = open(&recorder, get(), response(200, script));
    next(&mut body);
    assert_open(&recorder);
    next(&mut body);
    assert_ended(&recorder, "DEPARTED");

    // Fewer bytes were sent than declared.
    let recorder = Recorder::new();
    let mut body = open(&recorder, get(), with_length("9", ScriptedBody::full(3)));
    next(&mut body);
    assert_ended(&recorder, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_none_ends_as_complete_or_length_mismatch() {
    // No length is declared.
    let recorder = Recorder::new();
    let mut body = open(
        &recorder,
        get(),
        stream([Data(3), Pending, Data(0), Data(2)]),
    );
    assert_eq!(read(&mut body), Ok(b"xxxxx".to_vec()));
    assert_ended(&recorder, "DEPARTED");
    let span = recorder.only();
    assert_eq!(span.events(), ["api.ARRIVED", "api.DEPARTED"]);
    assert_eq!(span.attribute("error.type"), None);
    drop(body);
    assert_ended(&recorder, "DEPARTED");

    // Fewer or more bytes were sent than declared.
    for (length, declared) in [("20", 20), ("4", 4), ("0", 0)] {
        let recorder = Recorder::new();
        let mut body = open(
            &recorder,
            get(),
            with_length(length, ScriptedBody::new([Data(5)])),
        );
        read(&mut body).expect("bytes");
        assert_ended(&recorder, "ABORTED(length_mismatch)");
        let span = recorder.only();
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

// A frame that is neither data nor trailers goes on as streaming. This transition has no test,
// because `http_body::Frame` has no constructor for such a frame.

#[test]
fn streaming_error_frame_ends_as_body_error() {
    let recorder = Recorder::new();
    let mut body = open(&recorder, get(), stream([Data(3), Error]));
    assert_eq!(read(&mut body), Err(Boom));
    assert_ended(&recorder, "ABORTED(exception)");
    let span = recorder.only();
    assert_eq!(span.error().as_deref(), Some("boom"));
    assert_eq!(span.attribute("error.type").as_deref(), Some("exception"));
    assert_eq!(
        span.attribute("http.response.status_code").as_deref(),
        Some("200")
    );
}

#[test]
fn streaming_empty_frame_after_all_bytes_does_not_move_the_end() {
    let recorder = Recorder::new();
    let response = with_length("5", ScriptedBody::new([Data(5), Data(0)]));
    let begun = Instant::now();
    let mut body = open(&recorder, get(), response);
    next(&mut body);
    let delivered = begun.elapsed();
    outlast(begun, delivered);
    next(&mut body);
    drop(body);
    assert_ended(&recorder, "DEPARTED");
    let lasted = recorder.only().duration();
    assert!(lasted <= delivered, "{lasted:?} of {delivered:?}");
}

#[test]
fn streaming_dropped_with_all_bytes_returned_ends_as_complete_or_length_mismatch() {
    // All declared bytes were sent.
    let recorder = Recorder::new();
    let response = with_length("5", ScriptedBody::new([Data(3), Data(2)]));
    let begun = Instant::now();
    let mut body = open(&recorder, get(), response);
    next(&mut body);
    next(&mut body);
    let delivered = begun.elapsed();
    outlast(begun, delivered);
    drop(body);
    assert_ended(&recorder, "DEPARTED");
    assert!(
        recorder.only().duration() <= delivered,
        "the end is later than the last frame"
    );

    // More bytes were sent than declared.
    let recorder = Recorder::new();
    let response = with_length("5", ScriptedBody::new([Data(5), Data(1), Data(1)]));
    let mut body = open(&recorder, get(), response);
    next(&mut body);
    next(&mut body);
    assert_open(&recorder);
    drop(body);
    assert_ended(&recorder, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_dropped_with_bytes_missing_ends_as_dropped_midway_or_unread() {
    // The body was polled before.
    for steps in [vec![Data(3), Data(2)], vec![Pending]] {
        let recorder = Recorder::new();
        let mut body = open(&recorder, get(), stream(steps));
        let _ = poll_frame(&mut body);
        assert_open(&recorder);
        drop(body);
        assert_ended(&recorder, "ABORTED(client_disconnect)");
        assert!(recorder.only().is_error());
    }

    // The body was never polled.
    let recorder = Recorder::new();
    drop(open(&recorder, get(), stream([Data(3)])));
    assert_ended(&recorder, "ABORTED(generator_exit)");
    assert_eq!(
        recorder.only().attribute("error.type").as_deref(),
        Some("generator_exit")
    );
}

#[test]
fn streaming_poll_frame_unwinds_or_dropped_by_unwinding_ends_as_panicked() {
    // `poll_frame` unwinds.
    let recorder = Recorder::new();
    let mut body = open(&recorder, get(), stream([Data(3), Panic, Data(2)]));
    next(&mut body);
    assert_eq!(panic_of(|| poll_frame(&mut body)), "the body panics");
    assert_ended(&recorder, "ABORTED(panic)");
    // The caller may catch the panic and poll again.
    next(&mut body);
    drop(body);
    assert_ended(&recorder, "ABORTED(panic)");

    // The body is dropped by unwinding.
    let recorder = Recorder::new();
    let body = open(&recorder, get(), stream([Data(3)]));
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _body = body;
        panic!("elsewhere in the task");
    }));
    assert!(caught.is_err());
    assert_ended(&recorder, "ABORTED(panic)");
}

// === Ended ===

#[test]
fn ended_any_event_changes_nothing() {
    let recorder = Recorder::new();
    let mut body = open(
        &recorder,
        get(),
        stream([Trailers(&[("a", "b")]), Data(2), Error]),
    );
    next(&mut body);
    assert_ended(&recorder, "DEPARTED");
    let ended = recorder.only().0;
    next(&mut body);
    assert!(matches!(
        poll_frame(&mut body),
        Poll::Ready(Some(Err(Boom)))
    ));
    drop(body);
    assert_ended(&recorder, "DEPARTED");
    assert_eq!(recorder.only().0, ended);
}

// === Further cases of these transitions ===

#[test]
fn awaiting_head_future_dropped_before_its_first_poll_ends_as_dropped_before_a_head() {
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |_| stream([]));
    let future = service.call(get());
    assert_open(&recorder);
    drop(future);
    assert_ended(&recorder, "ABORTED(client_disconnect)");
}

#[test]
fn awaiting_head_future_dropped_by_unwinding_ends_as_panicked() {
    let recorder = Recorder::new();
    let mut service = answering(&recorder.layer(), |_| stream([]));
    let future = service.call(get());
    let caught = catch_unwind(AssertUnwindSafe(move || {
        let _future = future;
        panic!("elsewhere in the task");
    }));
    assert!(caught.is_err());
    assert_ended(&recorder, "ABORTED(panic)");
}

/// The head is returned when the operator's callback has been called, and whatever that took is part of the
/// request.
#[test]
fn awaiting_head_head_that_is_the_end_ends_after_the_response_attributes_callback() {
    for (rule, method, status) in [
        ("an ended body", Method::GET, 200),
        ("no body by its status", Method::GET, 204),
        ("no body by its method", Method::HEAD, 200),
    ] {
        let recorder = Recorder::new();
        let layer = recorder.layer().response_attributes(|_| {
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_millis(2) {}
            None
        });
        let mut service = answering(&layer, |_| response(status, ScriptedBody::full(0)));
        let request = Request::builder().method(method).uri("/");
        let body = ready(service.call(request.body(()).expect("a request")));
        assert_ended(&recorder, "DEPARTED");
        assert!(
            recorder.only().duration() >= Duration::from_millis(2),
            "{rule}"
        );
        drop(body);
    }
}

/// The same for a head that declares no bytes, where the body is dropped instead.
#[test]
fn streaming_dropped_with_no_bytes_declared_ends_after_the_callback() {
    let recorder = Recorder::new();
    let layer = recorder.layer().response_attributes(|_| {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(2) {}
        None
    });
    let mut service = answering(&layer, |_| with_length("0", ScriptedBody::new([Pending])));
    drop(ready(service.call(get())).expect("a response"));
    assert_ended(&recorder, "DEPARTED");
    assert!(recorder.only().duration() >= Duration::from_millis(2));
}

#[test]
fn streaming_none_with_fewer_bytes_than_the_exact_size_hint_ends_as_length_mismatch() {
    let recorder = Recorder::new();
    // A server derives the Content-Length from the hint, so that the client gets a truncated message.
    let mut body = open(
        &recorder,
        get(),
        response(200, ScriptedBody::new([Data(5)]).sized(9)),
    );
    read(&mut body).expect("bytes");
    assert_ended(&recorder, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_error_frame_with_all_bytes_returned_ends_as_body_error() {
    let recorder = Recorder::new();
    let mut body = open(
        &recorder,
        get(),
        with_length("5", ScriptedBody::new([Data(5), Error])),
    );
    next(&mut body);
    assert!(matches!(
        poll_frame(&mut body),
        Poll::Ready(Some(Err(Boom)))
    ));
    assert_ended(&recorder, "ABORTED(exception)");
}

#[test]
fn streaming_trailers_with_bytes_missing_end_as_length_mismatch() {
    let recorder = Recorder::new();
    let response = with_length("9", ScriptedBody::new([Data(7), Trailers(&[("a", "b")])]));
    let mut body = open(&recorder, get(), response);
    read(&mut body).expect("bytes");
    assert_ended(&recorder, "ABORTED(length_mismatch)");
}

#[test]
fn streaming_dropped_with_no_bytes_declared_ends_as_complete() {
    let recorder = Recorder::new();
    // An HTTP/1 server drops the body unread if `content-length` is 0.
    drop(open(
        &recorder,
        get(),
        with_length("0", ScriptedBody::new([Data(3)])),
    ));
    assert_ended(&recorder, "DEPARTED");
}

#[test]
fn streaming_dropped_with_the_exact_size_hint_delivered_ends_as_complete() {
    let recorder = Recorder::new();
    let script = ScriptedBody::new([Data(3), Data(2)]).sized(5);
    let mut body = open(&recorder, get(), response(200, script));
    next(&mut body);
    next(&mut body);
    drop(body);
    assert_ended(&recorder, "DEPARTED");
}

#[test]
fn ended_after_none_does_not_poll_the_inner_body_again() {
    for traced in [true, false] {
        let recorder = Recorder::new();
        let layer = recorder.layer().filter(move |_| traced);
        let mut service = answering(&layer, |_| stream([Data(1), End, Panic]));
        let mut body = ready(service.call(get())).expect("a response").into_body();
        next(&mut body);
        for _ in 0..3 {
            assert!(matches!(poll_frame(&mut body), Poll::Ready(None)));
        }
        assert_eq!(recorder.ends(), usize::from(traced));
    }
}
