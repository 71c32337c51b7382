//! The floor: the same work written by hand around a service with the OpenTelemetry API. It has no handle and
//! no classification, and does not catch panics.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{FutureExt, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracer;
use tower::{Service, service_fn};

/// What is recorded.
#[derive(Clone, Copy, PartialEq)]
pub enum Facts {
    /// What a first version by hand would have.
    Few,
    /// What tower-api-span records of the real request.
    Same,
}

pub fn floor<S, R, B>(
    mut inner: S,
    tracer: SdkTracer,
    facts: Facts,
) -> impl Service<
    Request<R>,
    Response = Response<Ended<B>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Ended<B>>, Infallible>> + Send,
> + Clone
+ Send
+ 'static
where
    S: Service<Request<R>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: 'static,
    R: 'static,
{
    let tracer = Arc::new(tracer);
    let propagator = Arc::new(TraceContextPropagator::new());
    service_fn(move |request: Request<R>| {
        let arrived = Instant::now();
        let parent = propagator.extract(&HeaderExtractor(request.headers()));
        let text = |name| {
            let value = request.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or("")
                .to_owned()
        };
        let host = text(header::HOST);
        let (host, port) = host.split_once(':').unwrap_or((&host, "80"));
        let method = request.method().as_str().to_owned();
        let mut name = method.clone();
        let mut attributes = vec![
            KeyValue::new("http.request.method", method),
            KeyValue::new("url.path", request.uri().path().to_owned()),
            KeyValue::new("url.scheme", "http"),
            KeyValue::new("network.protocol.version", "1.1"),
            KeyValue::new("server.address", host.to_owned()),
            KeyValue::new("server.port", port.parse::<i64>().unwrap_or(80)),
            KeyValue::new("user_agent.original", text(header::USER_AGENT)),
        ];
        if facts == Facts::Same {
            describe_more(&request, &mut name, &mut attributes);
        }
        let span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&*tracer, &parent);
        let context = parent.with_span(span);
        context.span().add_event("api.ARRIVED", Vec::new());
        let answer = {
            let _inside = context.clone().attach();
            inner.call(request)
        };
        async move {
            let response = answer.with_context(context.clone()).await?;
            let status = i64::from(response.status().as_u16());
            let span = context.span();
            span.set_attribute(KeyValue::new("http.response.status_code", status));
            let head = arrived.elapsed().as_secs_f64();
            span.set_attribute(KeyValue::new("api.time_to_head", head));
            let context = Some(context);
            Ok(response.map(|body| Ended { body, context }))
        }
    })
}

pub struct Ended<B> {
    body: B,
    context: Option<Context>,
}

impl<B> Ended<B> {
    fn end(&mut self) {
        if let Some(context) = self.context.take() {
            let span = context.span();
            span.set_attribute(KeyValue::new("api.outcome", "DEPARTED"));
            span.add_event("api.DEPARTED", Vec::new());
            span.end();
        }
    }
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Body for Ended<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = {
            let _inside = self.context.clone().map(Context::attach);
            ready!(Pin::new(&mut self.body).poll_frame(task))
        };
        if frame.is_none() || self.body.is_end_stream() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> Drop for Ended<B> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Adds what tower-api-span records besides. No parameter of the query is redacted.
fn describe_more<R>(request: &Request<R>, name: &mut String, attributes: &mut Vec<KeyValue>) {
    if let Some(query) = request.uri().query() {
        attributes.push(KeyValue::new("url.query", query.to_owned()));
    }
    if let Some(route) = request.extensions().get::<MatchedPath>() {
        name.push(' ');
        name.push_str(route.as_str());
        attributes.push(KeyValue::new("http.route", route.as_str().to_owned()));
    }
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let address = peer.ip().to_string();
        attributes.push(KeyValue::new("client.address", address.clone()));
        attributes.push(KeyValue::new("network.peer.address", address));
        attributes.push(KeyValue::new("network.peer.port", i64::from(peer.port())));
    }
}
