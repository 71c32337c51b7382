//! Tests of captured headers and their redaction.

use super::*;

fn name(name: &str) -> HeaderName {
    HeaderName::try_from(name).expect("a name")
}

fn read(names: &[&str], headers: &[(&str, &str)], sensitive: &SensitiveHeaders) -> Vec<String> {
    let names: Vec<_> = names.iter().map(|one| name(one)).collect();
    let mut captured = CapturedHeaders::new("http.request.header", &names);
    captured.mark_sensitive(sensitive);
    let mut map = HeaderMap::new();
    for (key, value) in headers {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        map.append(name(key), value);
    }
    let read = captured.read(&map);
    read.map(|kv| format!("{}={}", kv.key, kv.value)).collect()
}

#[test]
fn captured_header_is_a_list_of_its_values() {
    let default = SensitiveHeaders::default();
    for (rule, names, headers, expected) in [
        ("no names", &[][..], &[("a", "1")][..], &[][..]),
        ("absent", &["a"], &[("b", "1")], &[]),
        ("present", &["a"], &[("a", "1"), ("b", "2")], &["a=[\"1\"]"]),
        (
            "a name in capitals",
            &["X-A"],
            &[("x-a", "1")],
            &["x-a=[\"1\"]"],
        ),
        (
            "several lines",
            &["a"],
            &[("a", "1"), ("a", "2, 3")],
            &["a=[\"1\",\"2, 3\"]"],
        ),
        (
            "empty values",
            &["a"],
            &[("a", ""), ("a", "2")],
            &["a=[\"2\"]"],
        ),
        ("only empty values", &["a"], &[("a", "")], &[]),
        ("named twice", &["a", "A"], &[("a", "1")], &["a=[\"1\"]"]),
        (
            "a secret",
            &["authorization", "cookie"],
            &[
                ("authorization", "Bearer x"),
                ("cookie", "a=b"),
                ("cookie", "c=d"),
            ],
            &[
                "authorization=[\"REDACTED\"]",
                "cookie=[\"REDACTED\",\"REDACTED\"]",
            ],
        ),
    ] {
        let expected: Vec<_> = expected
            .iter()
            .map(|expected| format!("http.request.header.{expected}"))
            .collect();
        assert_eq!(read(names, headers, &default), expected, "{rule}");
    }
}

#[test]
fn listed_sensitive_headers_replace_the_default_ones() {
    let sensitive = SensitiveHeaders::from_names([name("x-tenant")]);
    assert_eq!(
        read(
            &["x-tenant", "cookie"],
            &[("x-tenant", "blue"), ("cookie", "a=b")],
            &sensitive
        ),
        [
            "http.request.header.x-tenant=[\"REDACTED\"]",
            "http.request.header.cookie=[\"a=b\"]"
        ]
    );
}

#[test]
fn added_sensitive_headers_join_the_default_ones() {
    let mut sensitive = SensitiveHeaders::default();
    sensitive.add([name("x-tenant")]);
    sensitive.add([name("x-session")]);
    for redacted in SENSITIVE.into_iter().chain(["x-tenant", "x-session"]) {
        let expected = format!("http.request.header.{redacted}=[\"REDACTED\"]");
        assert_eq!(
            read(&[redacted], &[(redacted, "s")], &sensitive),
            [expected]
        );
    }
    let kept = read(&["accept"], &[("accept", "*/*")], &sensitive);
    assert_eq!(kept, ["http.request.header.accept=[\"*/*\"]"]);
}

#[test]
fn value_marked_as_sensitive_is_redacted() {
    let mut value = HeaderValue::from_static("secret");
    value.set_sensitive(true);
    let headers = HeaderMap::from_iter([(name("x-mine"), value)]);
    let captured = CapturedHeaders::new("h", &[name("x-mine")]);
    let read: Vec<_> = captured.read(&headers).collect();
    assert_eq!(read[0].value.to_string(), "[\"REDACTED\"]");
}

#[test]
fn values_are_truncated_and_their_number_limited() {
    let mut headers = HeaderMap::new();
    for _ in 0..100 {
        let value = HeaderValue::try_from("v".repeat(5_000)).expect("a value");
        headers.append("a", value);
    }
    let captured = CapturedHeaders::new("h", &[name("a")]);
    let read: Vec<_> = captured.read(&headers).collect();
    let Value::Array(Array::String(values)) = &read[0].value else {
        panic!("a list of strings");
    };
    assert_eq!(values.len(), MAX_VALUES);
    assert!(values.iter().all(|value| value.as_str().len() == 1_024));
}
