//! The call to the upstream.

use std::error::Error;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::{Authority, Parts, Scheme};
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client};
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use thiserror::Error;
use tokio::time::timeout;
use tower_api_span::SpanHandle;

use crate::body::UpstreamBody;
use crate::core_span::CoreSpan;
use crate::headers;

#[derive(Clone)]
pub(crate) struct Upstream {
    authority: Authority,
    timeout: Duration,
    client: Client<HttpConnector, Body>,
    tracer: SdkTracer,
}

/// Why there is no response of the upstream. The messages have no details of the upstream: clients see them.
#[derive(Debug, Error)]
pub(crate) enum CallError {
    #[error("the request's body failed")]
    Request(#[source] legacy::Error),
    #[error("the upstream is unreachable")]
    Unreachable(#[source] legacy::Error),
    #[error("the upstream failed before its response")]
    Failed(#[source] legacy::Error),
    #[error("the upstream has not responded within {} s", .0.as_secs_f64())]
    TimedOut(Duration),
}

impl CallError {
    /// Returns the reason to record; `None` if the client is the cause.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Request(_) => None,
            Self::Unreachable(_) => Some("upstream_unreachable"),
            Self::Failed(_) => Some("upstream_failed"),
            Self::TimedOut(_) => Some("upstream_timeout"),
        }
    }

    fn from_client(error: legacy::Error) -> Self {
        if error.is_connect() {
            return Self::Unreachable(error);
        }
        let cause = error.source().and_then(|error| error.downcast_ref());
        if cause.is_some_and(hyper::Error::is_user) {
            return Self::Request(error);
        }
        Self::Failed(error)
    }
}

impl Upstream {
    pub(crate) fn new(uri: &Uri, timeout: Duration, provider: &SdkTracerProvider) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            authority: uri.authority().expect("it has a scheme").clone(),
            timeout,
            client: Client::builder(TokioExecutor::new()).build(connector),
            tracer: provider.tracer("gateway"),
        }
    }

    /// Passes a request on, in a child span of the request's span.
    ///
    /// # Errors
    ///
    /// If there is no response.
    pub(crate) async fn call(
        &self,
        span: &SpanHandle,
        request: Request,
    ) -> Result<Response, CallError> {
        let mut request = self.readdress(request);
        let core = CoreSpan::start(&self.tracer, &span.context(), &request);
        headers::prepare_request(request.headers_mut());
        span.inject_context(core.context(), request.headers_mut());
        // If the client disconnects meanwhile, all this is dropped, and the call is cancelled.
        let response = match timeout(self.timeout, self.client.request(request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(core.fail(CallError::from_client(error))),
            Err(_) => return Err(core.fail(CallError::TimedOut(self.timeout))),
        };
        Ok(respond(core, response))
    }

    /// Returns the request to send: the same, with the upstream's address.
    fn readdress(&self, request: Request) -> Request {
        let (mut head, body) = request.into_parts();
        let mut uri = Parts::default();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(self.authority.clone());
        uri.path_and_query = head.uri.path_and_query().cloned();
        head.uri = Uri::from_parts(uri).expect("a path of a request is one of a URI");
        head.version = axum::http::Version::HTTP_11;
        Request::from_parts(head, body)
    }
}

/// Returns the response to pass on. The span lives as long as its body.
fn respond(core: CoreSpan, response: axum::http::Response<Incoming>) -> Response {
    core.record_head(response.status());
    let (mut head, body) = response.into_parts();
    let body = UpstreamBody::new(body, &head.headers, core);
    headers::prepare_response(&mut head.headers);
    Response::from_parts(head, Body::new(body))
}
