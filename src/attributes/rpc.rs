//! gRPC server spans, semantic conventions 1.45.0.

use std::borrow::Cow;

use http::request;

use super::{Attributes, StartKey, net};
use crate::grpc::GrpcCode;
use crate::outcome::End;
use crate::text::cut;

/// Sets the attributes and returns the name: `service/method`, or `grpc` where the path is none.
pub(super) fn at_start(parts: &request::Parts, attributes: &mut Attributes) -> Cow<'static, str> {
    attributes.set(StartKey::RpcSystem, "grpc");
    net::server(parts, attributes);
    let Some(method) = method(parts.uri.path()) else {
        let original = cut(parts.uri.path()).to_owned();
        attributes.set(StartKey::RpcMethod, "_OTHER");
        attributes.set(StartKey::RpcMethodOriginal, original);
        return Cow::Borrowed("grpc");
    };
    let method = cut(method).to_owned();
    attributes.set(StartKey::RpcMethod, method.clone());
    Cow::Owned(method)
}

/// `service/method` in a path of that form.
fn method(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let (service, method) = path.split_once('/')?;
    (!service.is_empty() && !method.is_empty() && !method.contains('/')).then_some(path)
}

/// The code that the call ended with, where it is known: the one that was sent, or what gRPC calls
/// a call that stopped without one.
pub(super) fn status_code(end: &End) -> Option<GrpcCode> {
    match end {
        End::Complete { grpc_status } => grpc_status.as_ref().map(|status| status.code),
        End::Dropped {
            past_deadline: true,
            ..
        } => Some(GrpcCode::DEADLINE_EXCEEDED),
        End::Dropped { .. } => Some(GrpcCode::CANCELLED),
        End::LengthMismatch { .. }
        | End::ServiceError { .. }
        | End::BodyError { .. }
        | End::Panicked => None,
    }
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::super::tests::started;

    #[test]
    fn a_call() {
        let (name, attributes) = started(
            Request::post("http://[::1]:50051/grpc.health.v1.Health/Check")
                .version(Version::HTTP_2)
                .header("content-type", "application/grpc")
                .header("user-agent", "grpc-rust")
                .body(())
                .expect("a request"),
        );
        assert_eq!(name, "grpc.health.v1.Health/Check");
        assert_eq!(
            attributes,
            [
                "rpc.method=grpc.health.v1.Health/Check",
                "rpc.system.name=grpc",
                "server.address=::1",
                "server.port=50051",
            ]
        );
    }

    #[test]
    fn a_path_that_is_no_method_is_other_and_grpc_in_the_name() {
        for path in ["/", "/a", "/a/", "//b", "/a/b/c", "*"] {
            let request = Request::post(path).header("content-type", "application/grpc+proto");
            let (name, attributes) = started(request.body(()).expect("a request"));
            assert_eq!(name, "grpc", "{path}");
            assert_eq!(
                attributes[..2],
                [
                    "rpc.method=_OTHER".to_owned(),
                    format!("rpc.method_original={path}")
                ]
            );
        }
    }
}
