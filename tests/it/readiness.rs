//! Back-pressure: what wraps a service is as ready as the service.

use std::future::Ready;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use tower::Service;
use tower_api_span::CountRequestBodyLayer;
use tower_layer::Layer as _;

use crate::support::body::{Boom, ScriptedBody};
use crate::support::recorder::Recorder;

/// Not ready, then ready, then broken.
#[derive(Default)]
struct Moody {
    asked: usize,
}

impl<B> Service<Request<B>> for Moody {
    type Response = Response<ScriptedBody>;
    type Error = Boom;
    type Future = Ready<Result<Self::Response, Boom>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Boom>> {
        self.asked += 1;
        match self.asked {
            1 => Poll::Pending,
            2 => Poll::Ready(Ok(())),
            _ => Poll::Ready(Err(Boom)),
        }
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        unreachable!("it is only asked whether it is ready")
    }
}

fn ask(mut service: impl Service<Request<()>, Error = Boom>) -> [Poll<Result<(), Boom>>; 3] {
    let mut cx = Context::from_waker(Waker::noop());
    [(); 3].map(|()| service.poll_ready(&mut cx))
}

#[test]
fn a_service_is_as_ready_as_the_one_it_wraps() {
    let bare = ask(Moody::default());
    let layer = Recorder::new().layer();
    let off = layer.clone().filter(|_| false);
    let counted = CountRequestBodyLayer::new();
    assert_eq!(ask(layer.layer(Moody::default())), bare);
    assert_eq!(ask(off.layer(Moody::default())), bare, "nothing is traced");
    assert_eq!(ask(counted.layer(Moody::default())), bare, "counted");
}
