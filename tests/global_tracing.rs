//! The layer outside and inside the layers of other crates that make a `tracing` span for each request, with and
//! without a caller. `OtelAxumLayer` reads the global propagator, which is process-wide, so this is a binary of
//! its own, with one test.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use axum_tracing_opentelemetry::middleware::OtelAxumLayer;
use http::Request;
use http_body_util::BodyExt as _;
use opentelemetry::global;
use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_http::HeaderExtractor;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tower::ServiceExt as _;
use tower_api_span::ApiSpanLayer;
use tower_http::trace::TraceLayer;
use tracing::subscriber::set_default;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// Adds one of the layers to a router.
type Add = fn(Router) -> Router;

/// tower-http's layer, whose span does not read the request's headers.
fn trace_layer(app: Router) -> Router {
    app.layer(TraceLayer::new_for_http())
}

/// The same with a span whose parent is the caller, as the documentation of this crate shows.
fn trace_layer_with_caller(app: Router) -> Router {
    app.layer(
        TraceLayer::new_for_http().make_span_with(|request: &Request<Body>| {
            let span = tracing::info_span!("request");
            let headers = HeaderExtractor(request.headers());
            let caller = global::get_text_map_propagator(|propagator| propagator.extract(&headers));
            span.set_parent(caller)
                .expect("a span that has not started");
            span
        }),
    )
}

/// The layer of axum-tracing-opentelemetry, which makes a SERVER span and reads the request's headers.
fn otel_axum_layer(app: Router) -> Router {
    app.layer(OtelAxumLayer::default())
}

struct Case {
    rule: &'static str,
    add: Add,
    /// Whether the other layer is outside this crate's.
    is_outside: bool,
    set: fn(ApiSpanLayer) -> ApiSpanLayer,
    /// The spans without a caller. The children of a span are in parentheses behind it. `server` is this crate's
    /// span, `other` that of the other layer, and `handler` one that the handler makes with `tracing`.
    without_caller: &'static str,
    /// The same below a caller's span.
    with_caller: &'static str,
}

#[rustfmt::skip]
fn cases() -> [Case; 9] {
    let defaults = |layer| layer;
    let propagates = |layer: ApiSpanLayer| layer.propagate_to_inner(true);
    let is_public = |layer: ApiSpanLayer| layer.public_endpoint(true);
    let is_public_and_propagates = |layer: ApiSpanLayer| layer.public_endpoint(true).propagate_to_inner(true);
    let case = |rule, add, is_outside, set, without_caller, with_caller| Case {
        rule, add, is_outside, set, without_caller, with_caller,
    };
    [
        // The caller's span is the parent of this crate's span, and no other trace can have it.
        case("TraceLayer outside", trace_layer as Add, true, defaults as fn(ApiSpanLayer) -> ApiSpanLayer,
            "other(server(handler))", "caller(server(handler)) other"),
        case("TraceLayer outside, whose parent is the caller", trace_layer_with_caller, true, defaults,
            "other(server(handler))", "caller(other(server(handler)))"),
        case("OtelAxumLayer outside", otel_axum_layer, true, defaults,
            "other(server(handler))", "caller(other(server(handler)))"),
        case("TraceLayer inside", trace_layer, false, defaults,
            "server(other(handler))", "caller(server(other(handler)))"),
        // The other layer reads the caller's headers.
        case("TraceLayer inside, whose parent is the caller", trace_layer_with_caller, false, defaults,
            "server(other(handler))", "caller(other(handler) server)"),
        case("OtelAxumLayer inside", otel_axum_layer, false, defaults,
            "server(other(handler))", "caller(other(handler) server)"),
        case("OtelAxumLayer inside, and propagate_to_inner", otel_axum_layer, false, propagates,
            "server(other(handler))", "caller(server(other(handler)))"),
        case("OtelAxumLayer inside a public endpoint", otel_axum_layer, false, is_public,
            "server(other(handler))", "caller(other(handler)) server"),
        case("OtelAxumLayer inside a public endpoint, and propagate_to_inner", otel_axum_layer, false, is_public_and_propagates,
            "server(other(handler))", "server(other(handler))"),
    ]
}

async fn handler() -> &'static str {
    tracing::info_span!("handler").in_scope(|| "hello")
}

/// Serves a request and returns its spans, as in [`Case`].
async fn serve(case: &Case, has_caller: bool) -> String {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder()
        .with_simple_exporter(exporter.clone())
        .build();
    let tracing = tracing_opentelemetry::layer().with_tracer(provider.tracer("tracing"));
    let _subscriber = set_default(tracing_subscriber::registry().with(tracing));

    let layer = (case.set)(ApiSpanLayer::new().tracer_provider(&provider));
    let app = Router::new().route("/", get(handler));
    let app = if case.is_outside {
        (case.add)(app.layer(layer))
    } else {
        (case.add)(app).layer(layer)
    };
    let mut request = Request::get("/");
    if has_caller {
        request = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    }
    let request = request.body(Body::empty()).expect("a request");
    let response = app.oneshot(request).await.expect("a response");
    response.into_body().collect().await.expect("a body");
    let spans = exporter.get_finished_spans().expect("spans");
    assert_eq!(spans.len(), 3, "{}: {spans:#?}", case.rule);
    assert_traces_agree(&spans);
    let caller = SpanId::from_hex(CALLER).expect("a span id");
    let roots = [
        children(&spans, caller).map(|children| format!("caller({children})")),
        children(&spans, SpanId::INVALID),
    ];
    roots.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Returns the children of a span with theirs, by name.
fn children(spans: &[SpanData], parent: SpanId) -> Option<String> {
    let children = spans.iter().filter(|span| span.parent_span_id == parent);
    let mut children: Vec<_> = children
        .map(|span| {
            let name = match span.instrumentation_scope.name() {
                "tower-api-span" => "server",
                _ if span.name == "handler" => "handler",
                _ => "other",
            };
            match children_of(spans, span) {
                Some(children) => format!("{name}({children})"),
                None => name.to_owned(),
            }
        })
        .collect();
    children.sort_unstable();
    (!children.is_empty()).then(|| children.join(" "))
}

fn children_of(spans: &[SpanData], span: &SpanData) -> Option<String> {
    children(spans, span.span_context.span_id())
}

/// Asserts that each span is in the trace of its parent.
fn assert_traces_agree(spans: &[SpanData]) {
    for span in spans {
        let is_parent = |other: &&SpanData| other.span_context.span_id() == span.parent_span_id;
        let trace = span.span_context.trace_id();
        if let Some(parent) = spans.iter().find(is_parent) {
            assert_eq!(trace, parent.span_context.trace_id());
        } else if span.parent_span_id != SpanId::INVALID {
            assert_eq!(
                (trace.to_string(), span.parent_span_id.to_string()),
                (TRACE.to_owned(), CALLER.to_owned())
            );
        }
    }
}

#[tokio::test]
async fn spans_of_other_layers_are_nested_as_documented() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let mut wrong = Vec::new();
    for case in cases() {
        for (has_caller, expected) in [(false, case.without_caller), (true, case.with_caller)] {
            let spans = serve(&case, has_caller).await;
            if spans != expected {
                wrong.push(format!("{}, caller {has_caller}: {spans}", case.rule));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
