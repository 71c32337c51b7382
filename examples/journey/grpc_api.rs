//! The API over gRPC: the health service, because its code is already generated. The requested service
//! name selects how the call ends.

use std::panic::panic_any;

use futures_util::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_api_span::SpanHandle;

use crate::app::UNCLASSIFIABLE;
use crate::engine::{Engine, IntendedPanic};

/// Serves `check`, which answers with one message, and `watch`, which streams one message per token.
pub(crate) fn service(engine: Engine) -> HealthServer<impl Health> {
    HealthServer::new(Api { engine })
}

struct Api {
    engine: Engine,
}

#[tonic::async_trait]
impl Health for Api {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let span = SpanHandle::from_extensions(request.extensions());
        let ending = Ending::from_request(&request)?;
        let last = ending.run(self.engine.clone(), span.clone());
        self.engine.generate(&span, last).await?;
        Ok(Response::new(serving()))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let span = SpanHandle::from_extensions(request.extensions());
        let ending = Ending::from_request(&request)?;
        let last = ending.run(self.engine.clone(), span.clone());
        let last = async { last.await.err().map(Err) };
        let messages = self.engine.clone().generate_stream(span, serving(), last);
        Ok(Response::new(messages.boxed()))
    }
}

/// How a call ends after the tokens are generated.
#[derive(Clone, Copy)]
enum Ending {
    Success,
    HandlerError,
    Cancelled,
    Exception,
    Uncaught,
    TracingPanic,
}

impl Ending {
    fn from_request(request: &Request<HealthCheckRequest>) -> Result<Self, Status> {
        match request.get_ref().service.as_str() {
            "" => Err(Status::invalid_argument("name a service")),
            "success" => Ok(Self::Success),
            "handler-error" => Ok(Self::HandlerError),
            "cancelled" => Ok(Self::Cancelled),
            "exception" => Ok(Self::Exception),
            "uncaught" => Ok(Self::Uncaught),
            "tracing-panic" => Ok(Self::TracingPanic),
            _ => Err(Status::not_found("no such service")),
        }
    }

    async fn run(self, engine: Engine, span: SpanHandle) -> Result<(), Status> {
        match self {
            Self::Success => {}
            Self::HandlerError => {
                span.mark_aborted("generation_error", "the engine ran out of memory");
            }
            Self::Cancelled => engine.hang().await,
            Self::Exception => return Err(Status::unavailable("the engine has gone away")),
            Self::Uncaught => panic_any(IntendedPanic),
            Self::TracingPanic => span.mark_aborted(UNCLASSIFIABLE, ""),
        }
        Ok(())
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse {
        status: ServingStatus::Serving as i32,
    }
}
