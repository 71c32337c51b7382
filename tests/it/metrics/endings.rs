//! All ways for a request to end.

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

/// A request, what becomes of it, and what that is called.
#[derive(Clone, Copy)]
pub(super) struct Ending {
    pub(super) name: &'static str,
    pub(super) request: fn() -> Request<()>,
    /// What the handler says before it answers.
    pub(super) tell: fn(&SpanHandle),
    pub(super) answer: Answer,
    /// How many frames are asked for, and then the body is dropped.
    pub(super) polls: usize,
    /// Both on the span and on its metric.
    pub(super) error_type: Option<&'static str>,
    /// It is that the client has left.
    pub(super) is_leaving: bool,
}

#[derive(Clone, Copy)]
pub(super) enum Answer {
    Head {
        status: u16,
        headers: &'static [(&'static str, &'static str)],
        steps: &'static [Step],
    },
    Fails,
    Panics,
    Never,
}

pub(super) const fn head(status: u16, steps: &'static [Step]) -> Answer {
    headed(status, &[], steps)
}

pub(super) const fn headed(
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    steps: &'static [Step],
) -> Answer {
    Answer::Head {
        status,
        headers,
        steps,
    }
}

/// The head of an answer of gRPC.
pub(super) const GRPC: &[(&str, &str)] = &[("content-type", "application/grpc")];

const fn ending(name: &'static str, answer: Answer, polls: usize) -> Ending {
    Ending {
        name,
        request: get,
        tell: |_| {},
        answer,
        polls,
        error_type: None,
        is_leaving: false,
    }
}

const fn error(
    name: &'static str,
    answer: Answer,
    polls: usize,
    error_type: &'static str,
) -> Ending {
    Ending {
        error_type: Some(error_type),
        ..ending(name, answer, polls)
    }
}

const fn leaving(
    name: &'static str,
    answer: Answer,
    polls: usize,
    error_type: &'static str,
) -> Ending {
    Ending {
        is_leaving: true,
        ..error(name, answer, polls, error_type)
    }
}

const fn call(ending: Ending) -> Ending {
    Ending {
        request: grpc,
        ..ending
    }
}

pub(super) const ALL: [Ending; 17] = [
    ending("success", head(200, &[Data(3), Pending, Data(2)]), 9),
    ending("404", head(404, &[Data(9)]), 9),
    error("500", head(500, &[Data(1)]), 9, "500"),
    error("service error", Answer::Fails, 0, "exception"),
    error("body error", head(200, &[Data(4), Error]), 9, "exception"),
    Ending {
        tell: |handle| handle.abort("out_of_memory", "no room"),
        ..error("verdict", head(200, &[Data(1)]), 9, "out_of_memory")
    },
    leaving("before the head", Answer::Never, 0, "client_disconnect"),
    leaving(
        "midway",
        head(200, &[Data(7), Silent]),
        1,
        "client_disconnect",
    ),
    leaving("unread", head(200, &[Data(7)]), 0, "generator_exit"),
    error(
        "length mismatch",
        headed(200, &[("content-length", "5")], &[Data(3)]),
        9,
        "length_mismatch",
    ),
    error("panic in the call", Answer::Panics, 0, "panic"),
    error(
        "panic in the body",
        head(200, &[Data(3), Panic]),
        9,
        "panic",
    ),
    call(ending(
        "gRPC OK",
        headed(200, GRPC, &[Data(3), Trailers(&[("grpc-status", "0")])]),
        9,
    )),
    call(ending(
        "gRPC NOT_FOUND",
        headed(200, GRPC, &[Trailers(&[("grpc-status", "5")])]),
        9,
    )),
    call(error(
        "gRPC INTERNAL",
        headed(200, GRPC, &[Trailers(&[("grpc-status", "13")])]),
        9,
        "INTERNAL",
    )),
    call(ending("gRPC before the head", Answer::Never, 0)),
    call(error("gRPC answered in HTTP", head(502, &[]), 9, "502")),
];

impl Ending {
    /// It is a call of gRPC, and answered as one.
    pub(super) fn is_call(&self) -> bool {
        let request = (self.request)();
        request.headers().contains_key("content-type") && self.name != "gRPC answered in HTTP"
    }

    /// Lets a request come to this end, and returns how many bytes of its response were read.
    pub(super) fn run(&self, layer: &ApiSpanLayer) -> usize {
        self.run_with((self.request)(), layer)
    }

    /// The same with another request.
    pub(super) fn run_with(&self, request: Request<()>, layer: &ApiSpanLayer) -> usize {
        let mut bytes = 0;
        let caught = catch_unwind(AssertUnwindSafe(|| {
            let mut service = layer.layer(service_fn(|request| self.answer(&request)));
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

    fn answer(
        &self,
        request: &Request<()>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<ScriptedBody>, Boom>>>> {
        (self.tell)(&handle_of(request));
        match self.answer {
            Answer::Head {
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
            Answer::Fails => Box::pin(std::future::ready(Err(Boom))),
            // Not `panic!`, which would run the hook.
            Answer::Panics => resume_unwind(Box::new("the service panics")),
            Answer::Never => Box::pin(std::future::pending()),
        }
    }
}
