//! The API over gRPC: the health service, because its code comes ready-made. The name of the
//! service that is asked for says what will happen.

use std::panic::panic_any;

use futures_util::stream::{BoxStream, StreamExt};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_api_span::SpanHandle;

use crate::app::UNCLASSIFIABLE;
use crate::engine::{Engine, IntendedPanic};

/// Serves `check`, which answers with one message, and `watch`, which streams a message a token.
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
        let ending = Ending::of(&request)?;
        let last = ending.happens(self.engine.clone(), span.clone());
        self.engine.whole(&span, last).await?;
        Ok(Response::new(serving()))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let span = SpanHandle::from_extensions(request.extensions());
        let ending = Ending::of(&request)?;
        let last = ending.happens(self.engine.clone(), span.clone());
        let last = async { last.await.err().map(Err) };
        let messages = self.engine.clone().stream(span, serving(), last);
        Ok(Response::new(messages.boxed()))
    }
}

/// How a call ends once the tokens are made.
#[derive(Clone, Copy)]
enum Ending {
    Success,
    Told,
    Cancelled,
    Exception,
    Uncaught,
    Telemetry,
}

impl Ending {
    fn of(request: &Request<HealthCheckRequest>) -> Result<Self, Status> {
        match request.get_ref().service.as_str() {
            "" => Err(Status::invalid_argument("name a service")),
            "success" => Ok(Self::Success),
            "told" => Ok(Self::Told),
            "cancelled" => Ok(Self::Cancelled),
            "exception" => Ok(Self::Exception),
            "uncaught" => Ok(Self::Uncaught),
            "telemetry" => Ok(Self::Telemetry),
            _ => Err(Status::not_found("no such service")),
        }
    }

    async fn happens(self, engine: Engine, span: SpanHandle) -> Result<(), Status> {
        match self {
            Self::Success => {}
            Self::Told => span.abort("generation_error", "the engine ran out of memory"),
            Self::Cancelled => engine.hang().await,
            Self::Exception => return Err(Status::unavailable("the engine has gone away")),
            Self::Uncaught => panic_any(IntendedPanic),
            Self::Telemetry => span.abort(UNCLASSIFIABLE, ""),
        }
        Ok(())
    }
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse {
        status: ServingStatus::Serving as i32,
    }
}
