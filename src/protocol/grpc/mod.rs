//! gRPC over HTTP: detection by content type, the status, and the timeout. Pure.

mod status;
mod timeout;
pub(crate) mod web;

use http::{HeaderMap, Method};

use crate::protocol::http::content_type::ContentType;

pub use status::{GrpcCode, GrpcStatus};
pub(crate) use timeout::parse_timeout;

/// The protocol of a message.
///
/// ```
/// use http::Method;
/// use tower_api_span::{Completion, End, Protocol};
///
/// let completion = Completion::new(Method::GET, End::complete());
/// assert_eq!(completion.protocol(), Protocol::Http);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Protocol {
    /// Any message that is not gRPC.
    Http,
    /// `application/grpc` and `application/grpc+…`. The status is in the trailers, or in the head of
    /// a trailers-only response.
    Grpc,
    /// `application/grpc-web…`. Outside a layer that translates gRPC-Web, the trailers are the last bytes of the
    /// body. The layer cannot read them if the body has a content encoding, or if a frame is not contiguous. So a
    /// missing `grpc-status` is not an error.
    GrpcWeb,
}

/// Detects the protocol of a request. A gRPC request is a POST. With another method the content type is ignored.
pub(crate) fn detect_protocol(method: &Method, headers: &HeaderMap) -> Protocol {
    if method == Method::POST {
        ContentType::from_headers(headers).map_or(Protocol::Http, match_content_type)
    } else {
        Protocol::Http
    }
}

/// Whether this is a content type of gRPC or gRPC-Web.
pub(crate) fn is_grpc(content_type: ContentType<'_>) -> bool {
    match_content_type(content_type) != Protocol::Http
}

fn match_content_type(content_type: ContentType<'_>) -> Protocol {
    match content_type.strip_prefix("application/grpc") {
        Some([] | [b'+', ..]) => Protocol::Grpc,
        Some([b'-', ..]) => Protocol::GrpcWeb,
        _ => Protocol::Http,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
    }

    #[test]
    fn content_type_of_a_post_decides_the_protocol() {
        for (content_type, expected) in [
            ("application/grpc", Protocol::Grpc),
            ("application/grpc+proto", Protocol::Grpc),
            ("application/grpc;charset=utf-8", Protocol::Grpc),
            ("Application/GRPC", Protocol::Grpc),
            ("application/grpc-web", Protocol::GrpcWeb),
            ("application/grpc-web-text+proto", Protocol::GrpcWeb),
            ("application/grpcish", Protocol::Http),
            ("application/json", Protocol::Http),
            ("", Protocol::Http),
        ] {
            assert_eq!(
                detect_protocol(&Method::POST, &headers(content_type)),
                expected,
                "{content_type}"
            );
        }
        assert_eq!(
            detect_protocol(&Method::POST, &HeaderMap::new()),
            Protocol::Http
        );
        let headers = headers("application/grpc");
        for (method, expected) in [
            (Method::POST, Protocol::Grpc),
            (Method::GET, Protocol::Http),
            (Method::HEAD, Protocol::Http),
        ] {
            assert_eq!(detect_protocol(&method, &headers), expected, "{method}");
        }
    }
}
