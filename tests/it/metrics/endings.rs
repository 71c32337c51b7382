//! All ways in which a request can end.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::Poll;

use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body as _;
use tower::{Service, service_fn};
use tower_api_span::{ApiSpanLayer, SpanHandle};
use tower_layer::Layer as _;

use crate::support::body::Step::{self, Data, Error, Panic, Pending, Silent, Trailers};
use crate::support::body::{Boom, ScriptedBody};
use crate::support::{get, grpc, handle_of, poll, poll_frame, response};

/// A request, the reply to it, and the expected `error.type`.
#[derive(Clone, Copy)]
pub struct Ending {
    pub name: &'static str,
    pub request: fn() -> Request<()>,
    /// What the handler does with its handle.
    pub use_handle: fn(&SpanHandle),
    pub reply: Reply,
    /// The number of body polls before the body is dropped.
    pub polls: usize,
    /// Expected on the span and on the metric.
    pub error_type: Option<&'static str>,
    /// Whether the client disconnects.
    pub is_disconnect: bool,
}

/// What the service does.
#[derive(Clone, Copy)]
pub enum Reply {
    Head {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        steps: &'static [Step],
    },
    Fails,
    Panics,
    Never,
}

pub const fn head(status: u16, steps: &'static [Step]) -> Reply {
    head_with(status, &[], steps)
}

pub const fn head_with(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    steps: &'static [Step],
) -> Reply {
    Reply::Head {
        status,
        headers,
        steps,
    }
}

/// The headers of a gRPC response.
pub const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];

const fn ending(name: &'static str, reply: Reply, polls: usize) -> Ending {
    Ending {
        name,
        request: get,
        use_handle: |_| {},
        reply,
        polls,
        error_type: None,
        is_disconnect: false,
    }
}

const fn error(name: &'static str, reply: Reply, polls: usize, error_type: &'static str) -> Ending {
    Ending {
        error_type: Some(error_type),
        ..ending(name, reply, polls)
    }
}

const fn disconnect(
    name: &'static str,
    reply: Reply,
    polls: usize,
    error_type: &'static str,
) -> Ending {
    Ending {
        is_disconnect: true,
        ..error(name, reply, polls, error_type)
    }
}

const fn grpc_call(ending: Ending) -> Ending {
    Ending {
        request: grpc,
        ..ending
    }
}

pub const ALL: [Ending; 17] = [
    ending("success", head(200, &[Data(3), Pending, Data(2)]), 9),
    ending("404", head(404, &[Data(9)]), 9),
    error("500", head(500, &[Data(1)]), 9, "500"),
    error("service error", Reply::Fails, 0, "exception"),
    error("body error", head(200, &[Data(4), Error]), 9, "exception"),
    Ending {
        use_handle: |handle| handle.mark_aborted("out_of_memory", "no room"),
        ..error("verdict", head(200, &[Data(1)]), 9, "out_of_memory")
    },
    disconnect("before the head", Reply::Never, 0, "client_disconnect"),
    disconnect(
        "midway",
        head(200, &[Data(7), Silent]),
        1,
        "client_disconnect",
    ),
    disconnect("unread", head(200, &[Data(7)]), 0, "generator_exit"),
    error(
        "length mismatch",
        head_with(200, &[("content-length", "5")], &[Data(3)]),
        9,
        "length_mismatch",
    ),
    error("panic in the call", Reply::Panics, 0, "panic"),
    error(
        "panic in the body",
        head(200, &[Data(3), Panic]),
        9,
        "panic",
    ),
    grpc_call(ending(
        "gRPC OK",
        head_with(200, GRPC, &[Data(3), Trailers(&[("grpc-status", "0")])]),
        9,
    )),
    grpc_call(ending(
        "gRPC NOT_FOUND",
        head_with(200, GRPC, &[Trailers(&[("grpc-status", "5")])]),
        9,
    )),
    grpc_call(error(
        "gRPC INTERNAL",
        head_with(200, GRPC, &[Trailers(&[("grpc-status", "13")])]),
        9,
        "INTERNAL",
    )),
    grpc_call(ending("gRPC before the head", Reply::Never, 0)),
    grpc_call(error("gRPC answered in HTTP", head(502, &[]), 9, "502")),
];

impl Ending {
    /// Whether the request and the reply are gRPC.
    pub fn is_grpc(&self) -> bool {
        let request = (self.request)();
        request.headers().contains_key("content-type") && self.name != "gRPC answered in HTTP"
    }

    /// Runs the request and returns the number of body bytes read.
    pub fn run(&self, layer: &ApiSpanLayer) -> usize {
        self.run_with((self.request)(), layer)
    }

    /// Runs another request instead.
    pub fn run_with(&self, request: Request<()>, layer: &ApiSpanLayer) -> usize {
        let mut bytes = 0;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut service = layer.layer(service_fn(|request| self.call(&request)));
            let mut future = Box::pin(service.call(request));
            let Poll::Ready(Ok(response)) = poll(future.as_mut()) else {
                return;
            };
            let mut body = response.into_body();
            for _ in 0..self.polls {
                match poll_frame(&mut body) {
                    Poll::Ready(Some(Ok(frame))) => {
                        bytes += frame.data_ref().map_or(0, bytes::Bytes::len);
                    }
                    Poll::Ready(_) => return,
                    Poll::Pending => {}
                }
                if body.is_end_stream() {
                    return;
                }
            }
        }));
        let panics = self.error_type == Some("panic");
        assert_eq!(caught.is_err(), panics, "{}", self.name);
        bytes
    }

    fn call(
        &self,
        request: &Request<()>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<ScriptedBody>, Boom>>>> {
        (self.use_handle)(&handle_of(request));
        match self.reply {
            Reply::Head {
                status,
                headers,
                steps,
            } => {
                let mut response = response(status, ScriptedBody::new(steps.iter().cloned()));
                for (name, value) in headers {
                    let name = HeaderName::from_static(name);
                    let value = HeaderValue::from_static(value);
                    response.headers_mut().insert(name, value);
                }
                Box::pin(std::future::ready(Ok(response)))
            }
            Reply::Fails => Box::pin(std::future::ready(Err(Boom))),
            // Unlike `panic!`, this does not run the panic hook.
            Reply::Panics => resume_unwind(Box::new("the service panics")),
            Reply::Never => Box::pin(std::future::pending()),
        }
    }
}
