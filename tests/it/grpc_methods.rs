//! The methods of gRPC calls: which responses confirm them, and their names in span and metrics.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry::Value;
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::client::Grpc;
use tonic::server::NamedService as _;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint};
use tower::Service as _;
use tower_api_span::ApiSpanLayer;

use crate::matrix::grpc::service::{BytesCodec, TestService};
use crate::metrics::CALL_DURATION;
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Data, Trailers};
use crate::support::meters::{Meters, Series};
use crate::support::recorder::{Recorder, Seen};
use crate::support::{answering, poll, read, ready, response};

const UNARY: &str = "matrix.Test/Unary";

/// The span's name, `rpc.method` and `rpc.method_original`.
type Names = (String, Option<String>, Option<String>);

fn names(span: &Seen) -> Names {
    let attribute = |key| span.attribute(key);
    (
        span.0.name.to_string(),
        attribute("rpc.method"),
        attribute("rpc.method_original"),
    )
}

fn known(method: &str) -> Names {
    (method.to_owned(), Some(method.to_owned()), None)
}

fn unknown(original: &str) -> Names {
    let other = "_OTHER".to_owned();
    ("grpc".to_owned(), Some(other), Some(original.to_owned()))
}

/// Recorders of spans and metrics.
struct Signals {
    spans: Recorder,
    meters: Meters,
}

impl Signals {
    fn new() -> Self {
        Self {
            spans: Recorder::new(),
            meters: Meters::new(),
        }
    }

    fn layer(&self) -> ApiSpanLayer {
        self.meters.on(self.spans.layer())
    }

    /// Returns the names of the only span, and forgets it.
    fn take(&self) -> Names {
        let span = self.spans.only();
        self.spans.forget();
        names(&span)
    }

    /// Returns the values of an attribute of the metric.
    fn methods(&self) -> BTreeSet<String> {
        let series = self.meters.of(CALL_DURATION);
        let methods = series.iter().map(|series| series.attribute("rpc.method"));
        methods.map(|method| method.expect("a method")).collect()
    }
}

async fn serve_tonic(layer: ApiSpanLayer, service: TestService) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (_, health) = tonic_health::server::health_reporter();
    let server = tonic::transport::Server::builder()
        .layer(layer)
        .add_service(service)
        .add_service(health);
    tokio::spawn(server.serve_with_incoming(TcpIncoming::from(listener)));
    address
}

/// Connects anew: a handler that panics ends its connection.
async fn client(address: SocketAddr) -> Grpc<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an endpoint");
    let mut client = Grpc::new(endpoint.connect().await.expect("a connection"));
    client.ready().await.expect("a connection");
    client
}

async fn unary(address: SocketAddr, method: &str, message: &'static str) -> Code {
    let path = format!("/{method}").parse().expect("a path");
    let message = tonic::Request::new(Bytes::from_static(message.as_bytes()));
    let response = client(address).await.unary(message, path, BytesCodec).await;
    response.map_or_else(|status| status.code(), |_| Code::Ok)
}

/// Sends a call without tonic's client, which would enforce a deadline itself. Returns the response's status.
async fn raw(
    address: SocketAddr,
    path: &str,
    header: (&'static str, &'static str),
    message: &'static str,
) -> u16 {
    let length = u8::try_from(message.len()).expect("a short message");
    let framed = [&[0, 0, 0, 0, length], message.as_bytes()].concat();
    let stream = TcpStream::connect(address).await.expect("a connection");
    let io = TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .expect("a handshake");
    tokio::spawn(connection);
    let request = Request::post(format!("http://{address}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header(header.0, header.1)
        .body(Full::new(Bytes::from(framed)))
        .expect("a request");
    let response = sender.send_request(request).await.expect("a response");
    let status = response.status().as_u16();
    response.into_body().collect().await.expect("a body");
    status
}

#[tokio::test]
async fn method_that_tonic_answered_once_keeps_its_name_however_later_calls_end() {
    let signals = Signals::new();
    let service = TestService::default();
    let address = serve_tonic(signals.layer(), service.clone()).await;
    let codes = |codes: &[&str]| {
        codes
            .iter()
            .map(|code| (*code).to_owned())
            .collect::<Vec<_>>()
    };

    // Before the first answer that confirms it.
    assert_eq!(unary(address, UNARY, "reject").await, Code::InvalidArgument);
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), unknown(UNARY));
    assert_eq!(signals.methods(), BTreeSet::from(["_OTHER".to_owned()]));

    assert_eq!(unary(address, UNARY, "ok").await, Code::Ok);
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), known(UNARY));

    assert_eq!(unary(address, UNARY, "reject").await, Code::InvalidArgument);
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), known(UNARY), "INVALID_ARGUMENT");

    unary(address, UNARY, "panic").await;
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), known(UNARY), "a panic");

    let deadline = ("grpc-timeout", "20m");
    assert_eq!(
        raw(address, &format!("/{UNARY}"), deadline, "wait").await,
        200
    );
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), known(UNARY), "a deadline");

    // The calls above have notified as well.
    let left = tokio::spawn(unary(address, UNARY, "wait"));
    while signals.spans.starts() == signals.spans.ends() {
        tokio::task::yield_now().await;
    }
    left.abort();
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), known(UNARY), "a client that left");

    let gzip = ("grpc-encoding", "gzip");
    assert_eq!(raw(address, &format!("/{UNARY}"), gzip, "ok").await, 200);
    signals.spans.all_ended().await;
    assert_eq!(signals.take(), known(UNARY), "UNIMPLEMENTED: gzip");

    let method = |method: &str| {
        let mut all: Vec<_> = signals
            .meters
            .of(CALL_DURATION)
            .iter()
            .filter(|series| series.attribute("rpc.method").as_deref() == Some(method))
            .map(|series| series.attribute("rpc.status_code").unwrap_or_default())
            .collect();
        all.sort();
        all
    };
    assert_eq!(method("_OTHER"), codes(&["INVALID_ARGUMENT"]));
    let kept = [
        "",
        "CANCELLED",
        "DEADLINE_EXCEEDED",
        "INVALID_ARGUMENT",
        "OK",
        "UNIMPLEMENTED",
    ];
    assert_eq!(method(UNARY), codes(&kept));
}

#[tokio::test]
async fn method_that_tonic_does_not_have_is_other() {
    let signals = Signals::new();
    let layer = signals.layer().known_rpc_services([TestService::NAME]);
    let address = serve_tonic(layer, TestService::default()).await;
    for method in ["matrix.Test/Nowhere", "no.such.Service/Method"] {
        assert_eq!(unary(address, method, "ok").await, Code::Unimplemented);
        signals.spans.all_ended().await;
        assert_eq!(signals.take(), unknown(method));
    }
    assert_eq!(signals.methods(), BTreeSet::from(["_OTHER".to_owned()]));
}

#[tokio::test]
async fn known_service_of_tonic_has_its_method_from_the_first_failure() {
    for (message, code) in [("reject", Code::InvalidArgument), ("panic", Code::Unknown)] {
        let signals = Signals::new();
        let layer = signals.layer().known_rpc_services([TestService::NAME]);
        let address = serve_tonic(layer, TestService::default()).await;
        let got = unary(address, UNARY, message).await;
        assert!(got == code || message == "panic", "{got:?}");
        signals.spans.all_ended().await;
        assert_eq!(signals.take(), known(UNARY), "{message}");
        assert_eq!(
            signals.methods(),
            BTreeSet::from([UNARY.to_owned()]),
            "{message}"
        );
    }
}

#[tokio::test]
async fn tonic_below_a_prefix_of_axum_has_its_methods_without_it() {
    const CHECK: &str = "grpc.health.v1.Health/Check";
    for (is_outside, prefix, path, expected) in [
        (
            true,
            "/api",
            "/api/grpc.health.v1.Health/Check",
            known(CHECK),
        ),
        (
            true,
            "",
            "/api/grpc.health.v1.Health/Check",
            unknown("api/grpc.health.v1.Health/Check"),
        ),
        (
            false,
            "/api",
            "/api/grpc.health.v1.Health/Check",
            known(CHECK),
        ),
        (
            true,
            "/api",
            "/api/grpc.health.v1.Health/Nope",
            unknown("grpc.health.v1.Health/Nope"),
        ),
    ] {
        let signals = Signals::new();
        let layer = signals.layer().rpc_path_prefix(prefix);
        let (_, health) = tonic_health::server::health_reporter();
        let inner = tonic::service::Routes::new(health).into_axum_router();
        let inner = if is_outside {
            inner
        } else {
            inner.layer(layer.clone())
        };
        let app = axum::Router::new().nest("/api", inner);
        let app = if is_outside { app.layer(layer) } else { app };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        assert_eq!(raw(address, path, ("x-a", "b"), "").await, 200);
        signals.spans.all_ended().await;
        assert_eq!(signals.take(), expected, "{is_outside} {prefix} {path}");
    }
}

/// How a scripted server answers.
#[derive(Clone, Copy)]
enum Reply {
    /// A trailers-only response.
    Head(&'static str),
    /// A message, and then this status.
    Message(&'static str),
    /// Plain HTTP.
    Http(u16),
    /// The head of another status with a `grpc-status`.
    HeadWithStatus(u16, &'static str),
    Panic,
}

fn call_with(layer: &ApiSpanLayer, path: &str, reply: Reply) {
    let mut service = answering(layer, move |_| {
        let (status, code, body) = match reply {
            Reply::Head(code) => (200, Some(code), ScriptedBody::full(0)),
            Reply::Message("13") => (
                200,
                None,
                ScriptedBody::new([Data(5), Trailers(&[("grpc-status", "13")])]),
            ),
            Reply::Message(_) => (
                200,
                None,
                ScriptedBody::new([Data(5), Trailers(&[("grpc-status", "12")])]),
            ),
            Reply::Http(status) => return response(status, ScriptedBody::full(0)),
            Reply::HeadWithStatus(status, code) => (status, Some(code), ScriptedBody::full(0)),
            Reply::Panic => std::panic::resume_unwind(Box::new("the handler panics")),
        };
        let mut answer = response(status, body);
        let headers = answer.headers_mut();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        if let Some(code) = code {
            headers.insert("grpc-status", HeaderValue::from_static(code));
        }
        answer
    });
    let request = Request::post(path).header("content-type", "application/grpc");
    let request = request.body(()).expect("a request");
    if matches!(reply, Reply::Panic) {
        let call = std::panic::AssertUnwindSafe(|| ready(service.call(request)));
        assert!(std::panic::catch_unwind(call).is_err());
        return;
    }
    let mut body = ready(service.call(request))
        .expect("a response")
        .into_body();
    read(&mut body).expect("bytes");
}

/// Calls a method whose future is dropped before it has a response.
fn leave(layer: &ApiSpanLayer, path: &str) {
    let mut service = tower_layer::Layer::layer(
        layer,
        tower::service_fn(|_: Request<()>| {
            std::future::pending::<Result<http::Response<String>, std::convert::Infallible>>()
        }),
    );
    let request = Request::post(path).header("content-type", "application/grpc");
    let mut future = std::pin::pin!(service.call(request.body(()).expect("a request")));
    assert!(poll(future.as_mut()).is_pending());
}

#[test]
fn only_responses_of_the_method_itself_confirm_it() {
    const METHOD: &str = "pkg.Service/Method";
    for (rule, reply, confirms, confirms_in_known_service) in [
        ("OK", Reply::Head("0"), true, true),
        ("a message, then INTERNAL", Reply::Message("13"), true, true),
        (
            "a message, then UNIMPLEMENTED",
            Reply::Message("12"),
            true,
            true,
        ),
        ("INTERNAL", Reply::Head("13"), false, true),
        ("INVALID_ARGUMENT", Reply::Head("3"), false, true),
        ("NOT_FOUND", Reply::Head("5"), false, true),
        ("UNKNOWN", Reply::Head("2"), false, true),
        (
            "an interceptor's UNAUTHENTICATED",
            Reply::Head("16"),
            false,
            false,
        ),
        (
            "an interceptor's PERMISSION_DENIED",
            Reply::Head("7"),
            false,
            false,
        ),
        (
            "a limit's RESOURCE_EXHAUSTED",
            Reply::Head("8"),
            false,
            false,
        ),
        ("a limit's UNAVAILABLE", Reply::Head("14"), false, false),
        ("a timeout's CANCELLED", Reply::Head("1"), false, false),
        (
            "a timeout's DEADLINE_EXCEEDED",
            Reply::Head("4"),
            false,
            false,
        ),
        ("UNIMPLEMENTED", Reply::Head("12"), false, false),
        (
            "OK with another HTTP status",
            Reply::HeadWithStatus(404, "0"),
            false,
            false,
        ),
        ("a panic", Reply::Panic, false, true),
    ] {
        for (is_known_service, is_confirmed) in
            [(false, confirms), (true, confirms_in_known_service)]
        {
            let signals = Signals::new();
            let layer = signals.layer();
            let layer = if is_known_service {
                layer.known_rpc_services(["pkg.Service"])
            } else {
                layer
            };
            let path = format!("/{METHOD}");
            let expected = || {
                if is_confirmed {
                    known(METHOD)
                } else {
                    unknown(METHOD)
                }
            };
            call_with(&layer, &path, reply);
            assert_eq!(signals.take(), expected(), "{rule}, {is_known_service}");
            // Later calls that prove nothing.
            leave(&layer, &path);
            assert_eq!(
                signals.take(),
                expected(),
                "{rule}, {is_known_service}: left"
            );
            call_with(&layer, &path, Reply::Head("12"));
            assert_eq!(
                signals.take(),
                expected(),
                "{rule}, {is_known_service}: UNIMPLEMENTED"
            );
            let method = if is_confirmed { METHOD } else { "_OTHER" };
            assert_eq!(
                signals.methods(),
                BTreeSet::from([method.to_owned()]),
                "{rule}"
            );
        }
    }
}

#[test]
fn learnt_methods_are_shared_by_the_services_of_a_layer_and_no_others() {
    const METHOD: &str = "pkg.Service/Method";
    let signals = Signals::new();
    let layer = signals.layer();
    let other = layer.clone().client_port(true);
    let path = format!("/{METHOD}");
    call_with(&layer, &path, Reply::Head("0"));
    signals.spans.forget();
    for (rule, layer, expected) in [
        ("another service", &layer, known(METHOD)),
        ("a clone", &layer.clone(), known(METHOD)),
        ("other settings", &other, unknown(METHOD)),
        (
            "a list",
            &layer.clone().known_rpc_methods(["a.A/One"]),
            unknown(METHOD),
        ),
    ] {
        call_with(layer, &path, Reply::Head("13"));
        assert_eq!(signals.take(), expected, "{rule}");
    }
}

#[test]
fn server_that_answers_any_path_confirms_a_bounded_number_of_methods() {
    let signals = Signals::new();
    let layer = signals.layer();
    let path = |number: usize| format!("/pkg.Service{number}/Method");
    let mut names = BTreeSet::new();
    for number in 0..3_000 {
        call_with(&layer, &path(number), Reply::Head("0"));
        names.insert(signals.take().0);
    }
    assert_eq!(names.len(), 1_024 + 1);
    let series = signals.meters.of(CALL_DURATION);
    assert_eq!(series.len(), 1_024 + 1);
    assert_eq!(series.iter().map(Series::count).sum::<u64>(), 3_000);
    // What was learnt stays.
    call_with(&layer, &path(7), Reply::Head("13"));
    assert_eq!(signals.take(), known("pkg.Service7/Method"));
    let long = format!("/pkg.Service/{}", "m".repeat(300));
    let layer = signals.layer().client_port(true);
    call_with(&layer, &long, Reply::Head("0"));
    assert_eq!(signals.take(), unknown(&long[1..]));
}

#[test]
fn interceptor_of_a_known_service_that_fails_any_method_confirms_few() {
    for (code, most) in [("3", 128 + 1), ("16", 1)] {
        let signals = Signals::new();
        let layer = signals.layer().known_rpc_services(["pkg.Service"]);
        let mut names = BTreeSet::new();
        for number in 0..1_000 {
            call_with(
                &layer,
                &format!("/pkg.Service/Method{number}"),
                Reply::Head(code),
            );
            names.insert(signals.take().0);
        }
        assert_eq!(
            (names.len(), signals.methods().len()),
            (most, most),
            "{code}"
        );
        // They leave room for methods that are answered.
        call_with(&layer, "/pkg.Service/Real", Reply::Head("0"));
        assert_eq!(signals.take(), known("pkg.Service/Real"));
    }
}

#[test]
fn call_answered_in_plain_http_has_the_path_and_query_of_its_target() {
    for (rule, is_learnt, target, path, query) in [
        (
            "not learnt",
            false,
            "/pkg.Service/Method",
            "/pkg.Service/Method",
            None,
        ),
        (
            "learnt",
            true,
            "/pkg.Service/Method",
            "/pkg.Service/Method",
            None,
        ),
        (
            "a prefix",
            true,
            "/api/pkg.Service/Method",
            "/api/pkg.Service/Method",
            None,
        ),
        ("another form", false, "/a/b/c", "/a/b/c", None),
        (
            "a query",
            true,
            "/pkg.Service/Method?sig=secret&a=1",
            "/pkg.Service/Method",
            Some("sig=REDACTED&a=1"),
        ),
    ] {
        let at = Recorder::new();
        let layer = at.layer().rpc_path_prefix("/api");
        if is_learnt {
            call_with(&layer, "/pkg.Service/Method", Reply::Head("0"));
            at.forget();
        }
        call_with(&layer, target, Reply::Http(502));
        let span = at.only();
        assert_eq!(span.0.name, "POST", "{rule}");
        assert_eq!(span.attribute("url.path").as_deref(), Some(path), "{rule}");
        assert_eq!(span.attribute("url.query").as_deref(), query, "{rule}");
        let status = span.value("http.response.status_code");
        assert_eq!(status, Some(Value::I64(502)), "{rule}");
    }
}

#[test]
fn operators_method_of_an_unknown_call_has_no_original() {
    let at = Recorder::new();
    let layer = at
        .layer()
        .request_attributes(|_| vec![opentelemetry::KeyValue::new("rpc.method", "custom")]);
    call_with(&layer, "/pkg.Service/Method", Reply::Head("13"));
    let spans = at.exported();
    let expected = ("grpc".to_owned(), Some("custom".to_owned()), None);
    assert_eq!(names(&Seen(spans[0].clone())), expected);
}
