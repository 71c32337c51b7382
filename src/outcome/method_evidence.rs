//! Decides whether a response confirms its gRPC method.

use http::StatusCode;

use crate::outcome::completion::Completion;
use crate::outcome::end::End;
use crate::protocol::grpc::{GrpcCode, Protocol};

/// The evidence that the server has the called method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MethodEvidence {
    /// The response is OK or has a message, which only the method itself returns.
    Confirmed,
    /// The call failed in a way in which methods do. An interceptor may fail so, too. So it is evidence only if the
    /// operator has listed the service, whose unknown methods are `UNIMPLEMENTED`.
    Failed,
    /// The same can happen to a call of any method.
    Missing,
}

/// Returns the evidence for the method of a call that has ended.
///
/// Servers answer an unknown method with `UNIMPLEMENTED`, and no message (tonic, grpc-js, grpcio).
/// Logins, quotas and checks in front of the server refuse unknown methods as they refuse known ones.
pub(crate) fn method_evidence(completion: &Completion) -> MethodEvidence {
    let is_grpc = completion.protocol != Protocol::Http;
    let has_grpc_head = is_grpc && completion.status == Some(StatusCode::OK);
    // In gRPC-Web a status is data, too, so data is no message there.
    let has_message = has_grpc_head
        && completion.protocol == Protocol::Grpc
        && completion.time_to_first_byte.is_some();
    match &completion.end {
        End::Complete {
            grpc_status: Some(status),
        } if has_grpc_head => match status.code {
            GrpcCode::OK => MethodEvidence::Confirmed,
            _ if has_message => MethodEvidence::Confirmed,
            GrpcCode::UNIMPLEMENTED => MethodEvidence::Missing,
            code if is_refusal(code) => MethodEvidence::Missing,
            _ => MethodEvidence::Failed,
        },
        End::Dropped { .. } | End::BodyError { .. } | End::Panicked if has_message => {
            MethodEvidence::Confirmed
        }
        End::Panicked if is_grpc => MethodEvidence::Failed,
        End::Complete { .. }
        | End::LengthMismatch { .. }
        | End::Truncated
        | End::ServiceError { .. }
        | End::BodyError { .. }
        | End::Dropped { .. }
        | End::Panicked => MethodEvidence::Missing,
    }
}

/// Whether limits, logins and timeouts in front of a service answer with this code.
fn is_refusal(code: GrpcCode) -> bool {
    matches!(
        code,
        GrpcCode::CANCELLED
            | GrpcCode::DEADLINE_EXCEEDED
            | GrpcCode::PERMISSION_DENIED
            | GrpcCode::RESOURCE_EXHAUSTED
            | GrpcCode::UNAUTHENTICATED
            | GrpcCode::UNAVAILABLE
    )
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn only_a_call_whose_handler_panicked_is_evidence_of_its_method() {
        for (protocol, expected) in [
            (Protocol::Grpc, MethodEvidence::Failed),
            (Protocol::GrpcWeb, MethodEvidence::Failed),
            (Protocol::Http, MethodEvidence::Missing),
        ] {
            let completion = Completion::new(Method::POST, End::panicked());
            let evidence = method_evidence(&completion.with_protocol(protocol));
            assert_eq!(evidence, expected, "{protocol:?}");
        }
    }
}
