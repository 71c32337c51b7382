//! Whole requests: a handle in one thread, the response and its end in another.

use crate::standard::collections::VecDeque;
use crate::standard::convert::Infallible;
use crate::standard::fmt;
use crate::standard::future::{Pending, Ready, pending, ready};
use crate::standard::pin::{Pin, pin};
use crate::standard::sync::{Arc, Mutex};
use crate::standard::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use opentelemetry::KeyValue;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::explore::{Moment, Rule, spawn};
use crate::watched::Watched;
use crate::{ApiSpanLayer, ResponseBody, SpanHandle};

const AFTER_ALL: &[&str] = &["DEPARTED", "quota: used up"];
const AFTER_ERROR: &[&str] = &["exception: boom", "quota: used up"];

pub const RULES: &[Rule] = &[
    Rule {
        name: "a verdict and the end of a body: one of them decides",
        model: || verdict_and(&[Step::Data], End::Polled),
        comes_to: AFTER_ALL,
    },
    Rule {
        name: "a verdict and trailers: one of them decides",
        model: || verdict_and(&[Step::Trailers], End::Polled),
        comes_to: AFTER_ALL,
    },
    Rule {
        name: "a verdict and the stream's terminator: one of them decides",
        model: || verdict_and(&[Step::Terminator, Step::Data], End::Polled),
        comes_to: AFTER_ALL,
    },
    Rule {
        name: "a verdict and an error of the body: one of them decides",
        model: || verdict_and(&[Step::Error], End::Polled),
        comes_to: AFTER_ERROR,
    },
    Rule {
        name: "a verdict and an error event of the stream: the first of them decides",
        model: || verdict_and(&[Step::ErrorEvent], End::Polled),
        comes_to: &["generation_error: late", "quota: used up"],
    },
    Rule {
        name: "a verdict and a client who leaves midway: one of them decides",
        model: || verdict_and(&[Step::Data, Step::Data], End::DroppedMidway),
        comes_to: &["client_disconnect", "quota: used up"],
    },
    Rule {
        name: "a verdict and a body that nobody reads: one of them decides",
        model: || verdict_and(&[Step::Data], End::Dropped),
        comes_to: &["generator_exit", "quota: used up"],
    },
    Rule {
        name: "a verdict and a client who leaves before the head: one of them decides",
        model: verdict_before_the_head,
        comes_to: &["client_disconnect", "quota: used up"],
    },
    Rule {
        name: "attributes that are set together are there together",
        model: attributes,
        comes_to: &["None", "Some(\"1\")", "Some(\"2\")"],
    },
    Rule {
        name: "events are in the order of their times, whoever adds them",
        model: events,
        comes_to: &["1 of 3", "2 of 3", "3 of 3"],
    },
];

/// What one poll of a body gives.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    Data,
    Trailers,
    Terminator,
    ErrorEvent,
    Error,
}

/// A body that goes by steps.
struct Steps(VecDeque<Step>);

#[derive(Debug)]
struct Boom;

impl fmt::Display for Boom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("boom")
    }
}

impl Body for Steps {
    type Data = Bytes;
    type Error = Boom;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Boom>>> {
        let data = |data| Ok(Frame::data(Bytes::from_static(data)));
        Poll::Ready(self.0.pop_front().map(|step| match step {
            Step::Data => data(b": nothing\n\n"),
            Step::Terminator => data(b"data: [DONE]\n\n"),
            Step::ErrorEvent => data(b"data: {\"error\": {\"message\": \"late\"}}\n\n"),
            Step::Trailers => Ok(Frame::trailers(HeaderMap::new())),
            Step::Error => Err(Boom),
        }))
    }
}

/// A service that answers at once, or never.
struct Answers<F> {
    future: Option<F>,
    handle: Arc<Mutex<SpanHandle>>,
}

impl<F, B> Service<Request<()>> for Answers<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = F;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> F {
        let handle = SpanHandle::from_extensions(request.extensions());
        *self.handle.lock().expect("not poisoned") = handle;
        self.future.take().expect("called once")
    }
}

/// A request that has been called, and its handle.
fn call<F, B>(watched: &Watched, future: F) -> (crate::ResponseFuture<F>, SpanHandle)
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Body,
    B::Error: fmt::Display,
{
    let handle = Arc::<Mutex<SpanHandle>>::default();
    let layer = ApiSpanLayer::llm().tracer_provider(watched);
    let mut service = layer.layer(Answers {
        future: Some(future),
        handle: Arc::clone(&handle),
    });
    let future = service.call(Request::new(()));
    let handle = handle.lock().expect("not poisoned").clone();
    (future, handle)
}

/// The body of a response whose head is there, and its request's handle.
fn answered(watched: &Watched, steps: &[Step]) -> (ResponseBody<Steps>, SpanHandle) {
    let mut response = Response::new(Steps(steps.iter().copied().collect()));
    let content_type = HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert("content-type", content_type);
    let future: Ready<Result<_, Infallible>> = ready(Ok(response));
    let (future, handle) = call(watched, future);
    let future = pin!(future);
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => (response.into_body(), handle),
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("it answers at once"),
    }
}

/// Polls a body once. False if there is no more.
fn poll(body: &mut ResponseBody<Steps>) -> bool {
    let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
    matches!(polled, Poll::Ready(Some(Ok(_))))
}

/// How the response ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// It is polled to its end.
    Polled,
    Dropped,
    /// It is polled once, and dropped.
    DroppedMidway,
}

/// A verdict is given while a response ends. What was told before the end decides.
fn verdict_and(steps: &[Step], end: End) -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, steps);
    let ending = Arc::new(Moment::new());
    let verdict = verdict(handle, &ending);
    if end == End::DroppedMidway {
        assert!(poll(&mut body));
    }
    ending.is_now();
    while end == End::Polled && poll(&mut body) {}
    drop(body);
    let is_in_time = verdict.join().expect("the thread has run");
    let outcome = watched.outcome();
    assert!(!is_in_time || outcome == "quota: used up", "{outcome}");
    outcome
}

fn verdict_before_the_head() -> String {
    let watched = Watched::default();
    let never: Pending<Result<Response<Steps>, Infallible>> = pending();
    let (future, handle) = call(&watched, never);
    let ending = Arc::new(Moment::new());
    let verdict = verdict(handle, &ending);
    ending.is_now();
    drop(future);
    let is_in_time = verdict.join().expect("the thread has run");
    let outcome = watched.outcome();
    assert!(!is_in_time || outcome == "quota: used up", "{outcome}");
    outcome
}

/// A thread that gives a verdict, and says whether that was before the end had begun.
fn verdict(handle: SpanHandle, ending: &Arc<Moment>) -> loom::thread::JoinHandle<bool> {
    let ending = Arc::clone(ending);
    spawn(move || {
        handle.abort("quota", "used up");
        !ending.has_been()
    })
}

fn attributes() -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, &[]);
    let tellers = [1, 2].map(|value| {
        let handle = handle.clone();
        spawn(move || {
            handle.set_attributes([
                KeyValue::new("test.one", value),
                KeyValue::new("test.other", value),
            ]);
        })
    });
    assert!(!poll(&mut body));
    for teller in tellers {
        teller.join().expect("the thread has run");
    }
    assert_eq!(watched.outcome(), "DEPARTED");
    let value = watched.attribute("test.one");
    assert_eq!(value, watched.attribute("test.other"));
    format!("{value:?}")
}

fn events() -> String {
    let watched = Watched::default();
    let (mut body, handle) = answered(&watched, &[Step::Data]);
    let other = handle.clone();
    let tellers = [
        spawn(move || handle.handoff_to_core()),
        spawn(move || other.add_event("mine", Vec::new())),
    ];
    while poll(&mut body) {}
    for teller in tellers {
        teller.join().expect("the thread has run");
    }
    // It looks at their times.
    assert_eq!(watched.outcome(), "DEPARTED");
    let events = watched.events();
    let first = "api.FIRST_RESPONSE_FROM_CORE".to_owned();
    assert!(events.contains(&first), "{events:?}");
    format!("{} of 3", events.len() - 2)
}
