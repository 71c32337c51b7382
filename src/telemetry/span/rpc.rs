//! gRPC server spans, semantic conventions 1.45.0.

use std::borrow::Cow;
use std::sync::Arc;

use http::request;
use opentelemetry::StringValue;

use super::{Attributes, Connection, RequestInfo, StartKey, network};
use crate::outcome::End;
use crate::protocol::grpc::GrpcCode;
use crate::protocol::http::forwarded::Hop;
use crate::protocol::http::methods::OTHER;
use crate::settings::Settings;
use crate::text::truncate;

/// Sets the attributes and returns the name: `service/method`, or `grpc` where the path is none that
/// is known.
pub(super) fn at_start(
    parts: &request::Parts,
    facts: &RequestInfo,
    connection: &Connection,
    attributes: &mut Attributes,
) -> Cow<'static, str> {
    attributes.set(StartKey::RpcSystem, SYSTEM);
    // Of `:authority` alone, say the conventions.
    network::server(parts, &Hop::default(), attributes);
    network::connection(connection, attributes);
    let Some(method) = &facts.rpc_method else {
        let path = parts.uri.path();
        let original = path.strip_prefix('/').filter(|rest| !rest.is_empty());
        let original = truncate(original.unwrap_or(path)).to_owned();
        attributes.set(StartKey::RpcMethod, OTHER);
        attributes.set(StartKey::RpcMethodOriginal, original);
        return Cow::Borrowed(SYSTEM);
    };
    attributes.set(StartKey::RpcMethod, method.clone());
    Cow::Owned(method.as_str().to_owned())
}

/// `service/method` of a call, if it is known.
pub(super) fn method(parts: &request::Parts, config: &Settings) -> Option<StringValue> {
    let method = config.rpc_methods.find(parts.uri.path())?;
    // Shared, since spans and metrics both tell it.
    Some(StringValue::from(Arc::<str>::from(truncate(method))))
}

/// What `rpc.system.name` says, and the name of a call whose method is not known.
pub(crate) const SYSTEM: &str = "grpc";

/// The code that the call ended with, where it is known: the one that was sent, or what gRPC calls
/// a call that stopped without one.
pub(crate) fn status_code(end: &End) -> Option<GrpcCode> {
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

    use super::super::tests::{started, started_with};

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
        for (path, original) in [
            ("/", "/"),
            ("/a", "a"),
            ("/a/", "a/"),
            ("//b", "/b"),
            ("/a/b/c", "a/b/c"),
            ("*", "*"),
        ] {
            let request = Request::post(path).header("content-type", "application/grpc+proto");
            let (name, attributes) = started(request.body(()).expect("a request"));
            assert_eq!(name, "grpc", "{path}");
            assert_eq!(
                attributes[..2],
                [
                    "rpc.method=_OTHER".to_owned(),
                    format!("rpc.method_original={original}")
                ]
            );
        }
    }

    #[test]
    fn a_method_that_is_not_on_the_list_is_other() {
        for (path, name, expected) in [
            ("/a.A/One", "a.A/One", &["rpc.method=a.A/One"][..]),
            (
                "/a.A/Two",
                "grpc",
                &["rpc.method=_OTHER", "rpc.method_original=a.A/Two"],
            ),
        ] {
            let request = Request::post(path).header("content-type", "application/grpc");
            let request = request.body(()).expect("a request");
            let (span_name, attributes) = started_with(request, |config| {
                config.rpc_methods =
                    crate::protocol::http::methods::RpcMethods::from_names(["a.A/One"]);
            });
            assert_eq!(span_name, name);
            assert_eq!(attributes[..attributes.len() - 1], *expected);
            assert_eq!(attributes[attributes.len() - 1], "rpc.system.name=grpc");
        }
    }
}
