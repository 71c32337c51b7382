//! Request bodies that fail as scripted, polled by hand.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::request::Builder;
use http::{Request, Response, Version};
use http_body::{Body, Frame};
use opentelemetry::Key;
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tower::{Layer as _, Service as _, service_fn};
use tower_api_span::{ApiSpanLayer, RequestBody, RequestBodyLayer, ResponseBody};

use crate::completion::Completions;
use crate::support::body::Step::{Data, Panic, Silent};
use crate::support::body::{Boom, Says, ScriptedBody};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{defused, handle_of, poll_frame, ready, response};

/// The request's body: one frame, and then this.
#[derive(Debug)]
enum Upload {
    Frame(Then),
    Rest(Then),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Disconnect,
    OtherError,
    /// The end, although `is_end_stream` is false.
    End,
}
use Then::{Disconnect, End, OtherError};

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready(match *self {
            Self::Frame(then) => {
                *self = Self::Rest(then);
                Some(Ok(Frame::data(Bytes::from_static(b"part"))))
            }
            Self::Rest(Disconnect) => Some(Err(io::ErrorKind::ConnectionReset.into())),
            Self::Rest(OtherError) => Some(Err(io::ErrorKind::InvalidData.into())),
            Self::Rest(End) => None,
        })
    }
}

/// What the handler makes of the request after it has read it.
#[derive(Clone, Copy, Debug)]
enum Handler {
    Answers(u16),
    AnswersEmpty,
    Fails,
    Panics,
    Marks,
    Allows,
}

/// Runs one request, of which the handler reads all. The server polls the response's body so many times.
fn run(layer: &ApiSpanLayer, request: Builder, then: Then, handler: Handler, polls: usize) {
    let inner = service_fn(move |mut request: Request<RequestBody<Upload>>| {
        while let Poll::Ready(Some(Ok(_))) = poll_frame(request.body_mut()) {}
        let body = ScriptedBody::new([Data(2)]);
        std::future::ready(match handler {
            Handler::Answers(status) => Ok(response(status, body)),
            Handler::AnswersEmpty => Ok(response(204, ScriptedBody::full(0))),
            Handler::Fails => Err(Boom),
            Handler::Panics => std::panic::resume_unwind(Box::new("the handler panics")),
            Handler::Marks => {
                handle_of(&request).mark_aborted("upload_failed", "");
                Ok(response(200, body))
            }
            Handler::Allows => {
                handle_of(&request).allow_disconnect();
                Ok(response(200, body))
            }
        })
    });
    let mut service = layer.layer(RequestBodyLayer::new().layer(inner));
    let request = request.body(Upload::Frame(then)).expect("a request");
    let run = std::panic::AssertUnwindSafe(|| {
        if let Ok(answer) = ready(service.call(request)) {
            let mut body: ResponseBody<_> = Response::into_body(answer);
            for _ in 0..polls {
                let _ = poll_frame(&mut body);
            }
        }
    });
    // The handler may panic.
    let _ = std::panic::catch_unwind(run);
}

fn post(version: Version) -> Builder {
    Request::post("/").version(version)
}

fn span_of(version: Version, then: Then, handler: Handler, polls: usize) -> Seen {
    let recorder = Recorder::new();
    run(&recorder.layer(), post(version), then, handler, polls);
    recorder.only()
}

const H1: Version = Version::HTTP_11;
const H2: Version = Version::HTTP_2;

#[test]
fn disconnect_is_the_cause_whatever_the_handler_makes_of_it() {
    for (handler, polls, outcome) in [
        (Handler::Answers(200), 2, "ABORTED(client_disconnect)"),
        (Handler::Answers(500), 2, "ABORTED(client_disconnect)"),
        (Handler::Answers(400), 0, "ABORTED(client_disconnect)"),
        (Handler::AnswersEmpty, 0, "ABORTED(client_disconnect)"),
        (Handler::Fails, 0, "ABORTED(client_disconnect)"),
        (Handler::Panics, 0, "ABORTED(panic)"),
        // The handler's own word counts more than the cause.
        (Handler::Marks, 2, "ABORTED(upload_failed)"),
    ] {
        let span = span_of(H1, Disconnect, handler, polls);
        assert_eq!(span.outcome(), outcome, "{handler:?}");
        let status = span.attribute("http.response.status_code");
        assert_eq!(status, None, "{handler:?}");
        assert_eq!(span.attribute("api.time_to_head"), None, "{handler:?}");
    }
}

#[test]
fn log_event_of_a_disconnect_does_not_name_the_error_that_followed() {
    let recorder = Recorder::new();
    let exporter = InMemoryLogExporter::default();
    let logs = SdkLoggerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let layer = recorder.layer().logger_provider(&logs);
    run(&layer, post(H1), Disconnect, Handler::Fails, 0);
    let events = exporter.get_emitted_logs().expect("logs");
    assert_eq!(events.len(), 1);
    let event = &events[0].record;
    assert_eq!(event.severity_number(), Some(Severity::Debug));
    let attributes: Vec<_> = event.attributes_iter().collect();
    let expected = (
        Key::new("exception.type"),
        AnyValue::from("client_disconnect"),
    );
    assert_eq!(attributes, [&expected]);
}

#[test]
fn another_error_is_the_handlers_to_answer() {
    for (handler, polls, outcome) in [
        (Handler::Answers(200), 2, "DEPARTED"),
        (Handler::Answers(400), 2, "ABORTED(validation_error)"),
        (Handler::AnswersEmpty, 0, "DEPARTED"),
        (Handler::Fails, 0, "ABORTED(exception)"),
    ] {
        let span = span_of(H1, OtherError, handler, polls);
        assert_eq!(span.outcome(), outcome, "{handler:?}");
    }
}

#[test]
fn body_that_is_over_before_its_end_explains_a_response_that_is_not_read() {
    for (version, polls, outcome) in [
        // The stream was reset without an error.
        (H2, 0, "ABORTED(client_disconnect)"),
        // The server sends the response, so the stream is open: this kind of body never says that it is at its end.
        (H2, 2, "DEPARTED"),
        // HTTP/1.1 has no such reset.
        (H1, 0, "ABORTED(generator_exit)"),
    ] {
        let span = span_of(version, End, Handler::Answers(200), polls);
        assert_eq!(span.outcome(), outcome, "{version:?}, {polls} polls");
    }
    let span = span_of(H2, End, Handler::AnswersEmpty, 0);
    assert_eq!(span.outcome(), "DEPARTED", "an empty response is whole");
}

#[test]
fn body_that_is_shorter_than_declared_was_cut_although_it_has_no_error() {
    for (declared, outcome) in [("4", "DEPARTED"), ("5", "ABORTED(client_disconnect)")] {
        let recorder = Recorder::new();
        let request = post(H2).header("content-length", declared);
        run(&recorder.layer(), request, End, Handler::Answers(200), 2);
        assert_eq!(recorder.only().outcome(), outcome, "{declared} bytes");
    }
}

#[test]
fn bytes_that_were_read_are_those_of_the_completion() {
    let (recorder, completions) = (Recorder::new(), Completions::default());
    let layer = completions.of(recorder.layer().body_sizes(true));
    run(&layer, post(H1), Disconnect, Handler::Answers(200), 2);
    assert_eq!(completions.only().request_bytes(), Some(4));
}

#[test]
fn allowed_disconnect_is_no_error() {
    let recorder = Recorder::new();
    let layer = recorder.layer().disconnect_is_error(false);
    run(&layer, post(H1), Disconnect, Handler::Answers(200), 0);
    let by_setting = recorder.only();
    let by_handler = span_of(H1, Disconnect, Handler::Allows, 0);
    for span in [by_setting, by_handler] {
        assert_eq!(span.outcome(), "ABORTED(client_disconnect)");
        assert!(!span.is_error());
    }
}

/// Returns a response to a request that a task goes on reading, and the request.
fn respond_early(
    recorder: &Recorder,
    body: impl Fn() -> ScriptedBody,
) -> (ResponseBody<ScriptedBody>, RequestBody<Upload>) {
    let kept = Arc::new(Mutex::new(None));
    let store = Arc::clone(&kept);
    let inner = service_fn(move |request: Request<RequestBody<Upload>>| {
        *store.lock().expect("one thread") = Some(request.into_body());
        std::future::ready(Ok::<_, Boom>(response(200, body())))
    });
    let mut service = recorder.layer().layer(RequestBodyLayer::new().layer(inner));
    let request = Request::post("/").body(Upload::Rest(Disconnect));
    let answer = ready(service.call(request.expect("a request"))).expect("a response");
    let upload = kept.lock().expect("one thread").take();
    (answer.into_body(), upload.expect("a request"))
}

#[test]
fn disconnect_during_the_response_keeps_the_status_that_was_sent() {
    for (last, reason) in [(Data(2), "client_disconnect"), (Panic, "panic")] {
        let recorder = Recorder::new();
        let (mut body, mut upload) =
            respond_early(&recorder, || ScriptedBody::new([Data(1), last.clone()]));
        assert!(poll_frame(&mut body).is_ready());
        assert!(matches!(poll_frame(&mut upload), Poll::Ready(Some(Err(_)))));
        let rest = std::panic::AssertUnwindSafe(|| {
            let _ = poll_frame(&mut body);
            let _ = poll_frame(&mut body);
        });
        // The last frame may panic.
        let _ = std::panic::catch_unwind(rest);
        drop(body);
        let span = recorder.only();
        assert_eq!(span.outcome(), format!("ABORTED({reason})"));
        let status = span.attribute("http.response.status_code");
        assert_eq!(status.as_deref(), Some("200"));
    }
}

#[test]
fn response_that_was_whole_before_the_disconnect_departs() {
    for (polls_before, outcome) in [(2, "DEPARTED"), (1, "ABORTED(client_disconnect)")] {
        let recorder = Recorder::new();
        let whole = || ScriptedBody::new([Data(3), Data(2), Silent]).sized(5);
        let (mut body, mut upload) = respond_early(&recorder, whole);
        for _ in 0..polls_before {
            assert!(poll_frame(&mut body).is_ready());
        }
        assert!(matches!(poll_frame(&mut upload), Poll::Ready(Some(Err(_)))));
        for _ in polls_before..2 {
            assert!(poll_frame(&mut body).is_ready());
        }
        assert!(poll_frame(&mut body).is_pending());
        drop(body);
        let span = recorder.only();
        assert_eq!(span.outcome(), outcome, "{polls_before} polls before");
    }
}

#[test]
fn error_of_the_body_is_returned_unchanged_with_and_without_a_span() {
    let recorder = Recorder::new();
    for (layer, spans) in [
        (recorder.layer().filter(|_| false), 0),
        (recorder.layer(), 1),
    ] {
        let inner = service_fn(|mut request: Request<RequestBody<Upload>>| {
            let first = poll_frame(request.body_mut());
            assert!(matches!(first, Poll::Ready(Some(Ok(_)))));
            let Poll::Ready(Some(Err(error))) = poll_frame(request.body_mut()) else {
                panic!("an error");
            };
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            std::future::ready(Ok::<_, Boom>(response(200, ScriptedBody::full(1))))
        });
        let mut service = layer.layer(RequestBodyLayer::new().layer(inner));
        let request = Request::post("/").body(Upload::Frame(Disconnect));
        ready(service.call(request.expect("a request"))).expect("a response");
        assert_eq!(recorder.ends(), spans);
    }
}

/// An error whose `Debug` panics, and a body whose `is_end_stream` does.
#[test]
fn a_panic_in_the_bodys_error_or_end_does_not_propagate() {
    struct Hostile(Says);
    #[derive(PartialEq)]
    struct Unprintable;
    impl fmt::Debug for Unprintable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("the error's text");
        }
    }
    impl Body for Hostile {
        type Data = Bytes;
        type Error = Unprintable;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Unprintable>>> {
            Poll::Ready((self.0 == Says::Truth).then_some(Err(Unprintable)))
        }

        fn is_end_stream(&self) -> bool {
            panic!("the body's end");
        }
    }
    for says in [Says::Truth, Says::Always(true)] {
        let recorder = Recorder::new();
        let inner = service_fn(|mut request: Request<RequestBody<Hostile>>| {
            assert!(defused(|| poll_frame(request.body_mut())).is_ready());
            std::future::ready(Ok::<_, Boom>(response(200, ScriptedBody::full(0))))
        });
        let mut service = recorder.layer().layer(RequestBodyLayer::new().layer(inner));
        let request = Request::post("/").version(H2).body(Hostile(says));
        ready(service.call(request.expect("a request"))).expect("a response");
        assert_eq!(recorder.only().outcome(), "DEPARTED");
    }
}
