//! Requests with and without a caller.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};

/// Returns an HTTP request to an LLM API, with host and user agent.
pub(crate) fn http(has_caller: bool) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::from_static("/v1/chat/completions");
    let headers = request.headers_mut();
    *headers = base_headers(has_caller);
    headers.insert(header::HOST, HeaderValue::from_static("example.com:8080"));
    request
}

/// Returns a gRPC call, as an HTTP/2 server passes it to the service.
pub(crate) fn grpc(has_caller: bool) -> Request<()> {
    let mut request = Request::new(());
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = Uri::from_static("http://example.com:8080/grpc.health.v1.Health/Check");
    let headers = request.headers_mut();
    *headers = base_headers(has_caller);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    request
}

fn base_headers(has_caller: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(header::USER_AGENT, HeaderValue::from_static("curl/8.14.1"));
    if has_caller {
        let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert(
            HeaderName::from_static("traceparent"),
            HeaderValue::from_static(caller),
        );
    }
    headers
}
