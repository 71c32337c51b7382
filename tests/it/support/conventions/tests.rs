//! Tests of [`faults`]: a valid span with one change has exactly the expected fault.

use http::Request;
use opentelemetry::trace::{Event, SpanKind};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;
use tower::Service as _;

use super::{GEN_AI, OWN, REGISTRY, SCHEMA_URL, TABLES, faults, lines};
use crate::support::body::ScriptedBody;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, grpc, handle_of, read, ready, response};

/// Returns the span that the layer makes of `request`, answered with this status.
fn span(request: Request<()>, status: u16, grpc_status: Option<&'static str>) -> SpanData {
    let at = Recorder::new();
    let layer = at
        .layer()
        .request_id_header(http::HeaderName::from_static("x-request-id"));
    let mut service = answering(&layer, |request| {
        let handle = handle_of(&request);
        handle.handoff_to_core();
        handle
            .gen_ai()
            .operation_name("chat")
            .provider_name("mistral_ai")
            .request_model("llama-4")
            .response_model("llama-4-8b-q4")
            .max_tokens(256)
            .temperature(0.7)
            .finish_reasons(["stop"])
            .input_tokens(12)
            .output_tokens(80);
        let mut answer = response(status, ScriptedBody::full(3));
        if let Some(code) = grpc_status {
            let code = http::HeaderValue::from_static(code);
            answer.headers_mut().insert("grpc-status", code);
        }
        answer
    });
    let answer = ready(service.call(request)).expect("a response");
    read(&mut answer.into_body()).expect("a body");
    at.exported().remove(0)
}

fn plain() -> SpanData {
    let everything = Request::get("http://example.com:8080/users/7?q=1")
        .header("user-agent", "curl")
        .header("x-request-id", "r-1");
    span(everything.body(()).expect("a request"), 200, None)
}

fn failed() -> SpanData {
    span(get(), 503, None)
}

fn other() -> SpanData {
    let brew = Request::builder().method("BREW").uri("/p");
    span(brew.body(()).expect("a request"), 200, None)
}

fn call() -> SpanData {
    span(grpc(), 200, Some("0"))
}

fn failed_call() -> SpanData {
    span(grpc(), 200, Some("14"))
}

fn other_call() -> SpanData {
    let no_method = Request::post("/a/b/c").header("content-type", "application/grpc");
    span(no_method.body(()).expect("a request"), 200, Some("0"))
}

fn connect() -> SpanData {
    let target = Request::connect("example.com:443");
    span(target.body(()).expect("a request"), 200, None)
}

#[test]
fn span_of_the_layer_has_no_faults() {
    for make in [plain, failed, other, call, failed_call, other_call, connect] {
        let span = make();
        assert_eq!(faults(&span), [""; 0], "{span:#?}");
    }
}

#[test]
fn gen_ai_attributes_of_the_handle_are_all_in_the_table() {
    let span = plain();
    let has = |key: &str| span.attributes.iter().any(|one| one.key.as_str() == key);
    for line in lines(GEN_AI) {
        // The layer reads these itself, in what passes.
        let is_set_by_layer = [
            "gen_ai.output.type",
            "gen_ai.request.stream",
            "gen_ai.response.id",
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.reasoning.output_tokens",
        ]
        .contains(&line[0]);
        assert_ne!(has(line[0]), is_set_by_layer, "{}", line[0]);
    }
}

/// Covers keys that no test produces.
#[test]
fn keys_in_semconv_rs_are_all_in_the_tables() {
    let mut known: Vec<&str> = TABLES.span.keys().copied().collect();
    known.extend(TABLES.events.keys());
    known.extend(TABLES.events.values().flatten().map(|(name, _)| *name));
    let mut keys = 0;
    for item in include_str!("../../../../src/semconv.rs").split("pub(crate) const ") {
        let Some((name, value)) = item.split_once(": &str =") else {
            continue;
        };
        let value = value.split_once(';').expect("an end").0.trim();
        let value = value.trim_matches('"');
        match name {
            "SCOPE_NAME" | "SCOPE_VERSION" => {}
            "SCHEMA_URL" => assert_eq!(value, SCHEMA_URL),
            // Not the layer's own event: a handler's, like those of `SpanHandle::add_event`.
            "EVENT_EXCEPTION" => assert_eq!(value, "exception"),
            _ => {
                let template = format!("{value}.<key>");
                let is_known = known.contains(&value) || known.contains(&&*template);
                assert!(is_known, "{name}: {value} is in no table");
                keys += 1;
            }
        }
    }
    assert!(keys > 35, "{keys} keys");
}

fn set(span: &mut SpanData, key: &'static str, value: impl Into<Value>) {
    remove(span, key);
    span.attributes.push(KeyValue::new(key, value));
}

fn remove(span: &mut SpanData, key: &str) {
    span.attributes.retain(|one| one.key.as_str() != key);
}

fn rename(span: &mut SpanData, from: &str, to: &'static str) {
    let mut all = span.attributes.iter_mut();
    let attribute = all.find(|one| one.key.as_str() == from);
    attribute.expect("the attribute").key = to.into();
}

fn event<'a>(span: &'a mut SpanData, from: &str) -> &'a mut Event {
    let mut all = span.events.events.iter_mut();
    all.find(|one| one.name == from).expect("the event")
}

/// A span, a change to it, and the expected faults.
type Case = (fn() -> SpanData, fn(&mut SpanData), &'static [&'static str]);

fn check(cases: &[Case]) {
    for (make, change, expected) in cases {
        let mut span = make();
        change(&mut span);
        assert_eq!(faults(&span), *expected, "{span:#?}");
    }
}

#[test]
fn misspelt_key_is_a_fault() {
    check(&[
        (
            plain,
            |span| rename(span, "url.query", "url.qery"),
            &["url.qery is in no table"],
        ),
        (
            plain,
            |span| rename(span, "api.time_to_head", "api.time_to_haed"),
            &[
                "api.time_to_haed is in no table",
                "status is Some(\"200\"), response head sent: false",
            ],
        ),
        (
            plain,
            |span| set(span, "api.more", true),
            &["api.more is in no table"],
        ),
        (
            plain,
            |span| set(span, "gen_ai.request.modle", "llama-4"),
            &["gen_ai.request.modle is in no table"],
        ),
        // Deprecated.
        (
            call,
            |span| rename(span, "rpc.status_code", "rpc.response.status_code"),
            &["rpc.response.status_code is in no table"],
        ),
        (
            plain,
            |span| set(span, "tenant", "blue"),
            &["tenant is in no table"],
        ),
        (plain, |span| set(span, "test.tenant", "blue"), &[]),
    ]);
}

#[test]
fn value_of_another_type_is_a_fault() {
    check(&[
        (
            plain,
            |span| set(span, "http.response.status_code", "200"),
            &["http.response.status_code is string, expected int"],
        ),
        (
            plain,
            |span| set(span, "server.port", 8080.0),
            &["server.port is double, expected int"],
        ),
        (
            plain,
            |span| set(span, "api.time_to_head", 1),
            &["api.time_to_head is int, expected double"],
        ),
        (
            plain,
            |span| set(span, "gen_ai.response.finish_reasons", "stop"),
            &["gen_ai.response.finish_reasons is string, expected string[]"],
        ),
        (
            plain,
            |span| set(span, "url.query", true),
            &["url.query is boolean, expected string"],
        ),
    ]);
}

#[test]
fn captured_header_is_an_array_under_a_lower_case_name() {
    fn array() -> Value {
        Value::Array(Array::String(vec![StringValue::from("a")]))
    }
    check(&[
        (
            plain,
            |span| set(span, "http.request.header.x-a", array()),
            &[],
        ),
        (
            call,
            |span| set(span, "rpc.response.trailer.x-a", array()),
            &[],
        ),
        (
            plain,
            |span| set(span, "http.request.header.x-a", "a"),
            &["http.request.header.x-a is string, expected string[]"],
        ),
        (
            plain,
            |span| set(span, "http.request.header.X-A", array()),
            &["http.request.header.X-A is in no table"],
        ),
        (
            plain,
            |span| set(span, "http.request.header.", array()),
            &["http.request.header. is in no table"],
        ),
        (
            plain,
            |span| set(span, "http.request.headers.x-a", array()),
            &["http.request.headers.x-a is in no table"],
        ),
    ]);
}

#[test]
fn missing_attribute_is_a_fault() {
    check(&[
        (
            plain,
            |span| remove(span, "url.path"),
            &["url.path is missing"],
        ),
        (
            plain,
            |span| remove(span, "url.scheme"),
            &["url.scheme is missing"],
        ),
        (
            plain,
            |span| remove(span, "http.request.method"),
            &[
                "http.request.method is missing",
                "the name is GET, expected one of [\"HTTP\"]",
            ],
        ),
        (
            plain,
            |span| remove(span, "http.response.status_code"),
            &["status is None, response head sent: true"],
        ),
        (
            other,
            |span| remove(span, "http.request.method_original"),
            &["http.request.method_original does not agree with http.request.method"],
        ),
        (
            plain,
            |span| remove(span, "server.address"),
            &["server.port without server.address"],
        ),
        (
            call,
            |span| {
                remove(span, "rpc.method");
                "grpc".clone_into(span.name.to_mut());
            },
            &[
                "rpc.method is missing",
                "the name is grpc, expected one of [\"\"]",
            ],
        ),
        (
            other_call,
            |span| remove(span, "rpc.method_original"),
            &["rpc.method_original does not agree with rpc.method"],
        ),
        // Without it, the span counts as one of HTTP.
        (
            call,
            |span| remove(span, "rpc.system.name"),
            &[
                "http.request.method is missing",
                "url.scheme is missing",
                "url.path is missing",
                "status is None, response head sent: true",
                "the name is pkg.Service/Method, expected one of [\"HTTP\"]",
            ],
        ),
    ]);
}

#[test]
fn forbidden_attribute_is_a_fault() {
    check(&[
        (
            plain,
            |span| set(span, "network.protocol.name", "http"),
            &["network.protocol.name on an HTTP span"],
        ),
        (
            plain,
            |span| set(span, "http.request.method_original", "get"),
            &["http.request.method_original does not agree with http.request.method"],
        ),
        (
            call,
            |span| set(span, "url.path", "/pkg.Service/Method"),
            &["url.path on a gRPC span"],
        ),
    ]);
}

#[test]
fn unknown_enumeration_value_is_a_fault() {
    let cases: [(fn() -> SpanData, fn(&mut SpanData), &str); 5] = [
        (
            plain,
            |span| {
                set(span, "http.request.method", "get");
                "get".clone_into(span.name.to_mut());
            },
            "http.request.method is get, expected one of ",
        ),
        (
            plain,
            |span| set(span, "url.scheme", "htpp"),
            "url.scheme is htpp, expected one of ",
        ),
        (
            plain,
            |span| set(span, "network.protocol.version", "HTTP/1.1"),
            "network.protocol.version is HTTP/1.1, expected one of ",
        ),
        (
            call,
            |span| set(span, "rpc.system.name", "grpc-web"),
            "rpc.system.name is grpc-web, expected one of ",
        ),
        (
            call,
            |span| set(span, "rpc.status_code", "0"),
            "rpc.status_code is 0, expected one of ",
        ),
    ];
    for (make, change, expected) in cases {
        let mut span = make();
        change(&mut span);
        let faults = faults(&span);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(expected), "{faults:?}");
    }
}

#[test]
fn error_type_other_than_the_status_is_a_fault() {
    check(&[
        (
            failed,
            |span| set(span, "error.type", "exception"),
            &["error.type is Some(\"exception\") for status 503"],
        ),
        (
            failed_call,
            |span| set(span, "error.type", "14"),
            &["error.type is Some(\"14\") for status UNAVAILABLE"],
        ),
    ]);
}

#[test]
fn path_in_the_span_name_is_a_fault() {
    check(&[
        (
            plain,
            |span| "GET /users/7".clone_into(span.name.to_mut()),
            &["the name is GET /users/7, expected one of [\"GET\"]"],
        ),
        (
            plain,
            |span| {
                set(span, "http.route", "/users/{id}");
                "GET /users/{id}".clone_into(span.name.to_mut());
            },
            &[],
        ),
        (
            other,
            |span| "BREW".clone_into(span.name.to_mut()),
            &["the name is BREW, expected one of [\"HTTP\"]"],
        ),
        (
            other_call,
            |span| "a/b/c".clone_into(span.name.to_mut()),
            &["the name is a/b/c, expected one of [\"grpc\"]"],
        ),
        (plain, |span| "llm_core".clone_into(span.name.to_mut()), &[]),
    ]);
}

#[test]
fn unknown_event_of_the_layer_is_a_fault() {
    check(&[
        (
            plain,
            |span| event(span, "api.HANDOFF_TO_CORE").name = "api.HANDOFF".into(),
            &["the event api.HANDOFF is in no table"],
        ),
        (
            plain,
            |span| event(span, "api.HANDOFF_TO_CORE").name = "HANDOFF".into(),
            &["the event HANDOFF is in no table"],
        ),
        (
            plain,
            |span| event(span, "api.HANDOFF_TO_CORE").name = "from handler".into(),
            &[],
        ),
        (
            failed,
            |span| event(span, "api.ABORTED").attributes[0].key = "raeson".into(),
            &["raeson of api.ABORTED is in no table"],
        ),
        (
            failed,
            |span| event(span, "api.ABORTED").attributes[0].value = Value::I64(1),
            &["reason is int, expected string"],
        ),
    ]);
}

#[test]
fn another_scope_or_kind_is_a_fault() {
    check(&[
        (
            plain,
            |span| span.span_kind = SpanKind::Internal,
            &["the span kind is Internal"],
        ),
        (
            plain,
            |span| {
                span.instrumentation_scope = InstrumentationScope::builder("tower-api-span")
                    .with_schema_url("https://opentelemetry.io/schemas/1.44.0")
                    .build();
            },
            &[
                "the schema URL is Some(\"https://opentelemetry.io/schemas/1.44.0\")",
                "the version of the scope is None",
            ],
        ),
    ]);
}

#[test]
fn tables_match_the_release_and_use_known_types() {
    let release = SCHEMA_URL.rsplit('/').next().expect("a release");
    assert!(REGISTRY.contains(&format!("release {release}:")));
    let all = [REGISTRY, GEN_AI, OWN].into_iter().flat_map(lines).count();
    assert_eq!(all, TABLES.span.len() + TABLES.events.len());
    for (name, kind) in &TABLES.span {
        let is_template = name.ends_with(".<key>");
        let kinds: &[_] = if is_template {
            &["template[string[]]"]
        } else {
            &["any", "boolean", "double", "int", "string", "string[]"]
        };
        assert!(kinds.contains(kind), "{name} {kind}");
    }
}
