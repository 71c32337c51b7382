//! Many requests on one HTTP/2 connection, whose client resets them, or leaves, at any point. A witness
//! outside of the layer sees what the server does with each response and tells the model of it: so the
//! outcome is known, however server and client have raced.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, ready};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::{Method, Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tokio::task::yield_now;
use tower::{Service, service_fn};
use tower_layer::Layer as _;

use super::config;
use super::core::{check, layer};
use super::crowd::Spans;
use super::model::{Model, Saw};
use super::play::{inner, seen_of};
use super::script::{Inner, Script, scripts};
use crate::support::body::Boom;
use crate::support::handle_of;
use crate::support::recorder::Recorder;

const NUMBER: &str = "x-number";

/// A request, and what the client does with it.
#[derive(Clone, Debug)]
struct Member {
    script: Arc<Script>,
    /// How often others go first.
    waits: usize,
    /// After how many frames, the head among them, it is reset; else it is read to its end.
    resets_after: Option<usize>,
    /// How long the reset takes its time.
    hesitates: usize,
}

#[derive(Clone, Debug)]
struct Connection {
    is_llm: bool,
    members: Vec<Member>,
    /// How much of each response the server may send before it is read.
    window: u32,
    /// After how much of all the client is gone without a word.
    leaves_after: Option<usize>,
}

fn connections() -> impl Strategy<Value = Connection> {
    let member = (scripts(), 0..6_usize, option::of(0..5_usize), 0..4_usize);
    (
        any::<bool>(),
        vec(member, 1..6),
        prop_oneof![Just(4), Just(65_535)],
        option::weighted(0.2, 0..40_usize),
    )
        .prop_map(|(is_llm, members, window, leaves_after)| Connection {
            is_llm,
            members: members
                .into_iter()
                .map(|(mut script, waits, resets_after, hesitates)| {
                    script.is_llm = is_llm;
                    if script.method == Method::CONNECT {
                        // Has no path, which scripts have.
                        script.method = Method::GET;
                    }
                    Member {
                        script: Arc::new(script),
                        waits,
                        resets_after,
                        hesitates,
                    }
                })
                .collect(),
            window,
            leaves_after,
        })
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn requests_on_one_connection_end_once_and_as_the_witness_says(connection in connections()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(play(&connection));
    }
}

async fn play(connection: &Connection) {
    let at = Recorder::new();
    let seen = Seen::default();
    let members = Arc::new(connection.members.clone());
    let service = Witness {
        inner: layer(&at, connection.is_llm).layer(served(&members, &seen)),
        members,
        seen: seen.clone(),
    };
    let (client, server) = tokio::io::duplex(1 << 12);
    let server = tokio::spawn(async move {
        let server = http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(server), TowerToHyperService::new(service));
        // How the connection ends is not for this test.
        let _ = server.await;
    });
    let reads = tokio::time::timeout(Duration::from_secs(20), converse(connection, client))
        .await
        .expect("the client comes to its end");
    server.await.expect("the server does not panic");
    at.all_ended().await;

    let (spans, seen) = (Spans::of(&at), seen.lock());
    assert_eq!((at.starts(), at.ends()), (seen.len(), seen.len()));
    for (nr, Witnessed { model, span }) in seen.iter() {
        let span = spans.find(*span);
        check(span, model);
        let mut impossible = match reads[*nr] {
            Read::Whole => vec!["client_disconnect", "generator_exit", "panic"],
            Read::WholeAsDeclared => vec![
                "client_disconnect",
                "generator_exit",
                "panic",
                "length_mismatch",
            ],
            Read::Broken | Read::Reset => Vec::new(),
        };
        let outcome = span.outcome();
        impossible.retain(|reason| outcome == format!("ABORTED({reason})"));
        assert!(
            impossible.is_empty(),
            "{nr}: {:?}, but {outcome}",
            reads[*nr]
        );
    }
}

// === The client ===

/// What has become of a response.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Read {
    /// It was read to its end, and said no length.
    Whole,
    /// It was read to its end, and is as long as it said.
    WholeAsDeclared,
    /// Its end did not come, or came in another way than was said.
    Broken,
    /// The client has reset it.
    Reset,
}

/// Sends all requests, and returns what has become of them.
async fn converse(connection: &Connection, pipe: tokio::io::DuplexStream) -> Vec<Read> {
    let client = h2::client::Builder::new()
        .initial_window_size(connection.window)
        .handshake::<_, Bytes>(pipe);
    let Ok((sender, driver)) = client.await else {
        panic!("no handshake");
    };
    let driver = tokio::spawn(driver);
    let exchanges: Vec<_> = connection
        .members
        .iter()
        .cloned()
        .enumerate()
        .map(|(nr, member)| tokio::spawn(exchange(nr, member, sender.clone())))
        .collect();
    drop(sender);
    if let Some(turns) = connection.leaves_after {
        for _ in 0..turns {
            yield_now().await;
        }
        driver.abort();
    }
    let mut reads = Vec::new();
    for exchange in exchanges {
        reads.push(exchange.await.expect("no panic of the client's"));
    }
    // With the last request the connection is over.
    let _ = driver.await;
    reads
}

/// One request.
async fn exchange(nr: usize, member: Member, sender: SendRequest<Bytes>) -> Read {
    for _ in 0..member.waits {
        yield_now().await;
    }
    let Ok(mut sender) = sender.ready().await else {
        return Read::Broken;
    };
    let (mut parts, ()) = member.script.request().into_parts();
    parts.version = Version::HTTP_2;
    parts.headers.insert(NUMBER, nr.into());
    let request = Request::from_parts(parts, ());
    let Ok((response, mut stream)) = sender.send_request(request, true) else {
        return Read::Broken;
    };
    drop(sender);
    if let Some(read) = read(response, member.resets_after).await {
        return read;
    }
    for _ in 0..member.hesitates {
        yield_now().await;
    }
    stream.send_reset(Reason::CANCEL);
    Read::Reset
}

/// Reads so many frames, or all of them: `None` if there may be more.
async fn read(response: h2::client::ResponseFuture, frames: Option<usize>) -> Option<Read> {
    let mut left = frames.unwrap_or(usize::MAX);
    left = left.checked_sub(1)?;
    let Ok(response) = response.await else {
        return Some(Read::Broken);
    };
    // The client does not compare them where no data came.
    let length = response.headers().get("content-length").cloned();
    let mut bytes = 0;
    let mut body: RecvStream = response.into_body();
    loop {
        left = left.checked_sub(1)?;
        match body.data().await {
            Some(Ok(data)) => {
                bytes += data.len();
                // Of a stream that has ended nobody wants to know.
                let _ = body.flow_control().release_capacity(data.len());
            }
            Some(Err(_)) => return Some(Read::Broken),
            None => {
                let is_over = body.trailers().await.is_ok();
                return Some(match length {
                    None if is_over => Read::Whole,
                    Some(length) if is_over && length == bytes.to_string().as_str() => {
                        Read::WholeAsDeclared
                    }
                    _ => Read::Broken,
                });
            }
        }
    }
}

// === The server ===

/// What is known of one request.
struct Witnessed {
    model: Model,
    span: SpanId,
}

/// What is known of all.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<usize, Witnessed>>>);

impl Seen {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Witnessed>> {
        self.0.lock().expect("not poisoned")
    }

    fn tell(&self, nr: usize, f: impl FnOnce(&mut Model)) {
        // One that was given up before its call is unknown.
        if let Some(witnessed) = self.lock().get_mut(&nr) {
            f(&mut witnessed.model);
        }
    }
}

fn number_of(request: &Request<Incoming>) -> usize {
    let number = request.headers()[NUMBER].to_str().expect("digits");
    number.parse().expect("a number")
}

/// Answers each request by its script.
fn served(
    members: &Arc<Vec<Member>>,
    seen: &Seen,
) -> impl Service<
    Request<Incoming>,
    Response = Response<crate::support::body::ScriptedBody>,
    Error = Boom,
    Future: Send,
> + Clone
+ use<> {
    let (members, seen) = (Arc::clone(members), seen.clone());
    service_fn(move |request: Request<Incoming>| {
        let nr = number_of(&request);
        let script = Arc::clone(&members[nr].script);
        let context = handle_of(&request).context();
        let witnessed = Witnessed {
            model: Model::new(&script),
            span: context.span().span_context().span_id(),
        };
        let before = seen.lock().insert(nr, witnessed);
        assert!(before.is_none(), "a request is served once");
        if matches!(script.service, Inner::PanicsInCall) {
            resume_unwind(Box::new("in call"));
        }
        inner(script, None)
    })
}

/// Stands outside of the layer and sees what the server sees.
#[derive(Clone)]
struct Witness<S> {
    inner: S,
    members: Arc<Vec<Member>>,
    seen: Seen,
}

/// A future or a body, which tells the model when it is dropped.
struct Watched<T> {
    inner: Option<T>,
    nr: usize,
    seen: Seen,
}

impl<T> Watched<T> {
    fn get(&self) -> &T {
        self.inner.as_ref().expect("not dropped")
    }

    /// What a poll gives; that it unwinds, the model is told.
    fn enter<R>(&mut self, f: impl FnOnce(Pin<&mut T>) -> R, tell: fn(&mut Model)) -> R
    where
        T: Unpin,
    {
        let inner = Pin::new(self.inner.as_mut().expect("not dropped"));
        match catch_unwind(AssertUnwindSafe(|| f(inner))) {
            Ok(polled) => polled,
            Err(payload) => {
                self.seen.tell(self.nr, tell);
                resume_unwind(payload)
            }
        }
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            drop(inner);
            self.seen
                .tell(self.nr, |model| model.dropped(thread::panicking()));
        }
    }
}

impl<S, B> Service<Request<Incoming>> for Witness<S>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Boom>,
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    type Response = Response<Watched<B>>;
    type Error = Boom;
    type Future = Watched<Pin<Box<S::Future>>>;

    fn poll_ready(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Boom>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        let nr = number_of(&request);
        assert!(nr < self.members.len());
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        let inner = called.unwrap_or_else(|payload| {
            let panicked = |model: &mut Model| model.polled_future(&Saw::Panic, false);
            self.seen.tell(nr, panicked);
            resume_unwind(payload)
        });
        Watched {
            inner: Some(Box::pin(inner)),
            nr,
            seen: self.seen.clone(),
        }
    }
}

impl<F, B> Future for Watched<Pin<Box<F>>>
where
    F: Future<Output = Result<Response<B>, Boom>>,
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    type Output = Result<Response<Watched<B>>, Boom>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let polled = self.enter(
            |future| future.get_mut().as_mut().poll(cx),
            |model| model.polled_future(&Saw::Panic, false),
        );
        let (nr, seen) = (self.nr, self.seen.clone());
        Poll::Ready(match ready!(polled) {
            Ok(response) => {
                let at_end = response.body().is_end_stream();
                seen.tell(nr, |model| model.polled_future(&Saw::Head, at_end));
                self.inner = None;
                Ok(response.map(|body| Watched {
                    inner: Some(body),
                    nr,
                    seen,
                }))
            }
            Err(error) => {
                seen.tell(nr, |model| model.polled_future(&Saw::ServiceError, false));
                self.inner = None;
                Err(error)
            }
        })
    }
}

impl<B> Body for Watched<B>
where
    B: Body<Data = Bytes, Error = Boom> + Unpin,
{
    type Data = Bytes;
    type Error = Boom;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Boom>>> {
        let polled = self.enter(
            |body| body.poll_frame(cx),
            |model| model.polled_body(&Saw::Panic, false),
        );
        let (saw, at_end) = (seen_of(&polled), self.get().is_end_stream());
        self.seen
            .tell(self.nr, |model| model.polled_body(&saw, at_end));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.get().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.get().size_hint()
    }
}
