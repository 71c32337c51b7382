//! gRPC server spans at their start, as defined by the semantic conventions 1.45.0.

use std::borrow::Cow;

use http::request;

use crate::protocol::http::forwarded::Hop;
use crate::protocol::http::methods::OTHER;
use crate::recording::request_info::{CalledMethod, RPC_SYSTEM_GRPC, RequestInfo};
use crate::recording::written_keys::OwnKey;
use crate::telemetry::span::network::{self, Connection};
use crate::telemetry::span::start_attributes::StartAttributes;
use crate::text::truncate;

/// Sets the attributes and returns the name: `service/method`, or `grpc` for an unknown method.
///
/// A tracer keeps both values of a key that is set twice. So `rpc.method` is set here only if the response cannot
/// change it.
pub(super) fn describe_start(
    parts: &request::Parts,
    request: &RequestInfo,
    connection: &Connection,
    attributes: &mut StartAttributes,
) -> Cow<'static, str> {
    attributes.set(OwnKey::RpcSystem, RPC_SYSTEM_GRPC);
    // By the conventions a call's `server.*` come from `:authority`, not from a proxy.
    network::describe_server(parts, &Hop::default(), attributes);
    network::describe_connection(connection, attributes);
    let method = match &request.rpc_method {
        CalledMethod::Known(method) => {
            attributes.set(OwnKey::RpcMethod, method.clone());
            method
        }
        // Set at the end, when the response has decided. Until then the name shows it to samplers.
        CalledMethod::Unconfirmed { name, .. } => name,
        CalledMethod::Unknown => {
            let path = parts.uri.path();
            let original = path.strip_prefix('/').filter(|rest| !rest.is_empty());
            let original = truncate(original.unwrap_or(path)).to_owned();
            attributes.set(OwnKey::RpcMethod, OTHER);
            attributes.set(OwnKey::RpcMethodOriginal, original);
            return Cow::Borrowed(RPC_SYSTEM_GRPC);
        }
    };
    Cow::Owned(method.to_string())
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use crate::telemetry::span::tests::{started, started_with};

    #[test]
    fn call_is_named_after_its_method_which_the_response_has_to_confirm() {
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
                "rpc.system.name=grpc",
                "server.address=::1",
                "server.port=50051",
            ]
        );
    }

    #[test]
    fn a_path_of_another_form_is_other_and_grpc_in_the_name() {
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
    fn an_unlisted_method_is_other() {
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
            let (span_name, attributes) = started_with(request, |settings| {
                settings.rpc_methods.set_methods(["a.A/One"]);
            });
            assert_eq!(span_name, name);
            assert_eq!(attributes[..attributes.len() - 1], *expected);
            assert_eq!(attributes[attributes.len() - 1], "rpc.system.name=grpc");
        }
    }
}
