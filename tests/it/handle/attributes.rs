//! Attributes that the handler sets: each key appears once, and the layer's keys keep its values.

use http::Request;
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{KeyValue, Value};
use tower::Service;
use tower_api_span::SpanHandle;

use super::{record_span, serve};
use crate::support::body::ScriptedBody;
use crate::support::recorder::Recorder;
use crate::support::{answering, get, grpc, handle_of, read, ready, response};

/// All ways to set an attribute.
const WAYS: [(&str, fn(&SpanHandle, KeyValue)); 4] = [
    ("handle", |handle, attribute| {
        handle.set_attribute(attribute);
    }),
    ("handle, several", |handle, attribute| {
        handle.set_attributes([attribute]);
    }),
    ("context", |handle, attribute| {
        handle.context().span().set_attribute(attribute);
    }),
    ("context, several", |handle, attribute| {
        handle.context().span().set_attributes([attribute]);
    }),
];

#[test]
fn key_set_twice_appears_once_with_the_last_value() {
    for (first, set) in WAYS {
        for (last, set_again) in WAYS {
            let span = record_span(|handle| {
                set(&handle, KeyValue::new("test.tenant", "blue"));
                set(&handle, KeyValue::new("test.other", 1));
                set_again(&handle, KeyValue::new("test.tenant", 7));
            });
            assert_eq!(
                span.value("test.tenant"),
                Some(Value::I64(7)),
                "{first}, {last}"
            );
            assert_eq!(
                span.value("test.other"),
                Some(Value::I64(1)),
                "{first}, {last}"
            );
        }
    }
}

#[test]
fn key_written_by_the_layer_keeps_the_layers_value() {
    let everything = || {
        Request::get("http://example.com:8080/p?q=1")
            .header("user-agent", "curl")
            .body(())
            .expect("a request")
    };
    let other = || {
        Request::builder()
            .method("BREW")
            .uri("/p")
            .body(())
            .expect("a request")
    };
    for (key, request, value) in [
        (
            "http.request.method",
            everything as fn() -> Request<()>,
            "GET",
        ),
        ("http.request.method_original", other, "BREW"),
        ("url.path", everything, "/p"),
        ("url.query", everything, "q=1"),
        ("url.scheme", everything, "http"),
        ("server.address", everything, "example.com"),
        ("server.port", everything, "8080"),
        ("network.protocol.version", everything, "1.1"),
        ("user_agent.original", everything, "curl"),
        ("rpc.system.name", grpc, "grpc"),
        ("rpc.method", grpc, "_OTHER"),
        ("rpc.method_original", grpc, "pkg.Service/Method"),
        ("rpc.status_code", grpc, "UNAVAILABLE"),
        ("http.response.status_code", everything, "503"),
        ("error.type", everything, "503"),
        ("api.outcome", everything, "ABORTED"),
        ("api.abort.reason", everything, "exception"),
    ] {
        for (way, set) in WAYS {
            let at = Recorder::new();
            let mut service = answering(&at.layer(), |request| {
                set(&handle_of(&request), KeyValue::new(key, "custom"));
                let mut answer = response(503, ScriptedBody::full(0));
                let unavailable = http::HeaderValue::from_static("14");
                answer.headers_mut().insert("grpc-status", unavailable);
                answer
            });
            ready(service.call(request())).expect("a response");
            assert_eq!(
                at.only().attribute(key).as_deref(),
                Some(value),
                "{key}, {way}"
            );
        }
    }
    for key in ["api.time_to_head", "api.time_to_first_byte"] {
        let span = record_span(|handle| handle.set_attribute(KeyValue::new(key, "custom")));
        assert!(matches!(span.value(key), Some(Value::F64(_))), "{key}");
    }
}

#[test]
fn key_reserved_for_the_end_is_not_set_by_the_handler() {
    for key in ["error.type", "api.abort.reason", "rpc.status_code"] {
        for (way, set) in WAYS {
            let span = record_span(|handle| set(&handle, KeyValue::new(key, "custom")));
            assert_eq!(span.attribute(key), None, "{key}, {way}");
            assert_eq!(span.outcome(), "DEPARTED", "{key}, {way}");
        }
    }
}

#[test]
fn key_that_resembles_the_layers_is_the_applications_own() {
    for (way, set) in WAYS {
        let span = record_span(|handle| set(&handle, KeyValue::new("api.version", 2)));
        assert_eq!(span.value("api.version"), Some(Value::I64(2)), "{way}");
        assert_eq!(span.attribute("api.dropped_attributes"), None, "{way}");
    }
}

#[test]
fn refused_attributes_are_counted_once_for_each_key() {
    for (rule, attributes, expected) in [
        (
            "reserved keys",
            &[
                ("api.abort.reason", "v"),
                ("api.dropped_attributes", "v"),
                ("api.dropped_events", "v"),
                ("api.dropped_links", "v"),
                ("api.outcome", "v"),
                ("api.stream", "v"),
                ("api.time_to_first_byte", "v"),
                ("api.time_to_head", "v"),
                ("error.type", "v"),
                ("http.response.status_code", "v"),
                ("rpc.status_code", "v"),
            ][..],
            Some(11),
        ),
        (
            "a reserved key, twice",
            &[("api.outcome", "v"), ("api.outcome", "w")],
            Some(1),
        ),
        ("a key of the layer's", &[("url.path", "v")], Some(1)),
        ("an empty key", &[("", "v")], Some(1)),
        (
            "an empty string",
            &[("api.outcome", ""), ("url.path", "")],
            None,
        ),
        (
            "a value that is replaced",
            &[("test.k", "v"), ("test.k", "w")],
            None,
        ),
    ] {
        for (way, set) in WAYS {
            let span = record_span(|handle| {
                for (key, value) in attributes {
                    set(&handle, KeyValue::new(*key, *value));
                }
            });
            let dropped = span.value("api.dropped_attributes");
            assert_eq!(dropped, expected.map(Value::I64), "{rule}, {way}");
        }
    }
}

#[test]
fn key_the_layer_did_not_write_is_set_by_the_handler() {
    for (way, set) in WAYS {
        let span = record_span(|handle| {
            set(&handle, KeyValue::new("url.query", "custom"));
            set(&handle, KeyValue::new("http.route", "/custom"));
            set(&handle, KeyValue::new("rpc.method", "custom"));
        });
        assert_eq!(
            span.attribute("url.query").as_deref(),
            Some("custom"),
            "{way}"
        );
        assert_eq!(
            span.attribute("http.route").as_deref(),
            Some("/custom"),
            "{way}"
        );
        assert_eq!(
            span.attribute("rpc.method").as_deref(),
            Some("custom"),
            "{way}"
        );
        // Only `set_route` changes the name.
        assert_eq!(span.0.name, "GET", "{way}");
    }
}

#[test]
fn handler_attributes_over_the_limit_leave_room_for_the_layers() {
    // The SDK keeps 128 by default and drops the last ones. The second recorder would keep all.
    for (case, at) in [
        ("default", Recorder::new()),
        (
            "more",
            Recorder::with(|builder| builder.with_max_attributes_per_span(1_000)),
        ),
    ] {
        serve(&at.layer(), get(), 200, |handle| {
            for n in 0..300 {
                handle.set_attribute(KeyValue::new(format!("test.key_{n}"), n));
            }
            // A recorded attribute can still change.
            handle.set_attribute(KeyValue::new("test.key_0", "changed"));
        });
        let span = at.only();
        assert_eq!(
            span.attribute("test.key_0").as_deref(),
            Some("changed"),
            "{case}"
        );
        assert_eq!(span.attribute("test.key_128"), None, "{case}");
        assert_eq!(span.attribute("test.key_299"), None, "{case}");
        let status = span.attribute("http.response.status_code");
        assert_eq!(status.as_deref(), Some("200"), "{case}");
        assert_eq!(span.outcome(), "DEPARTED", "{case}");
    }
}

#[test]
fn attributes_appear_in_the_order_they_were_set() {
    let span = record_span(|handle| {
        for key in ["test.z", "test.m", "test.a"] {
            handle.set_attribute(KeyValue::new(key, 1));
        }
        handle.set_attribute(KeyValue::new("test.m", 2));
    });
    let keys = span
        .0
        .attributes
        .iter()
        .map(|attribute| attribute.key.as_str());
    let keys: Vec<_> = keys.filter(|key| key.starts_with("test.")).collect();
    assert_eq!(keys, ["test.z", "test.m", "test.a"]);
}

#[test]
fn sdk_limit_drops_the_attributes_that_were_set_last() {
    let span = record_span(|handle| {
        handle.set_attribute(KeyValue::new("test.user", "7"));
        for n in 0..127 {
            handle.set_attribute(KeyValue::new(format!("test.k{n:03}"), n));
        }
    });
    assert_eq!(span.attribute("test.user").as_deref(), Some("7"));
    assert_eq!(span.attribute("test.k000").as_deref(), Some("0"));
    assert_eq!(span.attribute("test.k126"), None);
}

#[test]
fn attribute_iterator_does_not_run_without_an_open_span() {
    let mut handle = SpanHandle::default();
    let is_run = |handle: &SpanHandle| {
        let mut is_run = false;
        handle.set_attributes(std::iter::from_fn(|| {
            is_run = true;
            None
        }));
        is_run
    };
    assert!(!is_run(&handle), "there is no span");
    record_span(|open| {
        assert!(is_run(&open), "the span is open");
        handle = open;
    });
    assert!(!is_run(&handle), "the span has ended");
}

#[test]
fn attributes_set_while_the_body_is_read_are_recorded() {
    let at = Recorder::new();
    let mut handle = SpanHandle::default();
    let mut service = answering(&at.layer(), |request| {
        let in_body = handle_of(&request);
        handle = in_body.clone();
        let body = ScriptedBody::new([])
            .on_poll(move || in_body.set_attribute(KeyValue::new("test.polled", true)));
        response(200, body)
    });
    let mut body = ready(service.call(get())).expect("a response").into_body();
    drop(service);
    handle.set_attribute(KeyValue::new("test.after_the_head", true));
    read(&mut body).expect("bytes");
    let span = at.only();
    assert_eq!(span.attribute("test.polled").as_deref(), Some("true"));
    assert_eq!(
        span.attribute("test.after_the_head").as_deref(),
        Some("true")
    );
}
