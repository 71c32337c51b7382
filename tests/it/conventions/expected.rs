//! The expected spans: the attributes of the conventions and the layer's own, computed without the layer.

use std::net::SocketAddr;

use http::Method;
use tonic::Code;

use super::client::Version;
use super::servers::has_body;

/// The methods of RFC 9110, RFC 5789 (PATCH) and RFC 10008 (QUERY).
pub const STANDARD: &[&str] = &[
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
];

/// The lines of an expected span.
struct Lines(Vec<String>);

impl Lines {
    fn new(name: &str) -> Self {
        let schema = "https://opentelemetry.io/schemas/1.45.0";
        Self(vec![
            format!("name: {name}"),
            "kind: Server".to_owned(),
            format!("schema: {schema}"),
            "event 0: api.ARRIVED ()".to_owned(),
        ])
    }

    fn string(&mut self, key: &str, value: &str) {
        self.0.push(format!("{key}: string {value}"));
    }

    fn int(&mut self, key: &str, value: impl Into<i64>) {
        self.0.push(format!("{key}: int {}", value.into()));
    }

    /// The host in the request.
    fn server(&mut self, host: &Host) {
        self.string("server.address", host.address);
        if let Some(port) = host.port {
            self.int("server.port", port);
        }
    }

    fn peer(&mut self, peer: Option<SocketAddr>) {
        if let Some(peer) = peer {
            self.string("network.peer.address", &peer.ip().to_string());
            self.int("network.peer.port", peer.port());
        }
    }

    fn times(&mut self, has_body: bool) {
        self.0.push("api.time_to_head: double".to_owned());
        if has_body {
            self.0.push("api.time_to_first_byte: double".to_owned());
        }
    }

    fn method(&mut self, method: &str, known: &[&str]) {
        if known.contains(&method) {
            self.string("http.request.method", method);
        } else {
            self.string("http.request.method", "_OTHER");
            self.string("http.request.method_original", method);
        }
    }

    /// A 4xx is not a server error. For a 5xx, `error.type` is the status code.
    fn outcome_of_status(&mut self, status: u16) {
        let number = status.to_string();
        match status {
            200..400 => self.outcome(None, None, ""),
            400 | 413 | 422 => self.outcome(Some("validation_error"), None, ""),
            400..500 => self.outcome(Some("client_error"), None, ""),
            500..600 => self.outcome(Some("exception"), Some(&number), ""),
            _ => panic!("{status} is not tested"),
        }
    }

    fn outcome(&mut self, reason: Option<&str>, error: Option<&str>, message: &str) {
        let status = match error {
            Some(_) => format!("status: Error {{ description: {message:?} }}"),
            None => "status: Unset".to_owned(),
        };
        self.0.push(status);
        if let Some(error) = error {
            self.string("error.type", error);
        }
        let Some(reason) = reason else {
            self.string("api.outcome", "DEPARTED");
            self.0.push("event 1: api.DEPARTED ()".to_owned());
            return;
        };
        self.string("api.outcome", "ABORTED");
        self.string("api.abort.reason", reason);
        let message = if message.is_empty() {
            String::new()
        } else {
            format!(", error: string {message}")
        };
        self.0.push(format!(
            "event 1: api.ABORTED (reason: string {reason}{message})"
        ));
    }
}

/// A host as sent, and its address and port.
pub struct Host {
    pub sent: &'static str,
    pub address: &'static str,
    pub port: Option<u16>,
}

pub const NAME: Host = host("example.com", "example.com", None);
pub const NAME_AND_PORT: Host = host("api.example.com:8443", "api.example.com", Some(8443));
pub const IPV6: Host = host("[2001:db8::1]:80", "2001:db8::1", Some(80));

const fn host(sent: &'static str, address: &'static str, port: Option<u16>) -> Host {
    Host {
        sent,
        address,
        port,
    }
}

/// The parts of a request that do not depend on the row.
pub struct RequestDetails {
    pub host: Host,
    /// Not sent by HTTP/1.1.
    pub scheme: &'static str,
    pub agent: Option<&'static str>,
    pub query: &'static str,
    recorded_query: Option<&'static str>,
}

pub const REQUEST_DETAILS: [RequestDetails; 3] = [
    RequestDetails {
        host: NAME,
        scheme: "http",
        agent: None,
        query: "",
        recorded_query: None,
    },
    RequestDetails {
        host: NAME_AND_PORT,
        scheme: "https",
        agent: Some("curl/8.16.0"),
        query: "?page=2&sig=secret",
        recorded_query: Some("page=2&sig=REDACTED"),
    },
    RequestDetails {
        host: IPV6,
        scheme: "http",
        agent: Some("Mozilla/5.0 (X11; Linux x86_64)"),
        query: "?q",
        recorded_query: Some("q"),
    },
];

/// An HTTP request and its response.
pub struct HttpRequest<'a> {
    pub details: &'a RequestDetails,
    pub method: &'a str,
    pub path: &'a str,
    pub version: Version,
    pub status: u16,
    pub route: Option<&'a str>,
    pub peer: Option<SocketAddr>,
    pub known_methods: &'a [&'a str],
}

pub fn http(request: &HttpRequest<'_>) -> Vec<String> {
    let HttpRequest {
        details,
        method,
        path,
        version,
        status,
        route,
        peer,
        known_methods,
    } = *request;
    let method_in_name = method_for_name(method, known_methods);
    let mut lines = Lines::new(&match route {
        Some(route) => format!("{method_in_name} {route}"),
        None => method_in_name.to_owned(),
    });
    lines.method(method, known_methods);
    if let Some(route) = route {
        lines.string("http.route", route);
    }
    // The target of CONNECT is an authority, without a path or a query. An empty path is equivalent to `/`.
    let is_connect = method == "CONNECT";
    lines.string("url.path", if is_connect { "/" } else { path });
    if let Some(query) = details.recorded_query.filter(|_| !is_connect) {
        lines.string("url.query", query);
    }
    let scheme = match version {
        Version::Http2 if !is_connect => details.scheme,
        Version::Http1 | Version::Http2 => "http",
    };
    lines.string("url.scheme", scheme);
    lines.string("network.protocol.version", version.name());
    lines.server(&details.host);
    lines.peer(peer);
    if let Some(peer) = peer {
        lines.string("client.address", &peer.ip().to_string());
    }
    if let Some(agent) = details.agent {
        lines.string("user_agent.original", agent);
    }
    lines.int("http.response.status_code", status);
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    lines.times(has_body(&method, status));
    lines.outcome_of_status(status);
    lines.0
}

/// Returns the method for the span name.
fn method_for_name<'a>(method: &'a str, known: &[&str]) -> &'a str {
    if known.contains(&method) {
        method
    } else {
        "HTTP"
    }
}

/// Returns the span of a gRPC call answered in plain HTTP. Its name is that of an HTTP span.
pub fn grpc_in_http(
    host: &Host,
    method: &str,
    status: u16,
    route: Option<&str>,
    peer: Option<SocketAddr>,
    known_http_methods: &[&str],
) -> Vec<String> {
    let method_in_name = method_for_name("POST", known_http_methods);
    let mut lines = Lines::new(&match route {
        Some(route) => format!("{method_in_name} {route}"),
        None => method_in_name.to_owned(),
    });
    lines.string("rpc.system.name", "grpc");
    lines.string("rpc.method", "_OTHER");
    lines.string("rpc.method_original", method);
    lines.method("POST", known_http_methods);
    lines.string("url.path", &format!("/{method}"));
    lines.string("url.scheme", "http");
    lines.string("network.protocol.version", "2");
    if let Some(route) = route {
        lines.string("http.route", route);
    }
    lines.server(host);
    lines.peer(peer);
    lines.int("http.response.status_code", status);
    lines.times(has_body(&Method::POST, status));
    lines.outcome_of_status(status);
    lines.0
}

/// A gRPC call and its response.
pub struct GrpcCall<'a> {
    pub host: &'a Host,
    /// The path without its first slash.
    pub method: &'a str,
    pub code: Code,
    pub message: &'a str,
    /// Whether there was a message before the status.
    pub has_body: bool,
    pub peer: Option<SocketAddr>,
    /// Whether the method is listed, or was answered OK before.
    pub is_known: bool,
}

pub fn grpc(call: &GrpcCall<'_>) -> Vec<String> {
    let GrpcCall {
        host,
        method,
        code,
        message,
        has_body,
        peer,
        is_known,
    } = *call;
    let mut lines = Lines::new(if is_known { method } else { "grpc" });
    lines.string("rpc.system.name", "grpc");
    if is_known {
        lines.string("rpc.method", method);
    } else {
        lines.string("rpc.method", "_OTHER");
        lines.string("rpc.method_original", method);
    }
    lines.server(host);
    lines.peer(peer);
    lines.times(has_body);
    let (name, reason, is_error) = describe(code);
    lines.string("rpc.status_code", name);
    lines.outcome(reason, is_error.then_some(name), message);
    lines.0
}

/// Returns the name of a code, the abort reason, and whether it is a server error.
fn describe(code: Code) -> (&'static str, Option<&'static str>, bool) {
    let (client, invalid, server) = (
        Some("client_error"),
        Some("validation_error"),
        Some("exception"),
    );
    match code {
        Code::Ok => ("OK", None, false),
        Code::Cancelled => ("CANCELLED", Some("client_disconnect"), false),
        Code::Unknown => ("UNKNOWN", server, true),
        Code::InvalidArgument => ("INVALID_ARGUMENT", invalid, false),
        Code::DeadlineExceeded => ("DEADLINE_EXCEEDED", server, true),
        Code::NotFound => ("NOT_FOUND", client, false),
        Code::AlreadyExists => ("ALREADY_EXISTS", client, false),
        Code::PermissionDenied => ("PERMISSION_DENIED", client, false),
        Code::ResourceExhausted => ("RESOURCE_EXHAUSTED", client, false),
        Code::FailedPrecondition => ("FAILED_PRECONDITION", invalid, false),
        Code::Aborted => ("ABORTED", client, false),
        Code::OutOfRange => ("OUT_OF_RANGE", invalid, false),
        Code::Unimplemented => ("UNIMPLEMENTED", server, true),
        Code::Internal => ("INTERNAL", server, true),
        Code::Unavailable => ("UNAVAILABLE", server, true),
        Code::DataLoss => ("DATA_LOSS", server, true),
        Code::Unauthenticated => ("UNAUTHENTICATED", client, false),
    }
}
