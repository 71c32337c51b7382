//! The observer around the layer, which sees what the server sees, and the service inside the layer.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context as TaskContext, Poll, ready};
use std::thread;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use tower::{Service, service_fn};

use super::super::handler::{is_scripted, respond};
use super::super::oracle::{BodyHints, Oracle, Polled};
use super::super::play::polled;
use super::super::script::Inner;
use super::{Member, NUMBER};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::handle_of;

/// What is known of one request.
pub(super) struct Observed {
    pub(super) oracle: Oracle,
    pub(super) span: SpanId,
}

/// What is known of all requests, by number.
#[derive(Clone, Default)]
pub(super) struct Observations(Arc<Mutex<BTreeMap<usize, Observed>>>);

impl Observations {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, Observed>> {
        self.0.lock().expect("not poisoned")
    }

    fn report(&self, nr: usize, f: impl FnOnce(&mut Oracle)) {
        // A request that was dropped before its call is unknown.
        if let Some(observed) = self.lock().get_mut(&nr) {
            f(&mut observed.oracle);
        }
    }
}

fn request_number(request: &Request<Incoming>) -> usize {
    let number = request.headers()[NUMBER].to_str().expect("digits");
    number.parse().expect("a number")
}

/// Responds to each request by its script.
pub(super) fn serve(
    members: &Arc<Vec<Member>>,
    observations: &Observations,
) -> impl Service<Request<Incoming>, Response = Response<ScriptedBody>, Error = Boom, Future: Send>
+ Clone
+ use<> {
    let (members, observations) = (Arc::clone(members), observations.clone());
    service_fn(move |request: Request<Incoming>| {
        let nr = request_number(&request);
        let script = Arc::clone(&members[nr].script);
        let context = handle_of(&request).context();
        let observed = Observed {
            oracle: script.oracle_over(Version::HTTP_2),
            span: context.span().span_context().span_id(),
        };
        let before = observations.lock().insert(nr, observed);
        assert!(before.is_none(), "a request is served once");
        if matches!(script.service, Inner::PanicsInCall) {
            resume_unwind(Box::new("in call"));
        }
        respond(script, None)
    })
}

/// A service around the layer that reports what the server sees.
#[derive(Clone)]
pub(super) struct Observer<S> {
    pub(super) inner: S,
    pub(super) observations: Observations,
}

/// A future or a body that reports its polls and its drop.
pub(super) struct Watched<T> {
    inner: Option<T>,
    nr: usize,
    observations: Observations,
}

impl<T> Watched<T> {
    fn get(&self) -> &T {
        self.inner.as_ref().expect("not dropped")
    }

    /// Polls; a panic is reported and resumed.
    fn enter<R>(&mut self, f: impl FnOnce(Pin<&mut T>) -> R, on_panic: fn(&mut Oracle)) -> R
    where
        T: Unpin,
    {
        let inner = Pin::new(self.inner.as_mut().expect("not dropped"));
        match catch_unwind(AssertUnwindSafe(|| f(inner))) {
            Ok(polled) => polled,
            Err(payload) => {
                assert!(is_scripted(&*payload), "the layer panics");
                self.observations.report(self.nr, on_panic);
                resume_unwind(payload)
            }
        }
    }
}

impl<T> Drop for Watched<T> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            drop(inner);
            self.observations
                .report(self.nr, |oracle| oracle.dropped(thread::panicking()));
        }
    }
}

impl<S, B> Service<Request<Incoming>> for Observer<S>
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
        let nr = request_number(&request);
        let called = catch_unwind(AssertUnwindSafe(|| self.inner.call(request)));
        let inner = called.unwrap_or_else(|payload| {
            assert!(is_scripted(&*payload), "the layer panics");
            let panicked = |oracle: &mut Oracle| oracle.polled(&Polled::Panic, None);
            self.observations.report(nr, panicked);
            resume_unwind(payload)
        });
        Watched {
            inner: Some(Box::pin(inner)),
            nr,
            observations: self.observations.clone(),
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
            |oracle| oracle.polled(&Polled::Panic, None),
        );
        let (nr, observations) = (self.nr, self.observations.clone());
        Poll::Ready(match ready!(polled) {
            Ok(response) => {
                let hints = BodyHints::from_body(response.body());
                let head = Polled::Head(response.status().as_u16(), response.headers().clone());
                observations.report(nr, |oracle| oracle.polled(&head, Some(hints)));
                self.inner = None;
                Ok(response.map(|body| Watched {
                    inner: Some(body),
                    nr,
                    observations,
                }))
            }
            Err(error) => {
                observations.report(nr, |oracle| oracle.polled(&Polled::ServiceError, None));
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
        let frame = self.enter(
            |body| body.poll_frame(cx),
            |oracle| oracle.polled(&Polled::Panic, None),
        );
        let (observed, hints) = (polled(&frame), BodyHints::from_body(self.get()));
        self.observations
            .report(self.nr, |oracle| oracle.polled(&observed, Some(hints)));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.get().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.get().size_hint()
    }
}
