//! Errors of services and bodies: the kind and the message of what real middleware returns.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use axum::Router;
use axum::body::Body as AxumBody;
use axum::routing::get as route;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use opentelemetry::logs::AnyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::logs::{InMemoryLogExporter, SdkLoggerProvider};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_api_span::{Aborted, ApiSpanLayer, Outcome, SpanHandle, classify};
use tower_http::timeout::ResponseBodyTimeoutLayer;
use tower_layer::Layer as _;

use crate::support::body::ScriptedBody;
use crate::support::body::Step::{self, Data};
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::{get, handle_of, read, ready, response};

/// What is recorded of the error of a request.
#[derive(Debug, PartialEq)]
struct Recorded {
    error_type: String,
    message: Option<String>,
    exception_type: String,
}

impl Recorded {
    fn new(error_type: &str, message: &str, exception_type: &str) -> Self {
        Self {
            error_type: error_type.to_owned(),
            message: Some(message.to_owned()),
            exception_type: exception_type.to_owned(),
        }
    }
}

/// Records spans, metrics and log events of one request.
struct Signals {
    recorder: Recorder,
    meters: Meters,
    loggers: SdkLoggerProvider,
    logs: InMemoryLogExporter,
}

impl Signals {
    fn new() -> Self {
        let logs = InMemoryLogExporter::default();
        let loggers = SdkLoggerProvider::builder();
        Self {
            recorder: Recorder::new(),
            meters: Meters::new(),
            loggers: loggers.with_simple_exporter(logs.clone()).build(),
            logs,
        }
    }

    fn layer(&self) -> ApiSpanLayer {
        let layer = self.meters.on(self.recorder.layer());
        layer.logger_provider(&self.loggers)
    }

    /// Returns what all three have recorded. Checks that they agree.
    fn recorded(&self) -> Recorded {
        let span = self.recorder.only();
        assert_eq!(span.outcome(), "ABORTED(exception)");
        let error_type = span.attribute("error.type").expect("an error");
        let measured = self.meters.only("http.server.request.duration");
        assert_eq!(measured.attribute("error.type"), Some(error_type.clone()));
        let logs = self.logs.get_emitted_logs().expect("logs");
        let [log] = logs.as_slice() else {
            panic!("one event: {logs:?}");
        };
        let text = |key: &str| {
            let mut attributes = log.record.attributes_iter();
            let (_, value) = attributes.find(|(found, _)| found.as_str() == key)?;
            match value {
                AnyValue::String(text) => Some(text.as_str().to_owned()),
                other => panic!("{key} is {other:?}"),
            }
        };
        let message = span.error();
        assert_eq!(text("exception.message"), message);
        Recorded {
            error_type,
            message,
            exception_type: text("exception.type").expect("a type"),
        }
    }
}

/// Returns what is recorded of a service that returns this error.
fn fail<E: fmt::Display + 'static>(
    set: impl FnOnce(ApiSpanLayer) -> ApiSpanLayer,
    error: impl Fn() -> E,
) -> Recorded {
    let signals = Signals::new();
    let mut service = set(signals.layer()).layer(service_fn(|_: Request<()>| {
        std::future::ready(Err::<Response<String>, _>(error()))
    }));
    assert!(ready(service.call(get())).is_err());
    signals.recorded()
}

/// An error of the application's.
#[derive(Debug)]
struct Quota(Option<BoxError>);

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no tokens left")
    }
}

impl Error for Quota {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.as_deref().map(|source| source as _)
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_towers_is_a_timeout() {
    let signals = Signals::new();
    let service = ServiceBuilder::new()
        .layer(signals.layer())
        .timeout(Duration::from_secs(1))
        .service(service_fn(|_: Request<()>| {
            std::future::pending::<Result<Response<String>, BoxError>>()
        }));
    assert!(service.oneshot(get()).await.is_err());
    let expected = Recorded::new(
        "timeout",
        "request timed out",
        "tower::timeout::error::Elapsed",
    );
    assert_eq!(signals.recorded(), expected);
}

#[tokio::test]
async fn a_request_that_is_shed_is_overload() {
    let signals = Signals::new();
    // Never ready.
    let inner = ServiceBuilder::new()
        .concurrency_limit(0)
        .service(service_fn(async |_: Request<()>| {
            Ok::<_, BoxError>(Response::new(String::new()))
        }));
    let mut service = ServiceBuilder::new()
        .layer(signals.layer())
        .load_shed()
        .service(inner);
    let service = service.ready().await.expect("load shed is ready");
    assert!(service.call(get()).await.is_err());
    let expected = Recorded::new(
        "overloaded",
        "service overloaded",
        "tower::load_shed::error::Overloaded",
    );
    assert_eq!(signals.recorded(), expected);
}

/// axum's bodies have the error `axum::Error`.
#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_behind_tower_http_is_a_timeout() {
    let signals = Signals::new();
    let stalls = async || {
        let frames = futures_util::stream::pending::<Result<bytes::Bytes, BoxError>>();
        Response::new(AxumBody::from_stream(frames))
    };
    let app = Router::new()
        .route("/", route(stalls))
        .layer(ResponseBodyTimeoutLayer::new(Duration::from_secs(1)))
        .layer(signals.layer());
    let request = Request::get("/")
        .body(AxumBody::empty())
        .expect("a request");
    let response = app.oneshot(request).await.expect("a response");
    assert!(response.into_body().collect().await.is_err());
    let expected = Recorded::new(
        "timeout",
        "data was not received within the designated timeout",
        "tower_http::timeout::body::TimeoutError",
    );
    assert_eq!(signals.recorded(), expected);
}

#[test]
fn a_body_beyond_its_limit_is_a_body_limit() {
    let signals = Signals::new();
    let mut service = signals.layer().layer(service_fn(async |_: Request<()>| {
        let body = ScriptedBody::new([Data(3), Data(3)]);
        let limited = response(200, body).map(|body| Limited::new(body.map_err(BoxError::from), 4));
        Ok::<_, BoxError>(limited)
    }));
    let response = ready(service.call(get())).expect("a response");
    let mut body = Box::pin(response.into_body());
    assert!(ready(body.frame()).expect("a frame").is_ok());
    assert!(ready(body.frame()).expect("a frame").is_err());
    let expected = Recorded::new(
        "body_limit",
        "length limit exceeded",
        "http_body_util::limited::LengthLimitError",
    );
    assert_eq!(signals.recorded(), expected);
}

#[test]
fn an_error_of_the_applications_is_what_the_operator_calls_it() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let named =
        |layer: ApiSpanLayer| layer.error_type_fn(|error| error.is::<Quota>().then_some("quota"));
    let boxed = || BoxError::from(Quota(Some(refused().into())));
    assert_eq!(
        fail(|layer| layer, boxed),
        Recorded::new(
            "connection_refused",
            "no tokens left: connection refused",
            "std::io::error::Error"
        ),
        "without a name the innermost known error decides"
    );
    assert_eq!(
        fail(named, boxed),
        Recorded::new(
            "quota",
            "no tokens left: connection refused",
            "std::io::error::Error"
        )
    );
    assert_eq!(
        fail(named, || BoxError::from(Quota(None))),
        Recorded::new("quota", "no tokens left", "quota"),
        "the type in the box is unknown"
    );
    assert_eq!(
        fail(named, || Quota(None)),
        Recorded::new("exception", "no tokens left", "it::errors::Quota"),
        "a concrete type may only have `Display`"
    );
    assert_eq!(
        fail(named, || BoxError::from("boom")),
        Recorded::new("exception", "boom", "exception"),
        "neither type nor kind is known"
    );
}

#[test]
fn an_operators_name_is_bounded() {
    let boxed = || {
        BoxError::from(Quota(Some(
            io::Error::from(io::ErrorKind::BrokenPipe).into(),
        )))
    };
    let long = |layer: ApiSpanLayer| layer.error_type_fn(|_| Some("x".repeat(5_000)));
    assert_eq!(fail(long, boxed).error_type, "x".repeat(1_024));
    let empty = |layer: ApiSpanLayer| layer.error_type_fn(|_| Some(""));
    assert_eq!(fail(empty, boxed).error_type, "broken_pipe");
    let panics = |layer: ApiSpanLayer| {
        layer.error_type_fn(|error| -> Option<&str> {
            assert!(!error.is::<Quota>(), "the callback panics");
            error.is::<io::Error>().then_some("inner")
        })
    };
    assert_eq!(fail(panics, boxed).error_type, "inner");
}

#[test]
fn a_message_is_limited_on_span_event_and_log_alike() {
    let error = || io::Error::other("password: hü");
    for (limit, expected) in [
        (usize::MAX, Some("password: hü")),
        (13, Some("password: hü")),
        (12, Some("password: h")),
        (8, Some("password")),
        (1, Some("p")),
        (0, None),
    ] {
        let recorded = fail(|layer| layer.max_error_message(limit), error);
        assert_eq!(recorded.message.as_deref(), expected, "{limit}");
        assert_eq!(recorded.error_type, "exception", "{limit}");
    }
}

#[test]
fn no_message_of_any_kind_passes_a_limit_of_0() {
    const SECRET: &str = "secret";
    type Fail = fn(&SpanHandle) -> Result<Response<ScriptedBody>, io::Error>;
    let kinds: [(&str, Fail); 4] = [
        ("service", |_| Err(io::Error::other(SECRET))),
        ("body", |_| {
            Ok(response(200, ScriptedBody::new([Data(1), Step::Error])))
        }),
        ("verdict", |handle| {
            handle.mark_aborted("quota", SECRET);
            Ok(response(200, ScriptedBody::full(1)))
        }),
        ("classification", |_| {
            Ok(response(418, ScriptedBody::full(1)))
        }),
    ];
    for (kind, answer) in kinds {
        let signals = Signals::new();
        let layer = signals.layer().max_error_message(0);
        let layer = layer.classify(|completion| match completion.status() {
            Some(StatusCode::IM_A_TEAPOT) => Outcome::Aborted(
                Aborted::new("exception")
                    .with_error_type("tea")
                    .with_message(SECRET),
            ),
            _ => classify(completion),
        });
        let mut service = layer.layer(service_fn(move |request: Request<()>| {
            std::future::ready(answer(&handle_of(&request)))
        }));
        if let Ok(response) = ready(service.call(get())) {
            let _ = read(&mut response.into_body());
        }
        let span = signals.recorder.only();
        assert_eq!(span.error(), None, "{kind}");
        let Status::Error { description } = span.status() else {
            panic!("{kind}: an error");
        };
        assert_eq!(description, "", "{kind}");
        let logs = signals.logs.get_emitted_logs().expect("logs");
        let shown = format!("{:?} {logs:?}", span.0);
        assert!(
            !shown.contains(SECRET) && !shown.contains("boom"),
            "{kind}: {shown}"
        );
    }
}

/// Error codes are those of Linux. Both wrappers forward the text and the source of the error in them, so its type is hidden.
#[cfg(target_os = "linux")]
#[test]
fn an_error_of_the_system_is_known_inside_a_wrapper_that_hides_it() {
    #[derive(Debug, thiserror::Error)]
    enum Application {
        #[error(transparent)]
        Any(BoxError),
    }
    const RESET: i32 = 104;
    let reset = || io::Error::from_raw_os_error(RESET);
    let text = reset().to_string();
    let system = |wrapped: fn(io::Error) -> BoxError| fail(|layer| layer, || wrapped(reset()));
    let expected = Recorded::new("connection_reset", &text, "std::io::error::Error");
    assert_eq!(system(|error| anyhow::Error::from(error).into()), expected);
    assert_eq!(
        system(|error| Application::Any(error.into()).into()),
        expected
    );
    // A context makes the error a source.
    let context = fail(
        |layer| layer,
        || BoxError::from(anyhow::Error::from(reset()).context("load")),
    );
    assert_eq!(context.error_type, "connection_reset");
    assert_eq!(context.message, Some(format!("load: {text}")));
    // What the documentation of `error_type_fn` recommends.
    let kept = fail(
        |layer| layer,
        || -> BoxError {
            let error = anyhow::Error::from(tower::timeout::error::Elapsed::new());
            error.reallocate_into_boxed_dyn_error_without_backtrace()
        },
    );
    assert_eq!(kept.error_type, "timeout");
    // Texts that only resemble that of the system.
    for text in [
        "Connection reset by peer (os error 1)",
        "load: Connection reset by peer (os error 104)",
        "(os error 104)",
        "Connection reset by peer (os error 104",
    ] {
        let recorded = fail(|layer| layer, || BoxError::from(text));
        assert_eq!(recorded.error_type, "exception", "{text}");
    }
}
