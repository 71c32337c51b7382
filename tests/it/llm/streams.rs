//! Terminators and error events in event streams: a terminator ends the span, an error event is a verdict.

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

/// Serves a response through the preset and returns its body. Calls `handler` inside.
fn open(
    recorder: &Recorder,
    response: Response<ScriptedBody>,
    handler: impl Fn(SpanHandle),
) -> ResponseBody<ScriptedBody> {
    let mut response = Some(response);
    let mut service = answering(&llm(recorder), move |request| {
        handler(handle_of(&request));
        response.take().expect("one request")
    });
    let response = ready(service.call(get())).expect("a response");
    response.into_body()
}

/// Serves an event stream, drops it after one poll for each step, and returns the span.
fn drop_after(steps: &[Step], handler: impl Fn(SpanHandle)) -> Seen {
    let recorder = Recorder::new();
    let mut body = open(&recorder, event_stream(steps.to_vec()), handler);
    for _ in steps {
        let _ = poll_frame(&mut body);
    }
    drop(body);
    recorder.only()
}

#[test]
fn a_terminator_cut_anywhere_ends_the_span_before_the_frame_that_completes_its_line() {
    const STREAMS: [&[u8]; 4] = [
        b"data: {\"choices\":[]}\n\ndata: [DONE]\n\n: bye\n\n",
        b"data: {\"choices\":[]}\r\n\r\ndata: [DONE]\r\n\r\n",
        b"\xef\xbb\xbfdata:[DONE]\n\n",
        b": keep-alive\r\rdata: [DONE]\r\r",
    ];
    for stream in STREAMS {
        let word = stream.windows(6).position(|word| word == b"[DONE]");
        // The first byte of the line end completes the line, be it CR or LF.
        let completed = word.expect("a terminator") + "[DONE]".len() + 1;
        for cut in 0..=stream.len() {
            let recorder = Recorder::new();
            let (first, second) = stream.split_at(cut);
            let mut body = open(
                &recorder,
                event_stream([Bytes(first), Bytes(second)]),
                |_| {},
            );
            assert_eq!(recorder.ends(), 0);
            let mut read = 0;
            for frame in [first, second] {
                assert!(poll_frame(&mut body).is_ready());
                read += frame.len();
                let expected = usize::from(read >= completed);
                assert_eq!(recorder.ends(), expected, "cut at {cut}, {read} bytes read");
            }
            // Later polls do not change the outcome.
            let _ = poll_frame(&mut body);
            drop(body);
            assert_eq!(recorder.only().outcome(), "DEPARTED", "cut at {cut}");
        }
    }
}

#[test]
fn a_terminated_stream_keeps_its_outcome_whatever_follows() {
    for (case, steps, expected) in [
        ("dropped", &[Bytes(CHUNK), Bytes(DONE)][..], "DEPARTED"),
        ("dropped while pending", &[Bytes(DONE), Pending], "DEPARTED"),
        ("a body error", &[Bytes(DONE), Error], "DEPARTED"),
        ("more data", &[Bytes(DONE), Bytes(FAILED)], "DEPARTED"),
        (
            "no line end",
            &[Bytes(b"data: [DONE]")],
            "ABORTED(client_disconnect)",
        ),
        (
            "cut inside the terminator",
            &[Bytes(CHUNK), Bytes(b"data: [DO")],
            "ABORTED(client_disconnect)",
        ),
        (
            "a body error without a terminator",
            &[Bytes(CHUNK), Error],
            "ABORTED(exception)",
        ),
    ] {
        assert_eq!(drop_after(steps, |_| {}).outcome(), expected, "{case}");
    }
}

#[test]
fn a_terminator_without_a_line_end_departs_at_the_end_of_the_body() {
    let recorder = Recorder::new();
    let mut body = open(&recorder, event_stream([Bytes(b"data: [DONE]")]), |_| {});
    read(&mut body).expect("bytes");
    assert_eq!(recorder.only().outcome(), "DEPARTED");
}

#[test]
fn a_terminated_stream_departs_despite_a_larger_content_length() {
    for (frames, expected) in [
        (&[Bytes(CHUNK), Bytes(DONE)][..], "DEPARTED"),
        (&[Bytes(CHUNK), Bytes(b"data: [DONE]")], "DEPARTED"),
        (&[Bytes(CHUNK)], "ABORTED(length_mismatch)"),
    ] {
        let recorder = Recorder::new();
        let mut response = event_stream(frames.to_vec());
        let length = HeaderValue::from_static("1000");
        response.headers_mut().insert(CONTENT_LENGTH, length);
        read(&mut open(&recorder, response, |_| {})).expect("bytes");
        assert_eq!(recorder.only().outcome(), expected);
    }
}

#[test]
fn an_error_in_the_last_line_counts_once_the_content_length_is_delivered() {
    const CUT: &[u8] = b"data: {\"error\":\"engine died\"}";
    let recorder = Recorder::new();
    let mut response = event_stream([Bytes(CUT), Pending]);
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, CUT.len().into());
    let mut body = open(&recorder, response, |_| {});
    assert!(poll_frame(&mut body).is_ready());
    // Servers drop the body once the declared length is sent.
    drop(body);
    let span = recorder.only();
    assert_eq!(span.outcome(), "ABORTED(generation_error)");
    assert_eq!(span.error().as_deref(), Some("engine died"));
}

#[test]
fn an_error_event_aborts_the_span_and_leaves_the_frames_unchanged() {
    for (case, error, message) in [
        ("an object", FAILED, Some("out of memory")),
        (
            "an event of type error",
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"message\":\"Overloaded\"}}\n\n",
            Some("Overloaded"),
        ),
        ("plain text", b"event: error\ndata: gone\n\n", Some("gone")),
        ("an event type without data", b"event: error\n\n", None),
    ] {
        let recorder = Recorder::new();
        let frames = [CHUNK, error, DONE];
        let mut body = open(&recorder, event_stream(frames.map(Bytes)), |_| {});
        let mut seen = Vec::new();
        for (frame, ends) in frames.iter().zip([0, 0, 1]) {
            let std::task::Poll::Ready(Some(Ok(got))) = poll_frame(&mut body) else {
                panic!("{case}: no frame");
            };
            let data = got.into_data().expect("data");
            assert_eq!(data.as_ptr(), frame.as_ptr(), "{case}: a copy");
            seen.extend_from_slice(&data);
            assert_eq!(recorder.ends(), ends, "{case}");
        }
        assert_eq!(seen, frames.concat(), "{case}");
        drop(body);
        let span = recorder.only();
        assert_eq!(span.outcome(), "ABORTED(generation_error)", "{case}");
        assert_eq!(span.error().as_deref(), message, "{case}");
        assert!(span.is_error(), "{case}");
        let error_type = span.attribute("error.type");
        assert_eq!(error_type.as_deref(), Some("generation_error"), "{case}");
    }
}

#[test]
fn an_error_event_yields_to_an_earlier_verdict_and_overrides_other_ends() {
    let no_verdict: fn(SpanHandle) = |_| {};
    let aborts: fn(SpanHandle) = |span| span.mark_aborted("quota", "no tokens left");
    for (case, steps, handler, outcome, message) in [
        (
            "the handler has aborted before",
            &[Bytes(FAILED), Bytes(DONE)][..],
            aborts,
            "ABORTED(quota)",
            "no tokens left",
        ),
        (
            "the client leaves",
            &[Bytes(CHUNK), Bytes(FAILED)],
            no_verdict,
            "ABORTED(generation_error)",
            "out of memory",
        ),
        (
            "the body fails",
            &[Bytes(FAILED), Error],
            no_verdict,
            "ABORTED(generation_error)",
            "out of memory",
        ),
        (
            "a second error",
            &[Bytes(FAILED), Bytes(b"event: error\ndata: two\n\n")],
            no_verdict,
            "ABORTED(generation_error)",
            "out of memory",
        ),
        (
            "in the same frame as the terminator",
            &[Bytes(
                b"data: {\"error\":{\"message\":\"out of memory\"}}\n\ndata: [DONE]\n\n",
            )],
            no_verdict,
            "ABORTED(generation_error)",
            "out of memory",
        ),
    ] {
        let span = drop_after(steps, handler);
        assert_eq!(span.outcome(), outcome, "{case}");
        assert_eq!(span.error().as_deref(), Some(message), "{case}");
        assert!(span.is_error(), "{case}");
    }
}
