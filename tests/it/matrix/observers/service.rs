//! The service and the response future of an observer.

use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::Service;

use super::Observations;
use super::body::ObservedBody;
use super::event::{Event, Place, State};
use super::exchange::{Exchange, ExchangeOf, Part};

/// A service that logs what passes.
#[derive(Clone)]
pub struct Observer<S> {
    inner: S,
    place: Place,
    observations: Observations,
}

impl<S> Observer<S> {
    pub fn new(inner: S, place: Place, observations: &Observations) -> Self {
        let observations = observations.clone();
        Self {
            inner,
            place,
            observations,
        }
    }

    fn exchange_of<B>(&self, request: &mut Request<B>) -> Arc<Exchange> {
        if self.place == Place::Outside {
            let exchange = self.observations.begin_exchange();
            let key = ExchangeOf(Arc::clone(&exchange));
            request.extensions_mut().insert(key);
            return exchange;
        }
        let found = request.extensions().get::<ExchangeOf>();
        let ExchangeOf(exchange) = found.expect("the outer observer's extension").clone();
        exchange.read_span(request);
        exchange
    }
}

impl<S, B, C> Service<Request<B>> for Observer<S>
where
    S: Service<Request<ObservedBody<B>>, Response = Response<C>>,
    S::Error: Display,
    B: Body<Data = Bytes>,
    C: Body<Data = Bytes>,
{
    type Response = Response<ObservedBody<C>>;
    type Error = S::Error;
    type Future = ObservedFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let polled = self.inner.poll_ready(cx);
        let result = match &polled {
            Poll::Pending => "pending",
            Poll::Ready(Ok(())) => "ready",
            Poll::Ready(Err(_)) => "error",
        };
        self.observations.record_readiness(self.place, result);
        polled
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (place, exchange) = (self.place, self.exchange_of(&mut request));
        exchange.record(Part::Response, place, Event::called(&request));
        let body_of = Arc::clone(&exchange);
        let request = request.map(|body| ObservedBody::new(body, body_of, Part::Request, place));
        match catch_unwind(AssertUnwindSafe(|| self.inner.call(request))) {
            Ok(future) => ObservedFuture {
                inner: Some(Box::pin(future)),
                exchange,
                place,
            },
            Err(payload) => {
                exchange.record(Part::Response, place, Event::Panicked);
                resume_unwind(payload)
            }
        }
    }
}

/// A response future that logs its polls and its drop.
pub struct ObservedFuture<F> {
    inner: Option<Pin<Box<F>>>,
    exchange: Arc<Exchange>,
    place: Place,
}

impl<F> ObservedFuture<F> {
    fn record(&self, event: Event) {
        self.exchange.record(Part::Response, self.place, event);
    }
}

impl<F, C, E> Future for ObservedFuture<F>
where
    F: Future<Output = Result<Response<C>, E>>,
    C: Body<Data = Bytes>,
    E: Display,
{
    type Output = Result<Response<ObservedBody<C>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let inner = self
            .inner
            .as_mut()
            .expect("no poll after the response")
            .as_mut();
        let polled = catch_unwind(AssertUnwindSafe(|| inner.poll(cx)));
        let polled = polled.unwrap_or_else(|payload| {
            self.record(Event::Panicked);
            resume_unwind(payload)
        });
        if polled.is_pending() {
            self.record(Event::Pending);
        }
        let result = ready!(polled);
        self.inner = None;
        Poll::Ready(match result {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let state = State::from_body(&body);
                self.record(Event::Head(parts.status, parts.headers.clone(), state));
                let exchange = Arc::clone(&self.exchange);
                let body = ObservedBody::new(body, exchange, Part::Response, self.place);
                Ok(Response::from_parts(parts, body))
            }
            Err(error) => {
                self.record(Event::ServiceError(error.to_string()));
                Err(error)
            }
        })
    }
}

/// A future that has returned its response logs no drop: the layer drops the inner future at once, and the server
/// drops the layer's when it likes.
impl<F> Drop for ObservedFuture<F> {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            drop(inner);
            let is_unwinding = thread::panicking();
            self.record(Event::Dropped { is_unwinding });
        }
    }
}
