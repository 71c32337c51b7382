//! Back-pressure: `poll_ready` of a wrapped service returns what the inner service returns.

use std::future::Ready;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower::Service;
use tower_api_span::RequestBodyLayer;
use tower_layer::Layer as _;

use crate::support::body::{Boom, ScriptedBody};
use crate::support::recorder::Recorder;

/// A service that is pending, then ready, then fails.
#[derive(Default)]
struct PendingReadyError {
    polls: usize,
}

impl<B> Service<Request<B>> for PendingReadyError {
    type Response = Response<ScriptedBody>;
    type Error = Boom;
    type Future = Ready<Result<Self::Response, Boom>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Boom>> {
        self.polls += 1;
        match self.polls {
            1 => Poll::Pending,
            2 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Boom)),
        }
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        unreachable!("the test only polls readiness")
    }
}

fn poll_three_times(
    mut service: impl Service<Request<()>, Error = Boom>,
) -> [Poll<Result<(), Boom>>; 3] {
    let mut cx = Context::from_waker(Waker::noop());
    [(); 3].map(|()| service.poll_ready(&mut cx))
}

#[test]
fn poll_ready_returns_the_result_of_the_inner_service() {
    let bare = poll_three_times(PendingReadyError::default());
    let layer = Recorder::new().layer();
    let filtered = layer.clone().filter(|_| false);
    let counted = RequestBodyLayer::new();
    assert_eq!(
        poll_three_times(layer.layer(PendingReadyError::default())),
        bare
    );
    assert_eq!(
        poll_three_times(filtered.layer(PendingReadyError::default())),
        bare,
        "filtered out"
    );
    assert_eq!(
        poll_three_times(counted.layer(PendingReadyError::default())),
        bare,
        "request body counted"
    );
}
