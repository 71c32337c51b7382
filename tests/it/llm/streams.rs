//! An event stream ends where its terminator says, and an error event is a verdict.

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Response};
use tower::Service;
use tower_api_span::{ResponseBody, SpanHandle};

use super::{event_stream, llm};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Bytes, Error, Pending};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, poll_frame, read, ready};

const CHUNK: &[u8] = b"data: {\"choices\":[]}\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";
const FAILED: &[u8] = b"data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n";

/// The body of a response that goes through the preset, after `say` was called inside.
fn open(
    at: &Recorder,
    response: Response<ScriptedBody>,
    say: impl Fn(SpanHandle),
) -> ResponseBody<ScriptedBody> {
    let mut response = Some(response);
    let mut service = answering(&llm(at), move |request| {
        say(handle_of(&request));
        response.take().expect("one request")
    });
    let response = ready(service.call(get())).expect("a response");
    response.into_body()
}

/// The span of an event stream of these steps that is dropped after as many polls.
fn dropped_after(steps: &[Step], say: impl Fn(SpanHandle)) -> Seen {
    let at = Recorder::new();
    let mut body = open(&at, event_stream(steps.to_vec()), say);
    for _ in steps {
        let _ = poll_frame(&mut body);
    }
    drop(body);
    at.only()
}

#[test]
fn the_terminator_is_cut_anywhere_and_the_span_ends_before_the_frame_that_completes_its_line() {
    const STREAMS: [&[u8]; 4] = [
        b"data: {\"choices\":[]}\n\ndata: [DONE]\n\n: bye\n\n",
        b"data: {\"choices\":[]}\r\n\r\ndata: [DONE]\r\n\r\n",
        b"\xef\xbb\xbfdata:[DONE]\n\n",
        b": keep-alive\r\rdata: [DONE]\r\r",
    ];
    for stream in STREAMS {
        let word = stream.windows(6).position(|word| word == b"[DONE]");
        // The first byte of the line's end is enough, whatever the line ends with.
        let completed = word.expect("a terminator") + "[DONE]".len() + 1;
        for cut in 0..=stream.len() {
            let at = Recorder::new();
            let (first, second) = stream.split_at(cut);
            let mut body = open(&at, event_stream([Bytes(first), Bytes(second)]), |_| {});
            assert_eq!(at.ends(), 0);
            let mut read = 0;
            for frame in [first, second] {
                assert!(poll_frame(&mut body).is_ready());
                read += frame.len();
                let expected = usize::from(read >= completed);
                assert_eq!(at.ends(), expected, "cut at {cut}, {read} bytes are read");
            }
            // Nothing that comes later changes it.
            let _ = poll_frame(&mut body);
            drop(body);
            assert_eq!(at.only().outcome(), "DEPARTED", "cut at {cut}");
        }
    }
}

#[test]
fn a_stream_goes_on_or_breaks_after_its_terminator_and_the_end_stands() {
    for (case, steps, expected) in [
        ("dropped", &[Bytes(CHUNK), Bytes(DONE)][..], "DEPARTED"),
        (
            "dropped while it waits",
            &[Bytes(DONE), Pending],
            "DEPARTED",
        ),
        ("a body error", &[Bytes(DONE), Error], "DEPARTED"),
        ("more data", &[Bytes(DONE), Bytes(FAILED)], "DEPARTED"),
        (
            "no end of its line",
            &[Bytes(b"data: [DONE]")],
            "ABORTED(client_disconnect)",
        ),
        (
            "cut in the word",
            &[Bytes(CHUNK), Bytes(b"data: [DO")],
            "ABORTED(client_disconnect)",
        ),
        (
            "an error without it",
            &[Bytes(CHUNK), Error],
            "ABORTED(exception)",
        ),
    ] {
        assert_eq!(dropped_after(steps, |_| {}).outcome(), expected, "{case}");
    }
}

#[test]
fn a_terminator_without_a_line_end_is_the_last_of_a_body_that_is_over_and_it_departs() {
    let at = Recorder::new();
    let mut body = open(&at, event_stream([Bytes(b"data: [DONE]")]), |_| {});
    read(&mut body).expect("bytes");
    assert_eq!(at.only().outcome(), "DEPARTED");
}

#[test]
fn a_length_promises_more_than_the_terminator_leaves_and_the_span_departs() {
    for (frames, expected) in [
        (&[Bytes(CHUNK), Bytes(DONE)][..], "DEPARTED"),
        (&[Bytes(CHUNK), Bytes(b"data: [DONE]")], "DEPARTED"),
        (&[Bytes(CHUNK)], "ABORTED(length_mismatch)"),
    ] {
        let at = Recorder::new();
        let mut response = event_stream(frames.to_vec());
        let length = HeaderValue::from_static("1000");
        response.headers_mut().insert(CONTENT_LENGTH, length);
        read(&mut open(&at, response, |_| {})).expect("bytes");
        assert_eq!(at.only().outcome(), expected);
    }
}

#[test]
fn a_length_is_delivered_and_its_last_line_counts_though_the_body_goes_on() {
    const CUT: &[u8] = b"data: {\"error\":\"engine died\"}";
    let at = Recorder::new();
    let mut response = event_stream([Bytes(CUT), Pending]);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, CUT.len().into());
    let mut body = open(&at, response, |_| {});
    assert!(poll_frame(&mut body).is_ready());
    // As servers do that have all they have promised.
    drop(body);
    let span = at.only();
    assert_eq!(span.outcome(), "ABORTED(generation_error)");
    assert_eq!(span.error().as_deref(), Some("engine died"));
}

#[test]
fn an_error_event_comes_and_the_stream_is_untouched() {
    for (case, error, message) in [
        ("an object", FAILED, Some("out of memory")),
        (
            "an event of type error",
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"Overloaded\"}}\n\n",
            Some("Overloaded"),
        ),
        ("plain text", b"event: error\ndata: gone\n\n", Some("gone")),
        ("nothing but its type", b"event: error\n\n", None),
    ] {
        let at = Recorder::new();
        let frames = [CHUNK, error, DONE];
        let mut body = open(&at, event_stream(frames.map(Bytes)), |_| {});
        let mut seen = Vec::new();
        for (frame, ends) in frames.iter().zip([0, 0, 1]) {
            let std::task::Poll::Ready(Some(Ok(got))) = poll_frame(&mut body) else {
                panic!("{case}: no frame");
            };
            let data = got.into_data().expect("data");
            assert_eq!(data.as_ptr(), frame.as_ptr(), "{case}: a copy");
            seen.extend_from_slice(&data);
            assert_eq!(at.ends(), ends, "{case}");
        }
        assert_eq!(seen, frames.concat(), "{case}");
        drop(body);
        let span = at.only();
        assert_eq!(span.outcome(), "ABORTED(generation_error)", "{case}");
        assert_eq!(span.error().as_deref(), message, "{case}");
        assert!(span.is_error(), "{case}");
        let error_type = span.attribute("error.type");
        assert_eq!(error_type.as_deref(), Some("generation_error"), "{case}");
    }
}

#[test]
fn an_error_event_meets_other_ends_and_the_first_verdict_wins() {
    let nothing: fn(SpanHandle) = |_| {};
    let aborts: fn(SpanHandle) = |span| span.abort("quota", "no tokens left");
    for (case, steps, say, outcome, message) in [
        (
            "the handler's own came before",
            &[Bytes(FAILED), Bytes(DONE)][..],
            aborts,
            "ABORTED(quota)",
            "no tokens left",
        ),
        (
            "the client leaves",
            &[Bytes(CHUNK), Bytes(FAILED)],
            nothing,
            "ABORTED(generation_error)",
            "out of memory",
        ),
        (
            "the body fails",
            &[Bytes(FAILED), Error],
            nothing,
            "ABORTED(generation_error)",
            "out of memory",
        ),
        (
            "a second error",
            &[Bytes(FAILED), Bytes(b"event: error\ndata: two\n\n")],
            nothing,
            "ABORTED(generation_error)",
            "out of memory",
        ),
        (
            "in the terminator's frame",
            &[Bytes(
                b"data: {\"error\":{\"message\":\"out of memory\"}}\n\ndata: [DONE]\n\n",
            )],
            nothing,
            "ABORTED(generation_error)",
            "out of memory",
        ),
    ] {
        let span = dropped_after(steps, say);
        assert_eq!(span.outcome(), outcome, "{case}");
        assert_eq!(span.error().as_deref(), Some(message), "{case}");
        assert!(span.is_error(), "{case}");
    }
}
