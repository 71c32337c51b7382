//! The API over gRPC: the health service, because its code is already generated.

use std::future::pending;
use std::panic::panic_any;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_api_span::SpanHandle;

use crate::IntendedPanic;
use crate::lanes::HangSignal;
use crate::paths::{MESSAGES, Reply, ServerAction};
use crate::tag::Tag;

pub(crate) fn service(hang_signal: HangSignal) -> HealthServer<impl Health> {
    HealthServer::new(Api { hang_signal })
}

struct Api {
    hang_signal: HangSignal,
}

#[tonic::async_trait]
impl Health for Api {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        reply(self.hang_signal.clone(), &request)?.await?;
        Ok(Response::new(serving()))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let last = reply(self.hang_signal.clone(), &request)?;
        let last = stream::once(last).filter_map(async |replied| replied.err().map(Err));
        let messages = stream::repeat_with(|| Ok(serving())).take(MESSAGES);
        // Yields between messages: messages that are ready together are sent as one frame.
        let messages = messages.then(async |message| {
            tokio::task::yield_now().await;
            message
        });
        Ok(Response::new(messages.chain(last).boxed()))
    }
}

/// Returns the future that ends the call as its tag requests.
fn reply(
    hang_signal: HangSignal,
    request: &Request<HealthCheckRequest>,
) -> Result<impl Future<Output = Result<(), Status>> + use<>, Status> {
    let span = SpanHandle::from_extensions(request.extensions());
    span.handoff_to_core();
    let tag = Tag::from_headers(request.metadata().as_ref());
    let Some((ServerAction::Grpc(_, reply), tag)) = tag.map(|tag| (tag.path().server, tag)) else {
        return Err(Status::unimplemented("the request has no valid tag"));
    };
    Ok(async move {
        match reply {
            Reply::Succeeds => Ok(()),
            Reply::ReportsError => {
                span.mark_aborted("generation_error", "the engine ran out of memory");
                Ok(())
            }
            Reply::Fails(code) => Err(Status::new(code, "the engine has gone away")),
            Reply::Panics => panic_any(IntendedPanic),
            Reply::Hangs => {
                hang_signal.notify(tag);
                pending().await
            }
        }
    })
}

fn serving() -> HealthCheckResponse {
    HealthCheckResponse {
        status: ServingStatus::Serving as i32,
    }
}
