//! Each metric's name, buckets, attributes and values, and that no other metric exists. `Meters` checks units,
//! kinds and allowed attribute keys on each reading.

use http::{Request, Response};
use http_body::Body as _;
use opentelemetry::{KeyValue, StringValue};
use tower_api_span::{ApiSpanLayer, SpanHandle};

use super::endings::{ALL, Ending, GRPC, Reply, head, head_with};
use super::{CALL_DURATION, DURATION, REQUEST_SIZE, RESPONSE_SIZE};
use crate::support::body::ScriptedBody;
use crate::support::body::Step::{Bytes, Data, Silent, Trailers};
use crate::support::meters::Meters;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, grpc, poll_frame, ready};
use tower::Service as _;

/// The buckets of the conventions for HTTP and RPC.
const SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// The layer's own buckets: the conventions define no buckets for sizes.
const BYTES: &[f64] = &[
    64.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
    268_435_456.0,
];
/// The buckets of the conventions for generative AI.
const GENERATION: &[f64] = &[
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const FIRST_TOKEN: &[f64] = &[
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const PER_TOKEN: &[f64] = &[
    0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5,
];

/// Records the attributes of a language model.
fn record_model(handle: &SpanHandle) {
    handle
        .gen_ai()
        .operation_name("chat")
        .provider_name("mistral_ai")
        .request_model("llama-4")
        .response_model("llama-4-8b")
        .output_tokens(5);
}

/// An event with a token.
const TOKEN: &[u8] = b"data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";

/// A complete stream of tokens.
const GENERATED: Ending = Ending {
    use_handle: record_model,
    reply: head_with(
        200,
        &[("content-type", "text/event-stream")],
        &[Bytes(TOKEN), Bytes(b"data: [DONE]\n\n")],
    ),
    ..ALL[0]
};

/// Turns on all metrics.
fn with_all_metrics(layer: ApiSpanLayer) -> ApiSpanLayer {
    layer
        .active_requests(true)
        .body_sizes(true)
        .response_times(true)
        .gen_ai_metrics(true)
}

fn sized(bytes: usize) -> Request<()> {
    let request = Request::post("/").header("content-length", bytes.to_string());
    request.body(()).expect("a request")
}

#[test]
fn ten_metrics_exist_with_these_buckets() {
    let meters = Meters::new();
    let layer = with_all_metrics(meters.layer());
    GENERATED.run_with(sized(3), &layer);
    ALL[12].run(&layer);
    let expected = [
        ("api.server.time_to_first_byte", SECONDS),
        ("api.server.time_to_head", SECONDS),
        ("gen_ai.server.request.duration", GENERATION),
        ("gen_ai.server.time_per_output_token", PER_TOKEN),
        ("gen_ai.server.time_to_first_token", FIRST_TOKEN),
        ("http.server.active_requests", &[]),
        (REQUEST_SIZE, BYTES),
        (DURATION, SECONDS),
        (RESPONSE_SIZE, BYTES),
        (CALL_DURATION, SECONDS),
    ];
    assert_eq!(meters.names(), expected.map(|(name, _)| name));
    for (name, bounds) in expected.iter().filter(|(_, bounds)| !bounds.is_empty()) {
        for series in meters.of(name) {
            assert_eq!(series.bounds(), *bounds, "{name}");
        }
    }
}

#[test]
fn only_durations_are_recorded_by_default() {
    let meters = Meters::new();
    for ending in ALL.iter().chain([&GENERATED]) {
        ending.run(&meters.layer());
    }
    assert_eq!(meters.names(), [DURATION, CALL_DURATION]);
}

#[test]
fn each_opt_in_adds_its_own_metrics() {
    let added = |setting: fn(ApiSpanLayer) -> ApiSpanLayer| {
        let meters = Meters::new();
        GENERATED.run_with(sized(3), &setting(meters.layer()));
        let mut names = meters.names();
        names.retain(|name| name != DURATION);
        names
    };
    assert_eq!(
        added(|layer| layer.active_requests(true)),
        ["http.server.active_requests"]
    );
    assert_eq!(
        added(|layer| layer.body_sizes(true)),
        [REQUEST_SIZE, RESPONSE_SIZE]
    );
    assert_eq!(
        added(|layer| layer.response_times(true)),
        ["api.server.time_to_first_byte", "api.server.time_to_head"]
    );
    let gen_ai = [
        "gen_ai.server.request.duration",
        "gen_ai.server.time_per_output_token",
        "gen_ai.server.time_to_first_token",
    ];
    assert_eq!(added(|layer| layer.gen_ai_metrics(true)), gen_ai);
    let meters = Meters::new();
    GENERATED.run(&meters.on(ApiSpanLayer::llm()));
    assert_eq!(meters.names()[..3], gen_ai, "the preset");
}

/// Returns an attribute.
fn kv<V: Into<opentelemetry::Value>>(key: &'static str, value: V) -> KeyValue {
    KeyValue::new(key, value)
}

fn method(method: &'static str) -> KeyValue {
    kv("http.request.method", method)
}

fn scheme() -> KeyValue {
    kv("url.scheme", "http")
}

fn status(status: i64) -> KeyValue {
    kv("http.response.status_code", status)
}

fn version() -> KeyValue {
    kv("network.protocol.version", "1.1")
}

fn route() -> KeyValue {
    kv("http.route", "/x/{id}")
}

/// Checks that all metrics of a request have these attributes, or those known at its start.
fn assert_http(case: &str, ending: &Ending, layer: ApiSpanLayer, expected: Vec<KeyValue>) {
    let meters = Meters::new();
    ending.run(&with_all_metrics(meters.on(layer)));
    assert_eq!(meters.only(DURATION).attributes, expected, "{case}");
    for metric in [RESPONSE_SIZE, "api.server.time_to_head"] {
        for series in meters.of(metric) {
            assert_eq!(series.attributes, expected, "{case}: {metric}");
        }
    }
    let mut at_start = expected;
    at_start.retain(|kv| ["http.request.method", "url.scheme"].contains(&kv.key.as_str()));
    let active = meters.only("http.server.active_requests");
    assert_eq!(active.attributes, at_start, "{case}");
}

#[test]
fn http_metrics_have_these_attributes() {
    for (case, ending, layer, expected) in [
        (
            "without a route",
            ALL[0],
            ApiSpanLayer::new(),
            vec![method("GET"), status(200), version(), scheme()],
        ),
        (
            "with a route",
            ALL[0],
            ApiSpanLayer::new().route_fn(|_| Some("/x/{id}")),
            vec![method("GET"), status(200), route(), version(), scheme()],
        ),
        (
            "with the handler's route",
            Ending {
                use_handle: |handle| handle.set_route("/x/{id}"),
                ..ALL[0]
            },
            ApiSpanLayer::new(),
            vec![method("GET"), status(200), route(), version(), scheme()],
        ),
        (
            "500",
            ALL[2],
            ApiSpanLayer::new(),
            vec![
                kv("error.type", "500"),
                method("GET"),
                status(500),
                version(),
                scheme(),
            ],
        ),
        (
            "no response head",
            ALL[3],
            ApiSpanLayer::new(),
            vec![
                kv("error.type", "exception"),
                method("GET"),
                version(),
                scheme(),
            ],
        ),
    ] {
        assert_http(case, &ending, layer, expected);
    }
}

#[test]
fn http_metrics_of_unusual_requests_have_these_attributes() {
    for (case, ending, layer, expected) in [
        (
            "HTTP/2 with a configured scheme",
            Ending {
                request: || {
                    let request = Request::put("/").version(http::Version::HTTP_2);
                    request.body(()).expect("a request")
                },
                ..ALL[0]
            },
            ApiSpanLayer::new().scheme("wss"),
            vec![
                method("PUT"),
                status(200),
                kv("network.protocol.version", "2"),
                kv("url.scheme", "wss"),
            ],
        ),
        (
            "an unknown method",
            Ending {
                request: || {
                    let request = Request::builder().method("PURGE");
                    request.uri("/").body(()).expect("a request")
                },
                ..ALL[0]
            },
            ApiSpanLayer::new(),
            vec![method("_OTHER"), status(200), version(), scheme()],
        ),
        (
            "a gRPC request answered in HTTP",
            ALL[16],
            ApiSpanLayer::new(),
            vec![
                kv("error.type", "502"),
                method("POST"),
                status(502),
                version(),
                scheme(),
            ],
        ),
    ] {
        assert_http(case, &ending, layer, expected);
    }
}

fn code(code: &'static str) -> KeyValue {
    kv("rpc.status_code", code)
}

fn rpc_method(method: &'static str) -> KeyValue {
    kv("rpc.method", method)
}

fn known() -> KeyValue {
    rpc_method("pkg.Service/Method")
}

fn system() -> KeyValue {
    kv("rpc.system.name", "grpc")
}

fn error(error: &'static str) -> KeyValue {
    kv("error.type", error)
}

/// Returns the ending with this name.
fn ending(name: &str) -> Ending {
    *ALL.iter().find(|one| one.name == name).expect("an ending")
}

/// Checks that the duration of a gRPC call has these attributes, and that no body size is recorded.
fn assert_call(case: &str, ending: &Ending, layer: ApiSpanLayer, expected: &[KeyValue]) {
    let meters = Meters::new();
    ending.run(&with_all_metrics(meters.on(layer)));
    assert_eq!(meters.only(CALL_DURATION).attributes, expected, "{case}");
    assert_eq!(
        meters.only("http.server.active_requests").attributes,
        [kv("http.request.method", "POST"), scheme()],
        "{case}"
    );
    assert!(
        meters.of(RESPONSE_SIZE).is_empty(),
        "{case}: body sizes are for HTTP only"
    );
}

#[test]
fn grpc_metrics_have_these_attributes() {
    let unimplemented = head_with(200, GRPC, &[Trailers(&[("grpc-status", "12")])]);
    let unknown_method = Ending {
        reply: unimplemented,
        ..ending("gRPC OK")
    };
    for (case, ending, layer, expected) in [
        (
            "OK",
            ending("gRPC OK"),
            ApiSpanLayer::new(),
            vec![known(), code("OK"), system()],
        ),
        (
            "the client's error",
            ending("gRPC NOT_FOUND"),
            ApiSpanLayer::new(),
            // A middleware can return that status too, so the method is not confirmed.
            vec![rpc_method("_OTHER"), code("NOT_FOUND"), system()],
        ),
        (
            "the server's error",
            ending("gRPC INTERNAL"),
            ApiSpanLayer::new(),
            vec![
                error("INTERNAL"),
                rpc_method("_OTHER"),
                code("INTERNAL"),
                system(),
            ],
        ),
        (
            "no such method",
            unknown_method,
            ApiSpanLayer::new(),
            vec![
                error("UNIMPLEMENTED"),
                rpc_method("_OTHER"),
                code("UNIMPLEMENTED"),
                system(),
            ],
        ),
        (
            "left before the head",
            ending("gRPC before the head"),
            ApiSpanLayer::new(),
            vec![rpc_method("_OTHER"), code("CANCELLED"), system()],
        ),
    ] {
        assert_call(case, &ending, layer, &expected);
    }
}

#[test]
fn grpc_metrics_of_cancelled_and_of_listed_calls_have_these_attributes() {
    let fails = Ending {
        request: grpc,
        ..ending("service error")
    };
    let listed = || ApiSpanLayer::new().known_rpc_methods(["pkg.Service/Method"]);
    let unlisted = || ApiSpanLayer::new().known_rpc_methods(["pkg.Service/Other"]);
    for (case, ending, layer, expected) in [
        (
            "UNAVAILABLE after data",
            Ending {
                reply: head_with(200, GRPC, &[Data(5), Trailers(&[("grpc-status", "14")])]),
                ..ending("gRPC INTERNAL")
            },
            ApiSpanLayer::new(),
            vec![error("UNAVAILABLE"), known(), code("UNAVAILABLE"), system()],
        ),
        (
            "left after data",
            Ending {
                reply: head_with(200, GRPC, &[Data(5), Silent]),
                polls: 1,
                ..ending("gRPC OK")
            },
            ApiSpanLayer::new(),
            vec![known(), code("CANCELLED"), system()],
        ),
        (
            "left before the head, listed",
            ending("gRPC before the head"),
            listed(),
            vec![known(), code("CANCELLED"), system()],
        ),
        (
            "no status, listed",
            fails,
            listed(),
            vec![error("exception"), known(), system()],
        ),
        (
            "not listed",
            ending("gRPC OK"),
            unlisted(),
            vec![rpc_method("_OTHER"), code("OK"), system()],
        ),
    ] {
        assert_call(case, &ending, layer, &expected);
    }
}

#[test]
fn gen_ai_metrics_have_these_attributes() {
    let operation = || kv("gen_ai.operation.name", "chat");
    let provider = |name| kv("gen_ai.provider.name", StringValue::from(name));
    let models = || {
        [
            kv("gen_ai.request.model", "llama-4"),
            kv("gen_ai.response.model", "llama-4-8b"),
        ]
    };
    let [requested, responded] = models();
    let not_found = Ending {
        reply: head(404, &[]),
        ..GENERATED
    };
    let fails = Ending {
        reply: head(500, &[]),
        ..GENERATED
    };
    let left = Ending {
        reply: head_with(200, &[], &[Data(4), Silent]),
        polls: 1,
        ..GENERATED
    };
    let operation_only = Ending {
        use_handle: |handle| {
            handle.gen_ai().operation_name("embeddings");
        },
        ..GENERATED
    };
    let all_recorded = || {
        vec![
            operation(),
            provider("mistral_ai"),
            requested.clone(),
            responded.clone(),
        ]
    };
    // No request with these models has succeeded.
    let expected_of_left = vec![
        kv("error.type", "client_disconnect"),
        operation(),
        provider("mistral_ai"),
        kv("gen_ai.request.model", "_OTHER"),
        kv("gen_ai.response.model", "_OTHER"),
    ];
    for (case, ending, expected) in [
        ("all recorded", GENERATED, all_recorded()),
        (
            "the operation only",
            operation_only,
            vec![
                kv("gen_ai.operation.name", "embeddings"),
                provider("_OTHER"),
            ],
        ),
        ("404", not_found, vec![operation(), provider("mistral_ai")]),
        (
            "500",
            fails,
            vec![kv("error.type", "500"), operation(), provider("mistral_ai")],
        ),
        ("left", left, expected_of_left),
    ] {
        let meters = Meters::new();
        ending.run(&meters.layer().gen_ai_metrics(true));
        let duration = meters.only("gen_ai.server.request.duration");
        assert_eq!(duration.attributes, expected, "{case}");
        let first_token = meters.of("gen_ai.server.time_to_first_token");
        let is_success = ["all recorded", "the operation only"].contains(&case);
        assert_eq!(first_token.len(), usize::from(is_success), "{case}");
        for series in first_token {
            assert_eq!(series.attributes, expected, "{case}");
        }
    }
}

#[test]
fn a_request_without_an_operation_name_has_no_gen_ai_metrics() {
    let meters = Meters::new();
    let without_operation = Ending {
        use_handle: |handle| {
            handle.gen_ai().request_model("llama-4").output_tokens(5);
        },
        ..GENERATED
    };
    without_operation.run(&meters.layer().gen_ai_metrics(true));
    assert_eq!(meters.names(), [DURATION]);
}

#[test]
fn gen_ai_attributes_of_another_type_are_ignored() {
    const EACH: &str = "gen_ai.server.time_per_output_token";
    let operation_as_number = Ending {
        use_handle: |handle| handle.set_attribute(KeyValue::new("gen_ai.operation.name", 7)),
        ..GENERATED
    };
    let meters = Meters::new();
    operation_as_number.run(&meters.layer().gen_ai_metrics(true));
    assert_eq!(meters.names(), [DURATION]);
    let tokens_as_text = Ending {
        use_handle: |handle| {
            handle.gen_ai().operation_name("chat");
            handle.set_attribute(KeyValue::new("gen_ai.usage.output_tokens", "five"));
        },
        ..GENERATED
    };
    let meters = Meters::new();
    tokens_as_text.run(&meters.layer().gen_ai_metrics(true));
    assert!(meters.of(EACH).is_empty());
    assert_eq!(meters.of("gen_ai.server.request.duration").len(), 1);
}

#[test]
fn token_times_are_recorded_for_streams_and_per_token_times_from_two_tokens_on() {
    const FIRST: &str = "gen_ai.server.time_to_first_token";
    const EACH: &str = "gen_ai.server.time_per_output_token";
    let whole = head_with(200, &[("content-type", "application/json")], &[Data(4)]);
    for (case, tokens, reply, has_first, has_each) in [
        ("five tokens", Some(5), GENERATED.reply, true, true),
        ("two tokens", Some(2), GENERATED.reply, true, true),
        ("one token", Some(1), GENERATED.reply, true, false),
        ("no token", Some(0), GENERATED.reply, true, false),
        ("tokens not recorded", None, GENERATED.reply, true, false),
        ("not streamed", Some(5), whole, false, false),
        ("no frame", Some(5), Reply::Never, false, false),
    ] {
        let meters = Meters::new();
        let recorder = Recorder::new();
        let mut service = answering(
            &meters.on(recorder.layer()).gen_ai_metrics(true),
            |request| {
                let handle = SpanHandle::from_extensions(request.extensions());
                handle.gen_ai().operation_name("chat");
                if let Some(tokens) = tokens {
                    handle.gen_ai().output_tokens(tokens);
                }
                let (content_type, steps) = match reply {
                    Reply::Head { headers, steps, .. } => (headers[0].1, steps),
                    _ => ("text/event-stream", &[][..]),
                };
                let body = ScriptedBody::new(steps.iter().cloned());
                let response = Response::builder().header("content-type", content_type);
                response.body(body).expect("a response")
            },
        );
        let mut body = ready(service.call(get())).expect("a response").into_body();
        while !poll_frame(&mut body).is_pending() && !body.is_end_stream() {
            if let std::task::Poll::Ready(None) = poll_frame(&mut body) {
                break;
            }
        }
        drop(body);
        assert_eq!(meters.of(FIRST).len(), usize::from(has_first), "{case}");
        assert_eq!(meters.of(EACH).len(), usize::from(has_each), "{case}");
        if let (true, Some(tokens)) = (has_each, tokens) {
            let whole = meters.only("gen_ai.server.request.duration").sum();
            let rest = whole - meters.only(FIRST).sum();
            let each = meters.only(EACH).sum();
            let expected = rest / f64::from(tokens - 1);
            assert!((each - expected).abs() < 1e-9, "{case}: {each}, {expected}");
        }
    }
}

#[test]
fn a_duration_equals_the_duration_of_its_span() {
    for ending in ALL.iter().chain([&GENERATED]) {
        let (recorder, meters) = (Recorder::new(), Meters::new());
        ending.run(&with_all_metrics(meters.on(recorder.layer())));
        let span = recorder.only().duration().as_secs_f64();
        let metric = if ending.is_grpc() {
            CALL_DURATION
        } else {
            DURATION
        };
        let measured = meters.only(metric).sum();
        assert!((measured - span).abs() < 1e-12, "{}", ending.name);
        for series in meters.of("gen_ai.server.request.duration") {
            assert!((series.sum() - span).abs() < 1e-12, "{}", ending.name);
        }
    }
}

#[test]
fn body_sizes_equal_the_span_attributes_and_the_bytes_read() {
    for ending in ALL.iter().filter(|ending| !ending.is_grpc()) {
        let (recorder, meters) = (Recorder::new(), Meters::new());
        let request = match (ending.request)() {
            request if request.method() == http::Method::GET => sized(70),
            grpc => grpc,
        };
        let is_http = request.headers().contains_key("content-length");
        let layer = meters.on(recorder.layer()).body_sizes(true);
        let read = ending.run_with(request, &layer);
        let span = recorder.only();
        for (metric, key, expected) in [
            (
                REQUEST_SIZE,
                "http.request.body.size",
                is_http.then_some(70),
            ),
            (
                RESPONSE_SIZE,
                "http.response.body.size",
                (is_http && matches!(ending.reply, Reply::Head { .. })).then_some(read),
            ),
        ] {
            let why = format!("{}: {metric}", ending.name);
            let expected = expected.map(|bytes| bytes.to_string());
            assert_eq!(span.attribute(key), expected, "{why}");
            let series = meters.of(metric);
            let measured = series.first().map(|series| series.sum().to_string());
            assert_eq!(measured, expected, "{why}");
        }
    }
}
