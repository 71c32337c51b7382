//! A layer that observes requests without the layer under test: it decides from frames, errors and drops alone how each
//! response ended.

mod watch;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::tag::Tag;
use crate::verdicts::{Place, Verdicts};
use watch::Watch;

/// The number of a request, in its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestNumber(pub(crate) u64);

/// Observes outside or inside of the layer.
#[derive(Clone, Debug)]
pub(crate) struct ObserverLayer(pub(crate) Place, pub(crate) Verdicts);

impl<S> Layer<S> for ObserverLayer {
    type Service = Observer<S>;

    fn layer(&self, inner: S) -> Observer<S> {
        let Self(place, verdicts) = self.clone();
        Observer {
            inner,
            place,
            verdicts,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Observer<S> {
    inner: S,
    place: Place,
    verdicts: Verdicts,
}

impl<S, B, R> Service<Request<B>> for Observer<S>
where
    S: Service<Request<Upload<B>>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: Body,
{
    type Response = Response<Observed<R>>;
    type Error = S::Error;
    type Future = Watched<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let number = match self.place {
            Place::Outer => {
                let kind = Tag::from_headers(request.headers()).map_or(0, Tag::kind);
                let number = RequestNumber(self.verdicts.begin(kind));
                request.extensions_mut().insert(number);
                number
            }
            Place::Inner => *request
                .extensions()
                .get::<RequestNumber>()
                .expect("the outer observer has inserted it"),
        };
        let verdicts = self.verdicts.clone();
        let mut watch = Watch::begin(&request, number, self.place, verdicts);
        let is_cut = Arc::clone(&watch.is_cut);
        let response = self
            .inner
            .call(request.map(|inner| Upload { inner, is_cut }));
        watch.is_running = false;
        Watched {
            inner: Some(Box::pin(response)),
            watch: Some(watch),
        }
    }
}

/// The future of an observed response.
pub(crate) struct Watched<F> {
    /// Dropped before the watch, also if the drop panics.
    inner: Option<Pin<Box<F>>>,
    watch: Option<Watch>,
}

impl<F, R, E> Future for Watched<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body,
{
    type Output = Result<Response<Observed<R>>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, watch } = &mut *self;
        let (Some(future), Some(watching)) = (inner, watch.as_mut()) else {
            unreachable!("polled after its end");
        };
        watching.is_running = true;
        let polled = future.as_mut().poll(cx);
        watching.is_running = false;
        let result = ready!(polled);
        let mut watch = watch.take().expect("polled once to its end");
        match result {
            Ok(response) => {
                watch.receive(&response);
                Poll::Ready(Ok(response.map(|inner| Observed { inner, watch })))
            }
            Err(error) => {
                watch.end = Some(Err(()));
                Poll::Ready(Err(error))
            }
        }
    }
}

/// An observed body of a response.
#[pin_project::pin_project]
pub(crate) struct Observed<R> {
    #[pin]
    inner: R,
    watch: Watch,
}

impl<R: Body> Body for Observed<R> {
    type Data = R::Data;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<R::Data>, R::Error>>> {
        use bytes::Buf as _;

        let mut this = self.project();
        this.watch.is_running = true;
        let polled = this.inner.as_mut().poll_frame(cx);
        this.watch.is_running = false;
        let frame = ready!(polled);
        match &frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    this.watch.bytes += data.remaining() as u64;
                }
                if let Some(trailers) = frame.trailers_ref() {
                    this.watch.receive_trailers(trailers);
                }
                if this.inner.is_end_stream() {
                    this.watch.end = Some(Ok(()));
                }
            }
            Some(Err(_)) => this.watch.end = Some(Err(())),
            None => this.watch.end = this.watch.end.or(Some(Ok(()))),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An observed body of a request.
#[pin_project::pin_project]
pub(crate) struct Upload<B> {
    #[pin]
    inner: B,
    is_cut: Arc<AtomicBool>,
}

impl<B: Body> Body for Upload<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.inner.poll_frame(cx));
        if let Some(Err(_)) = &frame {
            this.is_cut.store(true, Ordering::SeqCst);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
