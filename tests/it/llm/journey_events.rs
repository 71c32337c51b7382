//! The events between arrival and end, and data that only resembles an event stream.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::{Buf as _, Bytes as Data};
use futures_util::stream;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use opentelemetry::Value;
use opentelemetry::trace::TraceContextExt as _;
use tower::Service;
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::{event_stream, llm};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::Bytes;
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, get, handle_of, poll_frame, read, ready, response};

const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";

/// Serves a request and drops its response after three polls. Calls `before_poll` before each poll, with its
/// number. Returns the span.
fn serve(
    layer: &ApiSpanLayer,
    recorder: &Recorder,
    response: Response<ScriptedBody>,
    before_poll: impl Fn(&SpanHandle, usize),
) -> Seen {
    let mut response = Some(response);
    let handle = Arc::new(Mutex::new(SpanHandle::default()));
    let mut service = answering(layer, |request| {
        *handle.lock().expect("the handle") = handle_of(&request);
        response.take().expect("one request")
    });
    let response = ready(service.call(get())).expect("a response");
    let handle = handle.lock().expect("the handle").clone();
    let mut body = response.into_body();
    for poll in 0..3 {
        before_poll(&handle, poll);
        let _ = poll_frame(&mut body);
    }
    drop(body);
    recorder.only()
}

#[test]
fn an_event_with_a_future_timestamp_does_not_reorder_the_layers_events() {
    for ahead in [Duration::from_millis(5), Duration::from_secs(3_600)] {
        let recorder = Recorder::new();
        let mut service = answering(&llm(&recorder), |request| {
            let handle = handle_of(&request);
            let (context, eta) = (handle.context(), SystemTime::now() + ahead);
            let span = context.span();
            span.add_event_with_timestamp("eta", eta, Vec::new());
            handle.handoff_to_core();
            event_stream([Bytes(b"data: hello\n\n"), Bytes(b"data: [DONE]\n\n")])
        });
        let response = ready(service.call(get())).expect("a response");
        read(&mut response.into_body()).expect("frames");
        // Not checked by the recorder, because the event times decrease.
        let spans = recorder.exported();
        let names = spans[0].events.iter().map(|event| event.name.as_ref());
        assert_eq!(
            names.collect::<Vec<_>>(),
            [
                "api.ARRIVED",
                "eta",
                "api.HANDOFF_TO_CORE",
                "api.FIRST_RESPONSE_FROM_CORE",
                "api.DEPARTED"
            ],
            "{ahead:?}"
        );
    }
}

#[test]
fn the_first_event_with_data_is_the_first_response_of_an_unknown_format() {
    let alone = |recorder: &Recorder| recorder.layer().journey_events(true);
    for (case, layer) in [
        ("preset", llm as fn(&Recorder) -> ApiSpanLayer),
        ("no other setting", alone),
    ] {
        let recorder = Recorder::new();
        let frames = [Bytes(b""), Bytes(b": hello\n\n"), Bytes(b"data: one\n\n")];
        let span = serve(
            &layer(&recorder),
            &recorder,
            event_stream(frames),
            |handle, poll| {
                handle.handoff_to_core();
                handle.add_event(format!("before poll {poll}"), Vec::new());
                handle.handoff_to_core();
            },
        );
        assert_eq!(
            span.events(),
            [
                "api.ARRIVED",
                "api.HANDOFF_TO_CORE",
                "before poll 0",
                "before poll 1",
                "before poll 2",
                "api.FIRST_RESPONSE_FROM_CORE",
                "api.ABORTED",
            ],
            "{case}"
        );
    }
}

/// A stream can have the content type of JSON. A text that only begins like one has no events.
#[test]
fn the_first_response_of_a_body_of_json_is_the_first_event_if_it_has_events() {
    for (case, second, expected) in [
        (
            "an event stream",
            &b"data: one\n\n"[..],
            ["before poll 1", "api.FIRST_RESPONSE_FROM_CORE"],
        ),
        (
            "a text",
            b"hello\n\n",
            ["api.FIRST_RESPONSE_FROM_CORE", "before poll 1"],
        ),
    ] {
        let recorder = Recorder::new();
        let mut response = response(
            200,
            ScriptedBody::new([Bytes(b": hello\n\n"), Bytes(second)]),
        );
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, json);
        let span = serve(&llm(&recorder), &recorder, response, |handle, poll| {
            if poll == 1 {
                handle.add_event("before poll 1", Vec::new());
            }
        });
        let events = span.events();
        assert_eq!(events[1..3], expected, "{case}");
    }
}

#[test]
fn time_to_first_chunk_is_recorded_only_for_event_streams_and_only_if_enabled() {
    let frames = || [Bytes(b"data: 1\n\n"), Bytes(b"data: [DONE]\n\n")];
    let sse = || event_stream(frames());
    let other = || {
        let mut response = response(200, ScriptedBody::new(frames()));
        let text = HeaderValue::from_static("text/plain");
        response.headers_mut().insert(CONTENT_TYPE, text);
        response
    };
    for (case, journey, response, has_event, has_time) in [
        ("an event stream", true, sse(), true, true),
        ("another body", true, other(), true, false),
        ("no frame of data", true, event_stream([]), false, false),
        ("not enabled", false, sse(), false, false),
    ] {
        let recorder = Recorder::new();
        let layer = llm(&recorder).journey_events(journey);
        let span = serve(&layer, &recorder, response, |_, _| {});
        let event = "api.FIRST_RESPONSE_FROM_CORE".to_owned();
        assert_eq!(span.events().contains(&event), has_event, "{case}");
        let to_chunk = span.value(TIME_TO_FIRST_CHUNK);
        assert_eq!(to_chunk.is_some(), has_time, "{case}");
        if let Some(time) = to_chunk {
            assert!(matches!(time, Value::F64(_)), "{case}: {time:?}");
            let Some(Value::F64(first_byte)) = span.value("api.time_to_first_byte") else {
                panic!("{case}: no first byte");
            };
            assert!(
                matches!(time, Value::F64(time) if time >= first_byte),
                "{case}"
            );
        }
    }
}

#[test]
fn too_many_handler_events_displace_none_of_the_layers_events() {
    let recorder = Recorder::new();
    let frames = [Bytes(b"data: 1\n\n"), Bytes(b"data: [DONE]\n\n")];
    let span = serve(
        &llm(&recorder),
        &recorder,
        event_stream(frames),
        |handle, _| {
            (0..300).for_each(|_| handle.add_event("mine", Vec::new()));
            handle.handoff_to_core();
        },
    );
    let own: Vec<_> = span
        .events()
        .into_iter()
        .filter(|name| name.starts_with("api."))
        .collect();
    assert_eq!(
        own,
        [
            "api.ARRIVED",
            "api.HANDOFF_TO_CORE",
            "api.FIRST_RESPONSE_FROM_CORE",
            "api.DEPARTED",
        ]
    );
    assert_eq!(span.0.events.dropped_count, 0);
    assert!(span.value("api.dropped_events").is_some());
}

#[test]
fn text_that_resembles_a_terminator_or_an_error_event_is_ignored() {
    const REAL: &[u8] = b"event: error\ndata: {\"error\":1}\n\ndata: [DONE]\n\n";
    const IN_JSON: &[u8] =
        b"data: {\"text\":\"data: [DONE]\\n\\ndata: {\\\"error\\\":\\\"no\\\"}\"}\n\n";
    type Headers = [(HeaderName, &'static str)];
    let sse = || (CONTENT_TYPE, "text/event-stream");
    let in_comment = b": data: [DONE]\n: event: error\nxdata: [DONE]\n data: [DONE]\n\n";
    let second_line = b"data: a text\ndata: [DONE]\n\n";
    let compressed: &Headers = &[sse(), (CONTENT_ENCODING, "gzip")];
    for (case, headers, frame, is_found) in [
        ("an event stream", &[sse()][..], REAL, true),
        ("no content type", &[], REAL, false),
        ("a text", &[(CONTENT_TYPE, "text/plain")], REAL, false),
        ("JSON", &[(CONTENT_TYPE, "application/json")], REAL, true),
        (
            "NDJSON",
            &[(CONTENT_TYPE, "application/x-ndjson")],
            REAL,
            false,
        ),
        ("compressed", compressed, REAL, false),
        ("inside a JSON string", &[sse()], IN_JSON, false),
        (
            "in a comment or an unknown field",
            &[sse()],
            in_comment,
            false,
        ),
        ("a second line of an event", &[sse()], second_line, false),
    ] {
        let recorder = Recorder::new();
        let mut response = response(
            200,
            ScriptedBody::new([Bytes(frame), Bytes(b"data: x\n\n")]),
        );
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        let mut response = Some(response);
        let mut service = answering(&llm(&recorder), |_| response.take().expect("one request"));
        let response = ready(service.call(get())).expect("a response");
        let mut body = response.into_body();
        let _ = poll_frame(&mut body);
        assert_eq!(recorder.ends(), usize::from(is_found), "{case}");
        read(&mut body).expect("bytes");
        let expected = if is_found {
            "ABORTED(generation_error)"
        } else {
            "DEPARTED"
        };
        assert_eq!(recorder.only().outcome(), expected, "{case}");
    }
}

#[test]
fn a_frame_of_several_chunks_stops_the_stream_reader() {
    let real = Data::from_static(b"data: {\"error\":\"no\"}\n\ndata: [DONE]\n\n");
    let one = || real.clone().chain(Data::new());
    let two = |cut| real.slice(..cut).chain(real.slice(cut..));
    for (case, first, is_found) in [
        ("one chunk", one(), true),
        ("an empty first chunk", two(0), true),
        ("two chunks", two(5), false),
        ("the terminator in the second chunk", two(20), false),
    ] {
        let recorder = Recorder::new();
        // The second frame has the events too, but the reader has stopped.
        let frames = [first, one()].map(|data| Ok::<_, Infallible>(Frame::data(data)));
        let body = StreamBody::new(stream::iter(frames));
        let mut response = Some(event_stream([]).map(|_| body));
        let mut service = answering(&llm(&recorder), |_| response.take().expect("one request"));
        let response = ready(service.call(get())).expect("a response");
        let mut body = response.into_body();
        for _ in 0..2 {
            let std::task::Poll::Ready(Some(Ok(frame))) = poll_frame(&mut body) else {
                panic!("{case}: no frame");
            };
            let mut data = frame.into_data().expect("data");
            assert_eq!(data.copy_to_bytes(data.remaining()), real, "{case}");
        }
        assert_eq!(recorder.ends(), usize::from(is_found), "{case}");
        drop(body);
        let expected = if is_found {
            "ABORTED(generation_error)"
        } else {
            "ABORTED(client_disconnect)"
        };
        let span = recorder.only();
        assert_eq!(span.outcome(), expected, "{case}");
        // Of a frame that is not read, the first byte counts.
        let is_at_first_byte =
            span.value(TIME_TO_FIRST_CHUNK) == span.value("api.time_to_first_byte");
        assert_ne!(is_at_first_byte, is_found, "{case}");
    }
}

#[test]
fn a_last_line_without_its_line_end_is_timed_when_it_was_returned() {
    let recorder = Recorder::new();
    let mut response = event_stream([Bytes(b"data: x")]);
    let length = HeaderValue::from_static("7");
    response.headers_mut().insert(CONTENT_LENGTH, length);
    let span = serve(&llm(&recorder), &recorder, response, |_, _| {});
    assert_eq!(span.outcome(), "DEPARTED");
    let to_chunk = span.value(TIME_TO_FIRST_CHUNK);
    assert!(to_chunk.is_some());
    assert_eq!(to_chunk, span.value("api.time_to_first_byte"));
}

/// No stream follows, so that none is truncated.
#[test]
fn a_head_that_has_no_body_departs_whatever_its_content_type() {
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304)] {
        for content_type in [
            "text/event-stream",
            "application/json",
            "application/x-ndjson",
        ] {
            let recorder = Recorder::new();
            let mut answer = response(status, ScriptedBody::new([]));
            let value = HeaderValue::from_static(content_type);
            answer.headers_mut().insert(CONTENT_TYPE, value);
            let mut answer = Some(answer);
            let mut service = answering(&llm(&recorder), |_| answer.take().expect("one request"));
            let request = Request::builder().method(&method).body(());
            drop(ready(service.call(request.expect("a request"))));
            let outcome = recorder.only().outcome();
            assert_eq!(outcome, "DEPARTED", "{method}, {status}, {content_type}");
        }
    }
}

#[test]
fn a_handoff_after_the_outcome_is_decided_is_no_event() {
    let recorder = Recorder::new();
    let held = Arc::new(Mutex::new(SpanHandle::default()));
    let late = Arc::clone(&held);
    let layer = recorder.layer().on_completion(move |_| {
        late.lock().expect("the handle").handoff_to_core();
    });
    let mut service = answering(&layer, |request| {
        *held.lock().expect("the handle") = handle_of(&request);
        response(200, ScriptedBody::full(2))
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    read(&mut body).expect("bytes");
    let span = recorder.only();
    assert_eq!(span.events(), ["api.ARRIVED", "api.DEPARTED"]);
    assert_eq!(span.value("api.dropped_events"), None, "it is not counted");
}

#[test]
fn an_error_response_has_no_first_response_event() {
    for status in [400, 404, 503] {
        let recorder = Recorder::new();
        let layer = recorder.layer().journey_events(true);
        let mut service = answering(&layer, |_| response(status, ScriptedBody::full(5)));
        let mut body = ready(service.call(get())).expect("a response").into_body();
        read(&mut body).expect("bytes");
        assert_eq!(
            recorder.only().events(),
            ["api.ARRIVED", "api.ABORTED"],
            "{status}"
        );
    }
}
