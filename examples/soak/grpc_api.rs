//! What is replied over gRPC: by the health service, because its code comes ready-made.

use std::future::pending;
use std::panic::panic_any;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_api_span::SpanHandle;

use crate::IntendedPanic;
use crate::asked::Asked;
use crate::lanes::Hanging;
use crate::paths::{Does, MESSAGES, Reply};

pub(crate) fn service(hanging: Hanging) -> HealthServer<impl Health> {
    HealthServer::new(Api { hanging })
}

struct Api {
    hanging: Hanging,
}

#[tonic::async_trait]
impl Health for Api {
    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        reply(self.hanging.clone(), &request)?.await?;
        Ok(Response::new(serving()))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let last = reply(self.hanging.clone(), &request)?;
        let last = stream::once(last).filter_map(async |replied| replied.err().map(Err));
        let messages = stream::repeat_with(|| Ok(serving())).take(MESSAGES);
        // Not all at once: what is ready together is one frame.
        let messages = messages.then(async |message| {
            tokio::task::yield_now().await;
            message
        });
        Ok(Response::new(messages.chain(last).boxed()))
    }
}

/// What the request asks for.
fn reply(
    hanging: Hanging,
    request: &Request<HealthCheckRequest>,
) -> Result<impl Future<Output = Result<(), Status>> + use<>, Status> {
    let span = SpanHandle::from_extensions(request.extensions());
    span.handoff_to_core();
    let asked = Asked::of(request.metadata().as_ref());
    let Some((Does::Grpc(_, reply), asked)) = asked.map(|asked| (asked.path().does, asked)) else {
        return Err(Status::unimplemented("nobody has asked for this"));
    };
    Ok(async move {
        match reply {
            Reply::Succeeds => Ok(()),
            Reply::Told => {
                span.abort("generation_error", "the engine ran out of memory");
                Ok(())
            }
            Reply::Fails(code) => Err(Status::new(code, "the engine has gone away")),
            Reply::Panics => panic_any(IntendedPanic),
            Reply::Hangs => {
                hanging.tell(asked);
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
